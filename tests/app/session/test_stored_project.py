"""Storing off the window's thread: full disks, second windows, long histories, moved images."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.document import undo_stack
from app.document.class_table import ClassTable
from app.document.label_map import LabelMap
from app.document.packed_patch import PackedPatch
from app.document.patch import Patch
from app.document.steps import Do, ImagePatch, Step
from app.document.stroke import Box
from app.storage import project_file
from app.storage.changes import Change, SaveClasses
from app.storage.project_file import ProjectFile
from app.storage.project_writer import ProjectWriter
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.errors import InputError

Bench = Any  # see conftest.py
SIZE = (600, 600)
CLASSES = [LabelClass("sky", (0, 0, 255)), LabelClass("road", (90, 90, 90))]


def test_painting_goes_on_when_the_disk_is_full(qtbot: QtBot, make: Callable[..., Bench]) -> None:
    bench = make()
    journal = bench.stored.journal
    with qtbot.waitSignal(journal.stored):
        bench.paint(0)
    before = bench.values.copy()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may grow beyond what the journal's has now: a disk without room.
    full = bench.path.with_name("work.mdlp-wal").stat().st_size + 50_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, hard))
    try:
        with qtbot.waitSignal(journal.failed):
            bench.paint(1)
        for seed in (2, 3):
            bench.paint(seed)
        bench.stored.project.undo()
        assert journal.is_failing
        assert journal.has_unsaved
        np.testing.assert_array_equal(bench.on_disk(), before)
        # What is shown again is what was painted, though it is in memory alone.
        np.testing.assert_array_equal(bench.stored.labels_of(bench.image), bench.values)
        with pytest.raises(InputError, match="not stored"):
            bench.stored.open(bench.path.with_name("other.mdlp"))
        assert [text for text in bench.warned if "memory only" in text] == bench.warned[:1]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with qtbot.waitSignal(journal.recovered):
        assert journal.store()
    assert not journal.is_failing
    np.testing.assert_array_equal(bench.on_disk(), bench.values)
    bench.stored.close()
    again = make()
    np.testing.assert_array_equal(again.values, bench.on_disk())
    for _ in range(3):
        again.stored.project.undo()
    assert (again.values == IGNORE_INDEX).all()
    assert not again.stored.project.undo_stack.canUndo()


def test_the_window_does_not_wait_for_the_disk(
    qtbot: QtBot, make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    bench, commit, may_write = make(), ProjectWriter.commit, threading.Event()

    def slow(*arguments: object) -> object:
        assert may_write.wait(60)
        return commit(*arguments)

    monkeypatch.setattr(ProjectWriter, "commit", slow)
    numbers: list[int] = []
    bench.stored.journal.stored.connect(numbers.append)
    bench.paint(0)
    bench.paint(1)
    bench.stored.project.undo()
    bench.stored.project.redo()
    assert bench.on_disk() is None
    assert numbers == []
    with qtbot.waitSignal(
        bench.stored.journal.stored,
        check_params_cb=lambda number: number == bench.stored.journal.last_number,
    ):
        may_write.set()
    assert numbers == sorted(numbers)
    np.testing.assert_array_equal(bench.on_disk(), bench.values)


def test_a_late_answer_is_not_taken_for_another_projects(
    qtbot: QtBot, make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make()
    bench.paint(0)
    bench.stored.open(bench.path.with_name("other.mdlp"))
    bench.stored.use_model_classes(CLASSES)
    bench.stored.project.set_corrections(bench.image, LabelMap.empty(*SIZE))

    def fail(*_arguments: object) -> None:
        raise InputError("The disk is full.")

    monkeypatch.setattr(ProjectWriter, "commit", fail)
    with qtbot.waitSignal(bench.stored.journal.failed):
        bench.paint(1)
    stack = bench.stored.project.undo_stack
    assert [header.number for header in stack.headers] == [1]
    assert not stack.is_stored(1)
    assert stack.headers[0].size == 0


def test_a_second_window_looks_only(qtbot: QtBot, make: Callable[..., Bench]) -> None:
    first = make()
    first.paint(0)
    assert first.stored.journal.store()
    second = make()
    assert second.stored.journal.is_read_only
    assert len(second.warned) == 1
    assert "open in another window" in second.warned[0]
    np.testing.assert_array_equal(second.values, first.values)
    with pytest.raises(InputError, match="nothing can be changed"):
        second.stored.check_writable()
    first.paint(1)
    assert first.stored.journal.store()  # readers do not keep the writer waiting
    first.stored.close()
    second.stored.close()
    third = make()
    assert not third.stored.journal.is_read_only
    assert not third.stored.project.undo_stack.canRedo()
    assert third.stored.project.undo_stack.count() == 2


def test_a_second_window_is_told_before_there_is_a_project(make: Callable[..., Bench]) -> None:
    first, second = make(), make()
    assert not first.stored.journal.is_read_only
    assert second.stored.journal.is_read_only


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions of this kind are Unix's")
def test_a_file_that_cannot_be_written_is_shown(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.paint(0)
    values = bench.values.copy()
    bench.stored.close()
    folder = bench.path.parent
    parents = [folder, *list(folder.parents)[:4]]
    modes = [p.stat().st_mode for p in parents]
    for parent in parents:
        parent.chmod(parent.stat().st_mode | 0o055)
    bench.path.chmod(0o444)
    folder.chmod(0o555)
    user = os.geteuid()
    try:
        if user == 0:  # root may write anything
            os.seteuid(65534)
        shown = make()
        assert shown.stored.journal.is_read_only
        np.testing.assert_array_equal(shown.values, values)
        assert len(shown.warned) == 1
        shown.stored.close()
    finally:
        os.seteuid(user)
        for parent, mode in zip(parents, modes, strict=True):
            parent.chmod(mode)
    assert [p.name for p in folder.iterdir()] == ["work.mdlp"]


def test_a_history_of_thousands_opens_by_its_headers(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make()
    bench.stored.close()
    writer, mask = ProjectWriter(bench.path), np.ones((40, 40), bool)
    box, before = Box(9, 9, 49, 49), np.full(1600, IGNORE_INDEX, np.uint8)
    table = ClassTable.of(CLASSES)
    changes: list[tuple[int, Change]] = [(0, SaveClasses(table, ("sky", "road")))]
    for number in range(1, 5001):
        patch = Patch(box, mask, before, number % 250)
        step = Step(number, "paint", bench.image, (ImagePatch(bench.image, SIZE, patch),))
        changes.append((number, Do(step)))
        before = np.full(1600, number % 250, np.uint8)
    writer.commit(changes)
    writer.close()

    def fail(*_arguments: object) -> None:
        raise AssertionError("only headers are loaded")

    with monkeypatch.context() as patched:
        patched.setattr(PackedPatch, "unpack", fail)
        again = make()
    assert again.stored.project.undo_stack.count() == 5000
    again.stored.project.undo()
    again.stored.project.undo()
    assert (again.values[9:49, 9:49] == 4998 % 250).all()


def test_the_history_is_held_to_bytes_and_that_is_said_once(
    qtbot: QtBot, make: Callable[..., Bench]
) -> None:
    bench = make(history_bytes=1_500_000)
    stack = bench.stored.project.undo_stack
    for seed in range(8):
        with qtbot.waitSignal(bench.stored.journal.stored):
            bench.paint(seed)
    assert bench.stored.journal.store()
    assert 1 < stack.count() < 8
    assert sum(header.size for header in stack.headers) <= 1_500_000
    assert len([text for text in bench.said if "cannot be undone any more" in text]) == 1
    kept = stack.headers
    bench.stored.close()
    again = make(history_bytes=1_500_000)
    assert again.stored.project.undo_stack.headers == kept
    for _ in kept:
        again.stored.project.undo()
    assert not again.stored.project.undo_stack.canUndo()
    again.stored.project.redo()
    assert again.stored.project.undo_stack.index() == 1


def test_a_step_larger_than_the_history_can_be_undone(
    qtbot: QtBot, make: Callable[..., Bench]
) -> None:
    bench = make(history_bytes=1000)
    for seed in range(3):
        with qtbot.waitSignal(bench.stored.journal.stored):
            bench.paint(seed)
    assert bench.stored.project.undo_stack.count() == 1


def test_says_where_a_new_project_lies(qtbot: QtBot, make: Callable[..., Bench]) -> None:
    bench = make()
    assert bench.said == []
    for _ in range(2):
        with qtbot.waitSignal(bench.stored.journal.stored):
            bench.paint(_)
    assert bench.said == [f"Your strokes are stored in {bench.path}."]


def test_status_follows_the_labels(qtbot: QtBot, make: Callable[..., Bench]) -> None:
    bench = make()
    project, journal = bench.stored.project, bench.stored.journal
    seen: list[str] = []
    project.status_changed.connect(lambda image: seen.append(project.status(image)))
    for change in (
        lambda: bench.paint(0),
        project.undo,
        project.redo,
        lambda: bench.stored.mark_done(bench.image, SIZE, done=True),
        project.undo,
        lambda: bench.stored.mark_done(bench.image, SIZE, done=False),
    ):
        with qtbot.waitSignal(journal.stored):
            change()
    assert seen == ["started", "new", "started", "done", "new"]
    bench.stored.mark_done(bench.image, SIZE, done=True)
    bench.stored.close()
    bench.image.write_bytes(b"")
    again = make().stored
    assert again.project.status(bench.image) == "done"
    assert not again.painted
    again.project.redo()
    assert list(again.painted) == [bench.image]
    again.close()
    assert list(make().stored.painted) == [bench.image]


def test_only_what_is_shown_stays_in_memory(qtbot: QtBot, make: Callable[..., Bench]) -> None:
    bench = make()
    project, other = bench.stored.project, bench.image.with_name("b.png")
    with qtbot.waitSignal(bench.stored.journal.stored):
        bench.paint(0)
    values = bench.values.copy()
    project.set_corrections(other, LabelMap.empty(*SIZE))
    bench.stored.shown = other
    bench.stored.release()
    assert project.corrections(bench.image) is None
    project.undo()
    labels = bench.stored.labels_of(bench.image)
    assert labels is not None
    assert (labels == IGNORE_INDEX).all()
    project.redo()
    np.testing.assert_array_equal(bench.stored.labels_of(bench.image), values)


@pytest.fixture
def few_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load two steps at the opening, and two at a time of those before."""
    monkeypatch.setattr(project_file, "RECENT", 2)
    monkeypatch.setattr(undo_stack, "_BLOCK", 2)
    monkeypatch.setattr(undo_stack, "_PRUNED", 2)


