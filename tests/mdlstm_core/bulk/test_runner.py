"""A bulk run from its source to its table, and what it does with one that was stopped."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from mdlstm_core.bulk.results import TABLE, open_results
from mdlstm_core.bulk.rows import Row
from mdlstm_core.bulk.runner import BulkOptions, Summary, label_in_bulk
from mdlstm_core.bulk.seen_ids import SeenIds
from mdlstm_core.bulk.sources import open_source
from mdlstm_core.bulk.tables import write_parquet
from mdlstm_core.checkpoint import Checkpoint, load_checkpoint
from mdlstm_core.data.images import read_image
from mdlstm_core.errors import InputError
from mdlstm_core.predictor import Predictor

NAMES = ["a.png", "a.jpg", "b c.png", "in/ü.png", "in/deep/#1?.png"]


def label(source: Path, target: Path, checkpoint: Checkpoint) -> Summary:
    opened = open_source(str(source), target)
    return label_in_bulk(opened, target, checkpoint, BulkOptions("inline", 1, "cpu"))


def masks(target: Path) -> dict[str, bytes]:
    folder = target / "masks"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_image_has_its_mask_and_its_row(
    tmp_path: Path, tiny_checkpoint: Checkpoint, write_images: Any, read_rows: Any
) -> None:
    source, target = tmp_path / "set", tmp_path / "out"
    write_images(source, NAMES)

    summary = label(source, target, tiny_checkpoint)

    assert summary[:3] == (len(NAMES), 0, 0)
    rows = {row.id: row for row in read_rows(target)}
    assert sorted(rows) == sorted(NAMES)
    predictor = Predictor(tiny_checkpoint, "cpu")
    for name, row in rows.items():
        assert (row.mask, row.error) == (f"masks/{name}.png", None)
        expected = predictor.predict(read_image(source / name), exact=True).label_map
        with Image.open(target / row.mask) as mask:
            np.testing.assert_array_equal(np.array(mask), expected)
    stored = load_checkpoint(target / "model.safetensors")
    assert stored.classes == tiny_checkpoint.classes


def test_target_in_the_source_holds_no_images_of_it(
    tmp_path: Path, tiny_checkpoint: Checkpoint, write_images: Any
) -> None:
    write_images(tmp_path, ["a.png"])

    assert label(tmp_path, tmp_path / "out", tiny_checkpoint).labeled == 1
    assert label(tmp_path, tmp_path / "out", tiny_checkpoint)[:3] == (0, 0, 1)
    with pytest.raises(InputError, match="holds the images themselves"):
        label(tmp_path, tmp_path, tiny_checkpoint)


def test_broken_images_get_a_row_each_and_are_tried_again(
    tmp_path: Path, tiny_checkpoint: Checkpoint, write_images: Any, read_rows: Any
) -> None:
    source, target = tmp_path / "set", tmp_path / "out"
    names = write_images(source, [f"{number}.png" for number in range(30)])
    broken = names[::3]
    for number, name in enumerate(broken):
        whole = (source / name).read_bytes()
        (source / name).write_bytes([b"", b"no image", whole[: len(whole) // 2]][number % 3])

    assert label(source, target, tiny_checkpoint)[:3] == (20, 10, 0)

    rows = read_rows(target)
    assert sorted(row.id for row in rows) == sorted(names)
    failed = {row.id: row for row in rows if row.error}
    assert sorted(failed) == sorted(broken)
    assert all(str(source / name) in (failed[name].error or "") for name in broken)
    assert sorted(masks(target)) == sorted(f"{n}.png" for n in set(names) - set(broken))

    write_images(source, broken[:4])
    assert label(source, target, tiny_checkpoint)[:3] == (4, 6, 20)
    assert sorted(row.id for row in read_rows(target)) == sorted(names)


@pytest.mark.parametrize("lost", ["half a row", "a row", "a mask", "nothing"])
def test_run_goes_on_where_one_was_stopped(
    tmp_path: Path, tiny_checkpoint: Checkpoint, write_images: Any, read_rows: Any, lost: str
) -> None:
    source, target = tmp_path / "set", tmp_path / "out"
    write_images(source, NAMES)
    label(source, target, tiny_checkpoint)
    before, table = masks(target), target / TABLE
    lines = table.read_bytes().splitlines(keepends=True)
    if lost == "half a row":
        table.write_bytes(b"".join(lines)[:-20])
    elif lost == "a row":
        table.write_bytes(b"".join(lines[1:]))
    elif lost == "a mask":
        (target / "masks" / "a.png.png").unlink()

    summary = label(source, target, tiny_checkpoint)

    redone = 0 if lost == "nothing" else 1
    assert summary[:3] == (redone, 0, len(NAMES) - redone)
    assert masks(target) == before
    assert sorted(row.id for row in read_rows(target)) == sorted(NAMES)


def test_image_named_twice_is_there_once(
    tmp_path: Path, tiny_checkpoint: Checkpoint, write_images: Any, read_rows: Any
) -> None:
    write_images(tmp_path, ["a.png", "b.png"])
    (tmp_path / "list.txt").write_text(f"a.png\nb.png\n./a.png\n{tmp_path / 'b.png'}\na.png\n")

    summary = label(tmp_path / "list.txt", tmp_path / "out", tiny_checkpoint)

    assert summary.labeled == 2
    assert sorted(row.id for row in read_rows(tmp_path / "out")) == ["a.png", "b.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such names")
def test_names_with_colons_and_backslashes_have_masks_of_their_own(
    tmp_path: Path, tiny_checkpoint: Checkpoint, write_images: Any, read_rows: Any
) -> None:
    names = ["2024-01-01T12:30:00.png", "a\\b.png", "a/b.png", "in:2/c.png"]
    write_images(tmp_path / "set", names)
    doubled = [name.replace("/", "//") for name in names]
    (tmp_path / "set" / "list.txt").write_text("\n".join([*names, *doubled, "./a/./b.png"]))
    for source in (tmp_path / "set", tmp_path / "set" / "list.txt"):
        target = tmp_path / f"out of {source.name}"

        assert label(source, target, tiny_checkpoint)[:2] == (len(names), 0)

        assert {row.id: row.mask for row in read_rows(target)} == {
            name: f"masks/{name}.png" for name in names
        }
        assert len(masks(target)) == len(names)


def test_nothing_is_written_outside_the_target(
    tmp_path: Path, tiny_checkpoint: Checkpoint, write_images: Any, read_rows: Any
) -> None:
    write_images(tmp_path, ["up.png", "set/in/ok ü.png", "elsewhere/x.png"])
    absolute = str(tmp_path / "elsewhere" / "y" / ".." / "x.png")
    names = ["../up.png", "in/../../up.png", "in/ok ü.png", absolute, "..\\up.png", "in//.."]
    (tmp_path / "set" / "list.txt").write_text("\n".join(names), encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    target = tmp_path / "results" / "of" / "run"

    summary = label(tmp_path / "set" / "list.txt", target, tiny_checkpoint)

    assert summary[:3] == (2, 4, 0)
    new = {path for path in tmp_path.rglob("*") if path not in before}
    assert all(path.is_relative_to(tmp_path / "results") for path in new)
    assert {path for path in new if path.suffix == ".png"} == {
        target / "masks" / "in" / "ok ü.png.png",
        target / "masks" / "@" / str(tmp_path).lstrip("/") / "elsewhere" / "x.png.png",
    }
    for row in read_rows(target):
        assert (row.error is None) == (".." not in row.id), row
        assert row.error is None or "list.txt names" in row.error


def test_folder_of_another_run_is_refused(
    tmp_path: Path, tiny_checkpoint: Checkpoint, write_images: Any
) -> None:
    source, other, target = tmp_path / "set", tmp_path / "other", tmp_path / "out"
    write_images(source, ["a.png"])
    write_images(other, ["a.png"])
    label(source, target, tiny_checkpoint)
    before = masks(target)
    weights = {name: weight + 1 for name, weight in tiny_checkpoint.weights.items()}

    with pytest.raises(InputError, match=r"holds the labels of .*set, not of .*other"):
        label(other, target, tiny_checkpoint)
    for changed in (
        dataclasses.replace(tiny_checkpoint, weights=weights),
        tiny_checkpoint.looking_at(50_000),
    ):
        with pytest.raises(InputError, match="labels of another model"):
            label(source, target, changed)

    assert masks(target) == before
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / TABLE).write_text("mine")
    with pytest.raises(InputError, match=r"has a results\.jsonl of its own"):
        label(source, tmp_path / "foreign", tiny_checkpoint)
    assert (tmp_path / "foreign" / TABLE).read_text() == "mine"


def test_two_runs_never_write_into_one_folder(
    tmp_path: Path, tiny_checkpoint: Checkpoint, write_images: Any
) -> None:
    source, target = tmp_path / "set", tmp_path / "out"
    write_images(source, ["a.png"])

    with (
        open_results(target, source.as_posix(), tiny_checkpoint),
        pytest.raises(InputError, match="Another run writes into"),
    ):
        label(source, target, tiny_checkpoint)

    assert label(source, target, tiny_checkpoint).labeled == 1


def test_source_without_images_is_refused(tmp_path: Path, tiny_checkpoint: Checkpoint) -> None:
    (tmp_path / "set").mkdir()

    with pytest.raises(InputError, match="has no images"):
        label(tmp_path / "set", tmp_path / "out", tiny_checkpoint)


@pytest.mark.skipif(sys.platform == "win32", reason="full disks are a device of Unix")
def test_table_that_cannot_be_written_ends_the_run(
    tmp_path: Path, tiny_checkpoint: Checkpoint
) -> None:
    def write(row: Row) -> None:
        with (
            Path("/dev/full").open("ab") as full,
            open_results(tmp_path / "out", "set", tiny_checkpoint) as results,
        ):
            results._table.close()
            results._table = full
            results.add(row)

    with pytest.raises(InputError, match=r"results\.jsonl cannot be written: No space left"):
        write(Row("a", "a", None, 0.0, "error"))


def test_table_is_written_as_parquet_too(
    tmp_path: Path, tiny_checkpoint: Checkpoint, write_images: Any, read_rows: Any
) -> None:
    source, target = tmp_path / "set", tmp_path / "out"
    write_images(source, NAMES)
    (source / "broken.png").write_bytes(b"")
    label(source, target, tiny_checkpoint)

    table = parquet.read_table(write_parquet(target))

    assert table.to_pylist() == [row._asdict() for row in read_rows(target)]


def test_rows_in_memory_do_not_grow_with_the_images(
    tmp_path: Path, tiny_checkpoint: Checkpoint
) -> None:
    peaks = []
    for count in (1_000, 20_000):
        with open_results(tmp_path / str(count), "set", tiny_checkpoint) as results:
            tracemalloc.start()
            for number in range(count):
                results.add(Row(f"{number}.png", f"/set/{number}.png", "masks/x.png", 0.1, None))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    assert peaks[1] < peaks[0] + 20_000


def test_ids_are_known_to_another_process_at_once(tmp_path: Path) -> None:
    mine, other = SeenIds(tmp_path / "ids"), SeenIds(tmp_path / "ids")

    assert [mine.add("a"), mine.add("a"), mine.add("\udcff")] == [True, False, True]

    assert "a" in other
    assert "\udcff" in other
    assert "b" not in other
    mine.close()
    other.close()


_MEASURE = """
import resource, sys
from app.cli.main import main
code = main(sys.argv[1:])
for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
    print(code, resource.getrusage(who).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
@pytest.mark.parametrize(
    "engine", ["inline", pytest.param("processes", marks=pytest.mark.thorough)]
)
def test_peak_memory_does_not_grow_with_the_images(
    tmp_path: Path, checkpoint_file: Path, write_images: Any, engine: str
) -> None:
    """Of the command, and with processes of the largest of them."""
    peaks = []
    for count in (30, 300):
        write_images(tmp_path / str(count), [f"{n}.png" for n in range(count)])
        arguments = ["predict", "--engine", engine, "--workers", "1", str(tmp_path / str(count))]
        arguments += ["--out", str(tmp_path / f"out{count}"), "--model", str(checkpoint_file)]
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, *arguments, "--json"],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        summary, *measured = done.stdout.splitlines()
        assert json.loads(summary)["labeled"] == count
        codes, used = zip(*(line.split() for line in measured), strict=True)
        assert codes == ("0", "0")
        peaks.append([int(peak) for peak in used])

    few, many = peaks
    assert many[0] < 1.05 * few[0]
    assert many[1] <= 1.05 * few[1]
    assert (many[1] > 0) == (engine == "processes")
