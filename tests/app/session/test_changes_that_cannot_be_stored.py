"""One change that the project file never takes does not keep the others from it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.document.edit import Edit
from app.document.label_map import LabelMap
from app.document.stroke import Box, Region
from app.storage.changes import MoveImage
from app.storage.disk_worker import LoadedImage
from app.storage.fingerprint import fingerprint_of
from app.storage.project_file import ProjectFile
from mdlstm_core.data.images import Picture
from mdlstm_core.errors import InputError

Bench = Any  # see conftest.py
SIZE = (600, 600)


def _check(bench: Bench, path: Path) -> None:
    """Take a file as the session does when it is shown."""
    picture, blank = Picture(np.zeros((*SIZE, 3), np.uint8)), np.full(SIZE, 255, np.uint8)
    labels = bench.stored.labels_of(path)
    bench.stored.check_file(LoadedImage(path, picture, fingerprint_of(path), labels, blank, None))


def _paths(bench: Bench) -> list[str]:
    with closing(ProjectFile(bench.path)) as file:
        return [image.path.name for image in file.images()]


@pytest.fixture
def two(make: Callable[..., Bench]) -> tuple[Bench, Path]:
    """A project whose image a has labels, and whose copy b is done without any."""
    bench = make()
    copy = bench.image.with_name("b.png")
    bench.image.write_bytes(b"the same picture")
    copy.write_bytes(b"the same picture")
    for path in (bench.image, copy):
        _check(bench, path)
    bench.paint(0)
    bench.stored.mark_done(copy, SIZE, done=True)
    assert bench.stored.journal.store()
    return bench, copy


def test_an_image_done_without_labels_is_known_by_its_content(two: tuple[Bench, Path]) -> None:
    bench, copy = two
    with closing(ProjectFile(bench.path)) as file:
        assert file.fingerprint(copy) == fingerprint_of(copy)


def test_a_labeled_image_takes_the_place_of_a_copy_that_is_done(
    qtbot: QtBot, two: tuple[Bench, Path], make: Callable[..., Bench]
) -> None:
    bench, copy = two
    values = bench.values.copy()
    bench.stored.close()
    with closing(sqlite3.connect(bench.path)) as database, database:
        # As projects have it that were made before.
        database.execute("UPDATE images SET digest = NULL WHERE path = 'b.png'")
    bench.image.unlink()
    again = make()
    assert again.stored.move_images({bench.image: copy}) == [copy]
    assert _paths(again) == ["b.png"]
    np.testing.assert_array_equal(again.stored.labels_of(copy), values)
    again.stored.mark_done(copy, SIZE, done=True)
    assert again.stored.journal.store()
    assert not again.stored.journal.is_failing


def test_a_labeled_image_never_takes_the_place_of_another_labeled_one(
    qtbot: QtBot, two: tuple[Bench, Path]
) -> None:
    bench, copy = two
    region = Region(Box(0, 0, 9, 9), np.ones((9, 9), bool))
    bench.stored.project.set_corrections(copy, LabelMap.empty(*SIZE))
    bench.stored.project.edit(copy, Edit(region, 3, "paint"))
    bench.stored.journal.record(MoveImage(bench.image, copy))
    assert bench.stored.journal.store()
    assert _paths(bench) == ["a.png", "b.png"]
    labels = bench.stored.labels_of(copy)
    assert labels is not None
    assert np.count_nonzero(labels == 3) == 81
    np.testing.assert_array_equal(bench.stored.labels_of(bench.image), bench.values)


def test_what_follows_a_change_that_a_damaged_tile_forbids_is_stored(
    qtbot: QtBot, two: tuple[Bench, Path]
) -> None:
    bench, copy = two
    stored, project = bench.stored, bench.stored.project
    region = Region(Box(0, 0, 9, 9), np.ones((9, 9), bool))
    project.set_corrections(copy, LabelMap.empty(*SIZE))
    project.edit(copy, Edit(region, 1, "paint"))
    assert stored.journal.store()
    with closing(sqlite3.connect(bench.path)) as database, database:
        damaged = "UPDATE tiles SET labels = x'00' WHERE image ="
        database.execute(f"{damaged} (SELECT id FROM images WHERE path = 'b.png')")
    with pytest.raises(InputError, match=f"mdlstm project repair {bench.path}"):
        stored.labels_of(copy)
    before, classes, done = bench.values.copy(), project.classes, project.undo_stack.index()
    gone_back: list[None] = []
    stored.went_back.connect(lambda: gone_back.append(None))
    with qtbot.waitSignal(stored.went_back):
        project.merge_class(1, 0)
    (told,) = [text for text in bench.warned if "merge classes" in text]
    assert "damaged" in told
    assert f"mdlstm project repair {bench.path}" in told
    assert told.count(". ") == 0
    assert gone_back == [None]
    assert project.classes == classes
    assert project.undo_stack.index() == done
    assert not stored.journal.has_unsaved
    assert not stored.journal.is_failing
    np.testing.assert_array_equal(bench.on_disk(), before)
    # As the session does then, labels are read again.
    project.drop_corrections(set())
    project.set_corrections(bench.image, LabelMap(stored.labels_of(bench.image)))
    bench.paint(7)
    project.undo()
    project.redo()
    assert stored.journal.store()
    np.testing.assert_array_equal(bench.on_disk(), bench.values)
    assert (bench.values != before).any()


def test_strokes_made_before_it_is_told_are_stored_too(
    qtbot: QtBot, two: tuple[Bench, Path]
) -> None:
    bench, copy = two
    stored, project = bench.stored, bench.stored.project
    project.set_corrections(copy, LabelMap.empty(*SIZE))
    region = Region(Box(0, 0, 9, 9), np.ones((9, 9), bool))
    project.edit(copy, Edit(region, 1, "paint"))
    assert stored.journal.store()
    with closing(sqlite3.connect(bench.path)) as database, database:
        damaged = "UPDATE tiles SET labels = x'00' WHERE image ="
        database.execute(f"{damaged} (SELECT id FROM images WHERE path = 'b.png')")
    project.merge_class(1, 0)
    bench.paint(7)
    painted = bench.values.copy()
    assert stored.journal.store()
    np.testing.assert_array_equal(bench.on_disk()[:500, :500], painted[:500, :500])
    assert [header.text for header in project.undo_stack.headers][-1] == "paint"
    assert project.undo_stack.count() == 3
