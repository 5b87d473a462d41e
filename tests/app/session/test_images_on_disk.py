"""Images are known by what they hold: moved ones are found, others are told apart."""

from __future__ import annotations

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
    missing = again.stored.missing
    assert list(missing) == [bench.image]
    given = [same_name, same_size, moved]
    assert may_be_moved(missing, given) == [same_size, moved]
    found = find_moved(missing, given)
    assert found == {bench.image: moved}
    assert again.stored.move_images(found) == [moved]
    assert again.stored.missing == {}
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
