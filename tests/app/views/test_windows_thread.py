"""What takes long is not done on the window's thread, and not again without need."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.document.label_map import LabelMap
from app.storage.project_file import ProjectFile
from app.views.main_window import MainWindow

pytestmark = pytest.mark.usefixtures("few_steps")


@pytest.fixture
def learned(qtbot: QtBot, small: MainWindow, drag: Callable[..., None]) -> MainWindow:
    """The window after a training; the model labels the image, and both models have looked."""
    small.classes.choose_label(6)
    drag(small, [(20.0, 40.0), (180.0, 40.0)])
    learn(qtbot, small)
    return small


def learn(qtbot: QtBot, window: MainWindow) -> None:
    with qtbot.waitSignal(window.session.teacher.timeline.kept):
        window.session.learn(120)
    qtbot.settle(window.session)
    survey = window.session.review.survey
    qtbot.waitUntil(lambda: window.session.review.changes.compared == 2 and survey.is_resting)


def test_no_checkpoint_is_read_there(
    qtbot: QtBot,
    learned: MainWindow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session, panel = learned.session, learned.learning_views.timeline
    readers: dict[int, list[bool]] = {1: [], 2: []}
    load, here = ProjectFile.load_checkpoint, threading.get_ident()

    def noted(file: ProjectFile, number: int) -> bytes | None:
        readers.setdefault(number, []).append(threading.get_ident() == here)
        return load(file, number)

    monkeypatch.setattr(ProjectFile, "load_checkpoint", noted)
    roles = session.teacher.timeline.roles
    panel.choose(1)
    with qtbot.waitSignal(session.model_changed):
        qtbot.mouseClick(panel.back, Qt.MouseButton.LeftButton)
    assert session.teacher.timeline.roles != roles
    with qtbot.waitSignal(session.model_changed):
        session.undo()
    assert session.teacher.timeline.roles == roles
    qtbot.settle(session)
    panel.choose(1, 2)
    models = session.review.changes.models
    qtbot.mouseClick(panel.compare, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.review.changes.models is not models)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "out"), ""))
    panel.choose(2)
    with qtbot.waitSignal(session.said):
        qtbot.mouseClick(panel.export, Qt.MouseButton.LeftButton)
    learn(qtbot, learned)
    assert len(readers[1]) >= 3  # gone back to, compared, learned from
    assert len(readers[2]) >= 3  # gone forward to, compared, written
    assert not any(is_here for found in readers.values() for is_here in found)


def test_a_model_is_of_the_project_in_which_it_was_exported(
    qtbot: QtBot, learned: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, out = learned.session, tmp_path / "out.safetensors"
    timeline, project, may_go_on = session.teacher.timeline, session.stored.path, threading.Event()
    expected, load = timeline.gives(2)(), ProjectFile.load_checkpoint

    def late(file: ProjectFile, number: int) -> bytes | None:
        assert may_go_on.wait(60)
        return load(file, number)

    monkeypatch.setattr(ProjectFile, "load_checkpoint", late)
    timeline.export(2, out)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (60, 40)).save(elsewhere / "dark.png")
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([elsewhere])
    assert session.stored.path != project
    with qtbot.waitSignal(session.said) as said:
        may_go_on.set()
    assert said.args == [f"Exported {out}."]
    assert out.read_bytes() == expected


def test_counting_anew_copies_no_label_map(
    qtbot: QtBot,
    learned: MainWindow,
    drag: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    review = learned.session.review.changes
    before, copies = review.counts(), []
    monkeypatch.setattr(LabelMap, "snapshot", lambda self: copies.append(self) or self.values)
    drag(learned, [(20.0, 80.0), (180.0, 80.0)])
    qtbot.waitUntil(lambda: review.counts() != before)
    assert copies == []


def test_pictures_of_the_timeline_are_drawn_once(qtbot: QtBot, learned: MainWindow) -> None:
    session, panel = learned.session, learned.learning_views.timeline
    qtbot.waitUntil(lambda: all(row.thumbnail for row in session.teacher.timeline.rows))

    def pictures() -> list[int]:
        return [panel.list.item(n).icon().cacheKey() for n in range(panel.list.count())]

    before = pictures()
    assert len(set(before)) == 2
    name = session.project.classes.classes[0].name
    session.edit_classes(session.project.classes.rename(0, f"another {name}"), "Rename a class")
    assert pictures() == before
