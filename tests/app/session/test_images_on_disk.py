"""Images are known by what they hold: moved ones are found, others are told apart."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.storage.changes import Fingerprint
from app.storage.disk_worker import LoadedImage
from app.storage.fingerprint import find_moved, fingerprint_of, may_be_moved
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.data.images import Picture
from mdlstm_core.errors import InputError

Bench = Any
SIZE = (600, 600)


def _loaded(bench: Bench, path: Path) -> LoadedImage:
    """Return what the disk worker would, of an image whose pixels do not matter."""
    image = np.zeros((*SIZE, 3), np.uint8)
    labels, blank = bench.stored.labels_of(path), np.full(SIZE, 255, np.uint8)
    return LoadedImage(path, Picture(image), fingerprint_of(path), labels, blank, None)


def test_another_picture_under_the_same_name_is_refused(
    qtbot: QtBot, make: Callable[..., Bench]
) -> None:
    bench = make()
    bench.image.write_bytes(b"the labeled picture")
    bench.stored.check_file(_loaded(bench, bench.image))
    bench.paint(0)
    bench.stored.close()
    bench.image.write_bytes(b"another picture")
    again = make()
    with pytest.raises(InputError, match="not the picture that was labeled"):
        again.stored.check_file(_loaded(again, again.image))
    again.stored.accept_file(again.image)
    again.stored.check_file(_loaded(again, again.image))
    again.stored.close()
    third = make()
    third.stored.check_file(_loaded(third, third.image))


def test_moved_images_are_found_by_content_alone(qtbot: QtBot, make: Callable[..., Bench]) -> None:
    bench = make()
    bench.image.write_bytes(b"the labeled picture")
    bench.stored.check_file(_loaded(bench, bench.image))
    bench.paint(0)
    values = bench.values.copy()
    bench.stored.close()
    folder = bench.image.parent / "moved"
    folder.mkdir()
    moved = Path(shutil.move(bench.image, folder / "other name.png"))
    same_name, same_size = folder / "a.png", folder / "c.png"
    same_name.write_bytes(b"a picture with the old name")
    same_size.write_bytes(b"THE LABELED PICTURE")
    again = make()
    assert "missing" in again.warned[0]
    missing = again.stored.files.missing
    assert list(missing) == [bench.image]
    given = [same_name, same_size, moved]
    assert may_be_moved(missing, given) == [same_size, moved]
    found = find_moved(missing, given)
    assert found == {bench.image: moved}
    assert again.stored.move_images(found) == [moved]
    assert again.stored.files.missing == {}
    again.stored.check_file(_loaded(again, moved))
    np.testing.assert_array_equal(again.stored.labels_of(moved), values)
    assert again.stored.project.status(moved) == "started"
    again.stored.project.undo()  # the history has moved too
    labels = again.stored.labels_of(moved)
    assert labels is not None
    assert (labels == IGNORE_INDEX).all()


def test_a_project_moved_with_its_images_finds_them(
    qtbot: QtBot, make: Callable[..., Bench], tmp_path: Path
) -> None:
    bench = make()
    bench.image.write_bytes(b"the labeled picture")
    bench.stored.check_file(_loaded(bench, bench.image))
    bench.paint(0)
    values = bench.values.copy()
    bench.stored.close()
    shutil.move(bench.path.parent, tmp_path / "elsewhere")
    again = make("elsewhere")
    assert again.warned == []
    np.testing.assert_array_equal(again.values, values)
    again.stored.check_file(_loaded(again, again.image))
    assert again.stored.project.images == [again.image]


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"x" * 3_000_000)
    second.write_bytes(b"x" * 3_000_000)
    assert fingerprint_of(first) == fingerprint_of(second)
    assert fingerprint_of(first).size == 3_000_000
    second.write_bytes(b"x" * 2_999_999 + b"y")
    assert fingerprint_of(first) != fingerprint_of(second)
    with pytest.raises(InputError, match="cannot be read"):
        fingerprint_of(tmp_path / "missing")
    assert find_moved({first: Fingerprint(1, b"")}, [tmp_path / "missing"]) == {}


def test_a_search_ends_when_all_is_found_or_nobody_waits(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(6)]
    for number, file in enumerate(files):
        file.write_bytes(b"%d" % number)
    missing = {tmp_path / "gone.png": fingerprint_of(files[2])}
    looked: list[int] = []

    def go_on(done: int) -> bool:
        looked.append(done)
        return True

    assert find_moved(missing, files, go_on) == {tmp_path / "gone.png": files[2]}
    assert looked == [0, 1, 2]
    assert find_moved(missing, files, lambda done: done < 2) == {}


def test_images_whose_files_are_known_are_not_searched(
    qtbot: QtBot, make: Callable[..., Bench]
) -> None:
    bench = make()
    there = bench.image.with_name("there.png")
    for path, content in ((bench.image, b"one"), (there, b"two")):
        path.write_bytes(content)
        bench.stored.check_file(_loaded(bench, path))
        bench.stored.mark_done(path, SIZE, done=True)
    bench.stored.close()
    new = Path(shutil.move(bench.image, bench.image.with_name("new.png")))
    again = make()
    assert list(again.stored.files.missing) == [bench.image]
    assert again.stored.files.unknown_of([there, new]) == [new]


def test_the_pages_of_a_stack_read_its_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = tmp_path / "stack.tif"
    stack.write_bytes(b"pages")
    reads: list[Path] = []
    opened = Path.open

    def noted(path: Path, *arguments: Any, **named: Any) -> Any:
        reads.append(path)
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", noted)
    hour_ago = stack.stat().st_mtime - 3600
    os.utime(stack, (hour_ago, hour_ago))
    pages = [stack, *(tmp_path / f"stack#page={page}.tif" for page in (2, 3, 4))]
    assert len({fingerprint_of(page) for page in pages}) == 4
    assert reads == [stack]
    before = fingerprint_of(stack)
    stack.write_bytes(b"PAGES")  # as large as it was, and changed just now
    changed = fingerprint_of(stack)
    stack.write_bytes(b"PaGeS")
    assert len({before, changed, fingerprint_of(stack)}) == 3
