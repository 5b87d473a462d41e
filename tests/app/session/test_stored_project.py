"""Storing off the window's thread: full disks, second windows, long histories, moved images."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.document.class_table import ClassTable
from app.document.edit import Edit
from app.document.label_map import LabelMap
from app.document.patch import Patch
from app.document.steps import Do, ImagePatch, Step
from app.document.stroke import Box, Region
from app.session.stored_project import StoredProject
from app.storage.changes import Change, Fingerprint, SaveClasses
from app.storage.disk_worker import LoadedImage
from app.storage.fingerprint import find_moved, fingerprint_of, may_be_moved
from app.storage.project_writer import ProjectWriter
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.images import Picture
from mdlstm_core.errors import InputError

SIZE = (600, 600)
CLASSES = [LabelClass("sky", (0, 0, 255)), LabelClass("road", (90, 90, 90))]


class Bench:
    """A stored project with one image, and what was said of it."""

    def __init__(self, folder: Path, history_bytes: int = 1 << 30) -> None:
        folder.mkdir(exist_ok=True)
        self.path, self.image = folder / "work.mdlp", folder / "a.png"
        self.stored = StoredProject(history_bytes)
        self.said: list[str] = []
        self.warned: list[str] = []
        self.stored.said.connect(self.said.append)
        self.stored.warned.connect(self.warned.append)
        self.stored.open(self.path)
        self.stored.use_model_classes(CLASSES)
        self.stored.shown = self.image
        labels = self.stored.labels_of(self.image)
        found = LabelMap.empty(*SIZE) if labels is None else LabelMap(labels)
        self.stored.project.set_corrections(self.image, found)

    @property
    def values(self) -> np.ndarray:
        corrections = self.stored.project.corrections(self.image)
        assert corrections is not None
        return corrections.values

    def paint(self, seed: int, side: int = 500) -> None:
        """Paint noise, which does not get smaller on disk."""
        labels = np.random.default_rng(seed).integers(0, 2**8 - 1, side * side).astype(np.uint8)
        region = Region(Box(0, 0, side, side), np.ones((side, side), bool))
        self.stored.project.edit(self.image, Edit(region, labels, "paint"))

    def on_disk(self) -> np.ndarray | None:
        from app.storage.project_file import ProjectFile

        file = ProjectFile(self.path)
        stored = file.stored_labels(self.image)
        file.close()
        return stored.decode() if stored else None


@pytest.fixture
def make(tmp_path: Path, qtbot: QtBot) -> Iterator[Callable[..., Bench]]:
    """Return a function that opens a project; all are closed at the end."""
    made: list[Bench] = []

    def new(folder: str = "work", history_bytes: int = 1 << 30) -> Bench:
        made.append(Bench(tmp_path / folder, history_bytes))
        return made[-1]

    yield new
    for bench in made:
        bench.stored.close()


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
    parents = [folder, *list(folder.parents)[:3]]
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


def test_a_history_of_thousands_opens_at_once(make: Callable[..., Bench]) -> None:
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
    start = time.perf_counter()
    again = make()
    assert time.perf_counter() - start < 1
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
    assert make().stored.project.status(bench.image) == "done"


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


def _loaded(bench: Bench, path: Path) -> LoadedImage:
    """Return what the disk worker would, of an image whose pixels do not matter."""
    image = np.zeros((*SIZE, 3), np.uint8)
    return LoadedImage(
        path, Picture(image), fingerprint_of(path), bench.stored.labels_of(path), None
    )


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