@pytest.mark.usefixtures("few_loaded")
def test_steps_long_past_are_read_when_they_are_undone(
    qtbot: QtBot, make: Callable[..., Bench]
) -> None:
    bench = make()
    values = []
    for seed in range(7):
        values.append(bench.values.copy())
        bench.paint(seed)
    bench.stored.project.undo()
    bench.stored.close()
    again = make()
    stack = again.stored.project.undo_stack
    assert (stack.index(), stack.count(), len(stack.headers)) == (6, 7, 3)
    assert stack.stored_bytes == sum(h.size for h in ProjectFile(bench.path).history()[0])
    for before in reversed(values[:6]):
        again.stored.project.undo()
        np.testing.assert_array_equal(again.values, before)
    assert not stack.canUndo()
    assert [header.number for header in stack.headers] == list(range(1, 8))
    for _ in range(7):
        again.stored.project.redo()
    assert not stack.canRedo()
    assert again.stored.journal.store()
    np.testing.assert_array_equal(again.values, again.on_disk())


@pytest.mark.usefixtures("few_loaded")
def test_steps_long_past_are_forgotten_first(qtbot: QtBot, make: Callable[..., Bench]) -> None:
    bench = make()
    for seed in range(9):
        bench.paint(seed)
    bench.stored.close()
    headers, _ = ProjectFile(bench.path).history()
    most = sum(header.size for header in headers[4:])
    again = make(history_bytes=1 << 30)
    stack = again.stored.project.undo_stack
    again.stored.limit_history(most)
    assert (stack.index(), stack.stored_bytes) == (5, most)
    assert again.stored.journal.store()
    assert [h.number for h in ProjectFile(bench.path).history()[0]] == [5, 6, 7, 8, 9]
    again.stored.limit_history(headers[-1].size)
    assert stack.index() == 1
    again.stored.project.undo()
    assert not stack.canUndo()


@pytest.mark.usefixtures("few_loaded")
def test_a_past_that_cannot_be_read_is_not_undone(
    qtbot: QtBot, make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make()
    for seed in range(5):
        bench.paint(seed)
    bench.stored.close()
    again = make()
    stack = again.stored.project.undo_stack

    def fail(*_arguments: object, **_named: object) -> None:
        raise InputError("The project cannot be read: disk I/O error.")

    monkeypatch.setattr(ProjectFile, "load_headers", fail)
    for _ in range(3):
        again.stored.project.undo()
    assert (stack.index(), stack.count()) == (0, 2)
    assert stack.stored_bytes == sum(header.size for header in stack.headers)
