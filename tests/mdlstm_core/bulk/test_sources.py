"""Where the images of a bulk run come from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tifffile
from pyarrow import fs, parquet

from mdlstm_core.bulk.locations import local_file
from mdlstm_core.bulk.sources import ImageRecord, ImageSource, open_source
from mdlstm_core.data.images import read_image
from mdlstm_core.errors import InputError

NAMES = ["a.png", "b c.jpg", "in/ü.png", "in/deep/#1?.JPG", "100%25.png"]


def ids(source: ImageSource) -> list[str]:
    return sorted(record.id for record in source)


def assert_readable(source: ImageSource) -> None:
    for record in source:
        with local_file(record.folder, record.name) as path:
            assert read_image(path).shape == (17, 23, 3), record


def test_folder_is_gone_through_with_the_folders_inside(tmp_path: Path, write_images: Any) -> None:
    write_images(tmp_path, [*NAMES, ".hidden.png", ".cache/x.png", "out/masks/a.png.png"])
    (tmp_path / "note.txt").write_text("no image")

    source = open_source(str(tmp_path), tmp_path / "out")

    assert ids(source) == sorted(NAMES)
    assert_readable(source)


def test_pages_of_a_stack_are_images(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "stack.tif", np.zeros((3, 8, 9), np.uint8), photometric="minisblack"
    )

    source = open_source(str(tmp_path), tmp_path / "out")

    assert ids(source) == ["stack#page=2.tif", "stack#page=3.tif", "stack.tif"]


def test_folder_may_be_a_uri(tmp_path: Path, write_images: Any) -> None:
    folder = tmp_path / "with space"
    write_images(folder, NAMES)

    source = open_source(folder.as_uri(), tmp_path / "out")

    assert ids(source) == sorted(NAMES)
    assert_readable(source)


def test_file_system_that_pyarrow_opens(tmp_path: Path, write_images: Any) -> None:
    write_images(tmp_path, NAMES)
    memory, _ = fs.FileSystem.from_uri("fsspec+memory://bulk")
    memory.create_dir("/bulk/photos", recursive=True)
    here = fs.LocalFileSystem()
    fs.copy_files(str(tmp_path), "/bulk/photos", here, memory)
    with memory.open_output_stream("/bulk/list.txt") as file:
        file.write("\n".join(f"photos/{name}" for name in NAMES).encode())

    folder = open_source("fsspec+memory://bulk/photos", tmp_path / "out")
    listed = open_source("fsspec+memory://bulk/list.txt", tmp_path / "out")

    assert ids(folder) == sorted(NAMES)
    assert ids(listed) == sorted(f"photos/{name}" for name in NAMES)
    for source in (folder, listed):
        assert_readable(source)
    memory.delete_dir("/bulk")


def test_damaged_file_from_elsewhere_is_called_by_its_own_name() -> None:
    memory, _ = fs.FileSystem.from_uri("fsspec+memory://bulk")
    with memory.open_output_stream("/damaged.png") as file:
        file.write(b"no image")

    with (
        pytest.raises(InputError, match=r"^fsspec\+memory:///damaged.png is not an image"),
        local_file("fsspec+memory://", "damaged.png") as path,
    ):
        read_image(path)


def test_list_names_images_by_relative_and_absolute_paths(
    tmp_path: Path, write_images: Any
) -> None:
    write_images(tmp_path, ["set/a.png", "set/b c.png", "other/d.png"])
    absolute = (tmp_path / "other" / "d.png").as_posix()
    inside = (tmp_path / "set" / "b c.png").as_posix()
    lines = ["./a.png", "", inside, absolute, "file://" + absolute]
    (tmp_path / "set" / "list.txt").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")

    source = open_source(str(tmp_path / "set" / "list.txt"), tmp_path / "out")

    known = f"@/{absolute.lstrip('/').replace(':', '')}"
    assert [record.id for record in source] == ["a.png", "b c.png", known, known]
    assert_readable(source)


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
def test_name_that_is_no_utf8_names_its_file(tmp_path: Path, write_images: Any) -> None:
    write_images(tmp_path, [b"\xff.png".decode("utf-8", "surrogateescape")])
    (tmp_path / "list.txt").write_bytes(b"\xff.png\n")

    for place in (tmp_path, tmp_path / "list.txt"):
        assert_readable(open_source(str(place), tmp_path / "out"))


@pytest.mark.parametrize("column", ["image", "path"])
def test_parquet_names_images_in_a_column(tmp_path: Path, write_images: Any, column: str) -> None:
    write_images(tmp_path, NAMES)
    table = pa.table({"number": list(range(6)), column: [*NAMES, None]})
    parquet.write_table(table, tmp_path / "set.parquet")

    source = open_source(str(tmp_path / "set.parquet"), tmp_path / "out", column)

    records = list(source)
    assert [record.id for record in records] == [*NAMES, "row 6"]
    assert records[0] == ImageRecord("a.png", tmp_path.as_posix(), "a.png")


def test_one_image_is_a_source_too(tmp_path: Path, write_images: Any) -> None:
    write_images(tmp_path, ["a.png"])

    assert ids(open_source(str(tmp_path / "a.png"), tmp_path / "out")) == ["a.png"]


def test_listing_holds_no_more_than_one_image(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("first.png\n" + "next.png\n" * 10_000)
    stream = iter(open_source(str(listed), tmp_path / "out"))
    assert next(stream).id == "first.png"

    with listed.open("a") as file:
        file.write("added.png\n")

    assert [record.id for record in stream][-1] == "added.png"


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (None, "missing", "There is no file or folder"),
        (b"PK\0\0", "list.txt", "no folder, list of images or Parquet file"),
        (b"PAR1", "set.parquet", "no Parquet file that can be read"),
    ],
)
def test_bad_source_is_refused(
    tmp_path: Path, content: bytes | None, name: str, sentence: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(InputError, match=sentence):
        list(open_source(str(tmp_path / name), tmp_path / "out"))


def test_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"file": ["a.png"], "size": [3]}), tmp_path / "set.parquet")

    with pytest.raises(InputError, match="no column 'image' but file, size"):
        open_source(str(tmp_path / "set.parquet"), tmp_path / "out")
    with pytest.raises(InputError, match="has int64, not paths"):
        open_source(str(tmp_path / "set.parquet"), tmp_path / "out", "size")


def test_unknown_file_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gopher://x cannot be opened"):
        open_source("gopher://x", tmp_path / "out")
