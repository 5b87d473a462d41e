"""Strokes and models stay with their project, whatever is opened in between."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from app.document.class_table import ClassTable
from app.document.edit import edit_of_stroke
from app.document.stroke import Stroke
from app.exchange.project_access import writing_project
from app.session import LabelingSession
from app.storage.changes import SaveClasses
from app.storage.project_file import ProjectFile
from app.views.main_window import MainWindow
from mdlstm_core.checkpoint import checkpoint_from_bytes, load_checkpoint, save_checkpoint
from mdlstm_core.config import IGNORE_INDEX

LINE = [(100.0, 100.0), (200.0, 120.0)]


@pytest.fixture
def elsewhere(rocket: Path) -> Path:
    """The same photograph in another folder."""
    folder = rocket.parent.parent / "elsewhere"
    folder.mkdir()
    return Path(shutil.copy(rocket, folder / "other.png"))


def _open(qtbot: QtBot, session: LabelingSession, image: Path) -> None:
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([image])


@pytest.fixture
def learn(
    qtbot: QtBot, until_learned: Callable[..., AbstractContextManager[None]]
) -> Callable[[LabelingSession], None]:
    def learn(session: LabelingSession) -> None:
        with qtbot.waitSignal(session.progressed):
            session.learn(60)
        with until_learned(session):
            session.teacher.stop()

    return learn


def _models(project: Path) -> int:
    if not project.exists():
        return 0
    database = sqlite3.connect(project)
    (count,) = database.execute("SELECT count(*) FROM checkpoints").fetchone()
    database.close()
    return int(count)


def test_a_gesture_under_way_ends_on_its_own_image(
    qtbot: QtBot, labeled_window: MainWindow, two_photos: list[Path], drag: Callable[..., None]
) -> None:
    session = labeled_window.session
    drag(labeled_window, LINE, release=False)
    with qtbot.waitSignal(session.document_changed):
        session.open_paths([two_photos[1]])
    first, second = (session.stored.labels_of(path) for path in two_photos)
    assert first is not None
    assert (first != IGNORE_INDEX).any()
    assert second is None


def test_a_gesture_under_way_ends_in_its_own_project(
    qtbot: QtBot, labeled_window: MainWindow, elsewhere: Path, drag: Callable[..., None]
) -> None:
    session = labeled_window.session
    project, image = session.project_path, session.project.images[0]
    assert project is not None
    drag(labeled_window, LINE, release=False)
    _open(qtbot, session, elsewhere)
    stored = ProjectFile(project)
    labels = stored.stored_labels(image)
    stored.close()
    assert labels is not None
    assert (labels.decode() != IGNORE_INDEX).any()


@pytest.mark.parametrize("key", [Qt.Key.Key_E, Qt.Key.Key_B])
def test_changing_the_tool_keeps_the_stroke(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None], key: Qt.Key
) -> None:
    drag(labeled_window, LINE, release=False)
    qtbot.keyClick(labeled_window, key)
    assert labeled_window.session.document is not None
    assert not labeled_window.session.document.corrections.is_empty


def test_the_middle_button_does_not_lose_a_stroke(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None]
) -> None:
    canvas = labeled_window.canvas
    drag(labeled_window, LINE, release=False)
    qtbot.mousePress(canvas, Qt.MouseButton.MiddleButton, pos=QPoint(200, 200))
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=QPoint(210, 200))
    qtbot.mouseRelease(canvas, Qt.MouseButton.MiddleButton, pos=QPoint(210, 200))
    assert labeled_window.session.document is not None
    assert not labeled_window.session.document.corrections.is_empty


def test_without_classes_no_gesture_begins(
    qtbot: QtBot, window: MainWindow, rocket: Path, drag: Callable[..., None]
) -> None:
    window.canvas.set_classes(())
    with qtbot.waitSignal(window.session.document_changed, check_params_cb=bool):
        window.session.open_paths([rocket])
    window.canvas.set_classes(())
    drag(window, LINE)
    assert window.session.document is not None
    assert window.session.document.corrections.is_empty


def test_looking_at_images_leaves_no_file_behind(labeled_window: MainWindow, rocket: Path) -> None:
    assert labeled_window.close()
    assert [path.name for path in rocket.parent.iterdir()] == [rocket.name]


@pytest.mark.usefixtures("long_learning")
def test_a_model_learned_here_does_not_go_elsewhere(
    qtbot: QtBot,
    labeled_window: MainWindow,
    elsewhere: Path,
    drag: Callable[..., None],
    until_shown: Callable[..., AbstractContextManager[None]],
) -> None:
    session = labeled_window.session
    drag(labeled_window, LINE)
    with qtbot.waitSignal(session.progressed):
        session.learn(60)
    with (
        until_shown(session, elsewhere),
        qtbot.waitSignal(session._client.learning_failed),
    ):
        session.open_paths([elsewhere])
    drag(labeled_window, LINE)
    here = session.project_path
    assert here is not None
    labeled_window.close()
    assert _models(here) == 0
    assert _models(elsewhere.parent.parent / "photos" / "photos.mdlp") == 0


def test_each_project_has_its_own_model(
    qtbot: QtBot,
    labeled_window: MainWindow,
    elsewhere: Path,
    drag: Callable[..., None],
    learn: Callable[[LabelingSession], None],
) -> None:
    session = labeled_window.session
    first = session.project.images[0]
    drag(labeled_window, LINE)
    learn(session)
    assert session.document is not None
    learned = session.document.prediction
    _open(qtbot, session, elsewhere)
    assert session.document is not None
    shipped = session.document.prediction
    assert learned is not None
    assert shipped is not None
    assert (learned != shipped).any()
    _open(qtbot, session, first)
    assert session.document is not None
    np.testing.assert_array_equal(session.document.prediction, learned)


def _paint(session: LabelingSession, stroke: Stroke) -> None:
    document = session.document
    assert document is not None
    edit = edit_of_stroke(stroke, document.height, document.width)
    assert edit is not None
    session.edit(document.path, edit)


def test_learning_starts_from_the_model_that_the_project_started_with(
    qtbot: QtBot, rocket: Path, tmp_path: Path, learn: Callable[[LabelingSession], None]
) -> None:
    shipped = load_checkpoint("scene")
    renamed = tuple(dataclasses.replace(c, name=f"my {c.name}") for c in shipped.classes)
    mine = tmp_path / "mine.safetensors"
    save_checkpoint(dataclasses.replace(shipped, classes=renamed), mine)
    # At first with a model of the user's own, later without naming it again.
    for base in (mine, "scene"):
        session = LabelingSession(base, device="cpu")
        session.start_model()
        _open(qtbot, session, rocket)
        assert [c.name for c in session.classes] == [c.name for c in renamed]
        _paint(session, Stroke(((100.0, 100.0), (150.0, 120.0)), 9, 3))
        learn(session)
        session.close()
    stored = ProjectFile(rocket.parent / "photos.mdlp")
    base_bytes, learned = stored.load_model("base"), stored.load_model("learned")
    stored.close()
    assert base_bytes is not None
    assert learned is not None
    assert checkpoint_from_bytes(learned).classes == renamed
    kept = checkpoint_from_bytes(base_bytes)
    assert kept.classes == renamed
    for name, weight in shipped.weights.items():
        assert kept.weights[name].equal(weight), name


def test_a_second_window_shows_and_labels_but_does_not_paint(
    qtbot: QtBot, labeled_window: MainWindow, rocket: Path, drag: Callable[..., None]
) -> None:
    with qtbot.waitSignal(labeled_window.session.journal.stored):
        drag(labeled_window, LINE)
    assert labeled_window.session.document is not None
    painted = labeled_window.session.document.corrections.snapshot()
    session = LabelingSession(device="cpu")
    second = MainWindow(session)
    qtbot.addWidget(second)
    second.show()
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([rocket])
    assert "open in another window" in second.messages.text
    assert session.document is not None
    np.testing.assert_array_equal(session.document.corrections.values, painted)
    second.messages.hide()
    drag(second, [(300.0, 300.0), (400.0, 320.0)])
    session.undo()
    session.learn(1)
    np.testing.assert_array_equal(session.document.corrections.values, painted)
    assert second.messages.text.endswith("nothing can be changed here.")
    assert not session.is_learning
    second.close()


def test_undo_goes_on_after_a_restart(
    qtbot: QtBot, labeled_window: MainWindow, two_photos: list[Path], drag: Callable[..., None]
) -> None:
    session = labeled_window.session
    drag(labeled_window, LINE)
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([two_photos[1]])
    drag(labeled_window, LINE)
    labeled_window.close()
    again = LabelingSession(device="cpu")
    with qtbot.waitSignal(again.document_changed, check_params_cb=bool):
        again.open_paths([two_photos[1]])
    assert again.document is not None
    again.undo()
    assert again.document.corrections.is_empty
    # The step before was on the other image, which is shown.
    with qtbot.waitSignal(again.document_changed, check_params_cb=bool):
        again.undo()
    assert again.document.path == two_photos[0]
    assert again.document.corrections.is_empty
    again.redo()
    assert not again.document.corrections.is_empty
    again.close()


def test_merging_classes_takes_the_models_labels_along(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None]
) -> None:
    session = labeled_window.session
    document = session.document
    assert document is not None
    labeled_window.classes.choose(3)
    drag(labeled_window, LINE)
    before = document.displayed.copy()
    source, target = 3, int(np.bincount(before[before != 3].ravel()).argmax())
    session.merge_class(source, target)
    np.testing.assert_array_equal(document.displayed, np.where(before == 3, target, before))
    assert session.classes[3].name == ""
    qtbot.waitUntil(lambda: session.project.undo_stack.is_stored(2))
    session.undo()
    np.testing.assert_array_equal(document.displayed, before)
    assert session.classes[3].name != ""
    warnings: list[str] = []
    session.warned.connect(warnings.append)
    session.merge_class(1, 99)
    assert warnings == ["There is no class with the index 99."]


def test_a_locked_class_stays_whoever_labeled_it(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None]
) -> None:
    session = labeled_window.session
    document = session.document
    assert document is not None
    before = document.displayed.copy()
    labels = np.unique(before[95:125, 95:205])
    locked = int(np.bincount(before[95:125, 95:205].ravel()).argmax())
    other = next(label for label in range(len(session.classes)) if label not in labels)
    session.edit_classes(session.project.classes.lock(locked, True), "lock class")
    labeled_window.classes.choose(other)
    drag(labeled_window, LINE)
    assert (document.displayed[before == locked] == locked).all()
    session.edit_classes(session.project.classes.lock(locked, False), "unlock class")
    drag(labeled_window, LINE)
    assert (document.displayed[before == locked] == other).any()


def test_folders_are_opened_one_at_a_time(
    qtbot: QtBot, window: MainWindow, rocket: Path, elsewhere: Path
) -> None:
    window.session.open_paths([rocket, elsewhere])
    assert "one folder at a time" in window.messages.text
    assert window.session.document is None


def test_the_way_a_folder_is_named_does_not_matter(
    qtbot: QtBot, labeled_window: MainWindow, rocket: Path
) -> None:
    before = labeled_window.session.project_path
    labeled_window.session.open_paths([rocket.parent / ".." / rocket.parent.name])
    assert labeled_window.session.project_path == before
    assert labeled_window.session.project.images == [rocket]


def test_strokes_show_over_a_gate(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None]
) -> None:
    with qtbot.waitSignal(labeled_window.session.insight.answered):
        labeled_window.actions_by_name["gates"].trigger()
    before = labeled_window.canvas.grab().toImage()
    drag(labeled_window, LINE)
    assert labeled_window.canvas.grab().toImage() != before


def test_a_message_does_not_move_the_image(labeled_window: MainWindow) -> None:
    before, size = labeled_window.canvas.transform, labeled_window.canvas.size()
    labeled_window.messages.warn("Something happened.")
    assert labeled_window.canvas.size() == size
    assert labeled_window.canvas.transform == before
    assert labeled_window.messages.isVisible()


def test_nothing_is_under_way_once_a_project_without_images_is_open(
    qtbot: QtBot, small: MainWindow, tmp_path: Path
) -> None:
    empty = tmp_path / "empty" / "empty.mdlp"
    empty.parent.mkdir()
    with writing_project(empty, make=True) as project:
        project.commit([SaveClasses(ClassTable(), ())])
    session = small.session
    session.set_live(True)
    assert small.status.busy.text == "Labeling …"
    session.open_paths([empty])
    assert session.document is None
    qtbot.waitUntil(lambda: session._client.is_idle and session.model is not None)
    assert small.status.busy.text == ""
