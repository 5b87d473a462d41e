"""Classes that the model lacks: learned from strokes alone, live and in the stored model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.inference.messages import Learned
from app.session import LabelingSession
from app.storage.project_file import ProjectFile
from app.views.main_window import MainWindow
from app.views.panels.class_start import ClassStart
from mdlstm_core.checkpoint import checkpoint_from_bytes
from mdlstm_core.config import IGNORE_INDEX


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """A red disc on a grey ground, which is nothing that the model knows."""
    folder = tmp_path / "discs"
    folder.mkdir()
    y, x = np.mgrid[:128, :160]
    inside = (y - 64) ** 2 + (x - 80) ** 2 < 40**2
    image = np.where(inside[..., None], (220, 30, 30), (120, 125, 120))
    noise = np.random.default_rng(0).integers(-8, 9, image.shape)
    Image.fromarray((image + noise).astype(np.uint8)).save(folder / "disc.png")
    return folder / "disc.png"


@pytest.fixture
def opened(qtbot: QtBot, window: MainWindow, disc: Path) -> MainWindow:
    with qtbot.waitSignal(window.session.prediction_changed):
        window.session.open_paths([disc])
    return window


def shown(window: MainWindow) -> np.ndarray:
    assert window.session.document is not None
    return window.session.document.displayed.copy()


def add_class(window: MainWindow, name: str) -> int:
    """Add a class as its button does, and name it; return its label."""
    window.actions_by_name["class-add"].trigger()
    added = window.session.project.classes.classes[-1]
    window.classes.rename_asked.emit(added.label, name)
    return added.label


def paint_disc(window: MainWindow, drag: Callable[..., None], disc: int, ground: int) -> None:
    """One stroke across the disc, one on each side of it."""
    window.classes.choose_label(disc)
    drag(window, [(55.0, 64.0), (105.0, 64.0)])
    window.classes.choose_label(ground)
    drag(window, [(10.0, 15.0), (10.0, 110.0)])
    drag(window, [(150.0, 15.0), (150.0, 110.0)])


def is_disc_found(labels: np.ndarray, disc: int) -> bool:
    """Whether most of the disc beyond the stroke, and little else, has its label."""
    is_disc = labels == disc
    return bool(is_disc[35:50, 70:90].mean() > 0.8 and is_disc[:15].mean() < 0.2)


def test_learned_live_and_by_the_stored_model(
    qtbot: QtBot,
    opened: MainWindow,
    disc: Path,
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
) -> None:
    session = opened.session
    assert session.model is not None
    own = [c.name for c in session.model.classes]
    label = add_class(opened, "disc")
    assert label == len(own)
    paint_disc(opened, drag, label, 2)
    with qtbot.waitSignal(session.prediction_changed):
        session.set_live(True)
    assert is_disc_found(shown(opened), label)
    session.set_live(False)

    with until_learned(session):
        opened.learning.ask()
    assert session.model is not None
    assert [c.name for c in session.model.classes] == [*own, "disc"]
    assert is_disc_found(shown(opened), label)

    # Renamed, closed and opened again, the project's model still knows the class.
    opened.classes.rename_asked.emit(label, "ball")
    assert session.project_path is not None
    path = session.project_path
    assert opened.close()
    again = LabelingSession(device="cpu")
    again.start_model()
    with qtbot.waitSignal(again.prediction_changed):
        again.open_paths([path])
    assert again.document is not None
    assert again.classes[label].name == "ball"
    prediction = again.document.prediction
    assert prediction is not None
    assert is_disc_found(prediction, label)
    again.close()


def test_starts_from_a_list_of_the_users(
    qtbot: QtBot,
    opened: MainWindow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    drag: Callable[..., None],
) -> None:
    names = tmp_path / "classes.txt"
    names.write_text("disc\nground\nsky\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_arguments: (str(names), ""))
    session = opened.session
    opened.actions_by_name["class-import"].trigger()
    assert [c.name for c in session.classes] == ["disc", "ground", "sky"]
    assert set(np.unique(shown(opened))) <= {2, IGNORE_INDEX}  # of these the model knows one
    paint_disc(opened, drag, 0, 1)
    with qtbot.waitSignal(session.prediction_changed):
        session.set_live(True)
    assert is_disc_found(shown(opened), 0)
    assert set(np.unique(shown(opened))) <= {0, 1, 2}
    assert session.project_path is not None
    session.journal.store()
    file = ProjectFile(session.project_path)
    assert file.model_classes() == ("", "", "sky")
    file.close()


@pytest.mark.parametrize("leave", ["undo", "delete", "merge"])
def test_a_class_that_leaves_in_the_middle_of_its_stroke_leaves_no_pixel_without_one(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None], leave: str
) -> None:
    session = opened.session
    opened.actions_by_name["class-add"].trigger()
    label = session.project.classes.classes[-1].label
    opened.classes.choose_label(label)
    drag(opened, [(40.0, 64.0), (100.0, 64.0)], release=False)
    if leave == "undo":
        opened.canvas.setFocus()
        qtbot.keyClick(opened, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    elif leave == "delete":
        session.delete_class(label)
    else:
        session.merge_class(label, 2)
    end = QPoint(*map(round, opened.canvas.transform.to_view(100.0, 64.0)))
    qtbot.mouseRelease(opened.canvas, Qt.MouseButton.LeftButton, pos=end)
    assert session.document is not None
    painted = set(np.unique(session.document.corrections.snapshot()).tolist())
    assert painted == ({2, IGNORE_INDEX} if leave == "merge" else {IGNORE_INDEX})
    assert session.journal.store()  # what reaches over all images can be undone then
    session.undo()
    labels = [c.label for c in session.project.classes.classes]
    if leave == "undo":
        assert label not in labels
    else:
        assert label in labels
        assert (session.document.corrections.snapshot() == label).any()


def test_merged_and_deleted_classes_go_on(
    qtbot: QtBot,
    opened: MainWindow,
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
) -> None:
    session = opened.session
    label = add_class(opened, "disc")
    paint_disc(opened, drag, label, 2)
    session.merge_class(label, 5)
    session.delete_class(0)
    with qtbot.waitSignal(session.prediction_changed):
        session.set_live(True)
    assert is_disc_found(shown(opened), 5)
    assert not np.isin(shown(opened), (label, 0)).any()
    with until_learned(session):
        session.learn(5)
    session.journal.store()
    assert session.project_path is not None
    file = ProjectFile(session.project_path)
    learned, base = file.load_model("learned"), file.load_model("base")
    file.close()
    assert learned is not None
    assert base is not None
    before = [c.name for c in checkpoint_from_bytes(base).classes]
    names = [c.name for c in checkpoint_from_bytes(learned).classes]
    assert sorted(names) == sorted(before[1:])


def test_figures_count_what_a_merged_class_is_given_as_right(
    qtbot: QtBot,
    labeled_window: MainWindow,
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
) -> None:
    """Painted with road where the model says sky, which is merged into road: it is right there."""
    session = labeled_window.session
    names = [c.name for c in session.classes]
    sky, road, tree = (names.index(name) for name in ("sky", "road", "tree"))
    for place in range(8):
        for label, left in ((road, 10.0), (tree, 500.0)):
            labeled_window.classes.choose_label(label)
            drag(labeled_window, [(left, 40.0 + 40 * place), (left + 80, 40.0 + 40 * place)])
    session.merge_class(sky, road)
    ends: list[Learned] = []
    session.teacher.learned.connect(ends.append)
    with until_learned(session):
        session.learn(5)
    (learned,) = ends
    assert learned.before is not None
    assert "sky" not in learned.before.classes
    road_among = learned.before.classes.index("road")
    assert learned.before.confusion[road_among, road_among] > 100


def learn_for(qtbot: QtBot, window: MainWindow, seconds: float) -> None:
    """Learn and wait until the new model has labeled the image."""
    session = window.session
    with qtbot.waitSignal(session.teacher.timeline.kept):
        session.learn(seconds)
    with qtbot.waitSignal(session.prediction_changed):
        pass


def test_begins_blank_and_learns_the_users_classes_alone(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None]
) -> None:
    session = opened.session
    start = opened.classes.findChild(ClassStart)
    assert start is not None
    assert start.isVisible()
    qtbot.mouseClick(start.blank, Qt.MouseButton.LeftButton)
    assert session.classes == ()
    assert not start.isVisible()
    assert (shown(opened) == IGNORE_INDEX).all()
    # Another model does not bring its classes along.
    with qtbot.waitSignal(session.model_changed):
        session.use_model("scene-33")
    assert session.classes == ()
    disc, ground = add_class(opened, "disc"), add_class(opened, "ground")
    paint_disc(opened, drag, disc, ground)
    learn_for(qtbot, opened, 8)
    assert session.model is not None
    assert [c.name for c in session.model.classes] == ["disc", "ground"]
    assert is_disc_found(shown(opened), disc)
    path = session.project_path
    assert path is not None
    assert opened.close()
    again = LabelingSession(device="cpu")
    again.open_paths([path])
    again.start_model()
    with qtbot.waitSignal(again.prediction_changed):
        pass
    assert [c.name for c in again.classes] == ["disc", "ground"]
    again.close()


def test_the_question_goes_once_it_is_answered_or_something_is_painted(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None]
) -> None:
    start = opened.classes.findChild(ClassStart)
    assert start is not None
    drag(opened, [(55.0, 64.0), (105.0, 64.0)])
    assert not start.isVisible()
    opened.session.undo()
    assert not start.isVisible()  # the project has a history now


def test_keeping_the_models_classes_closes_the_question(qtbot: QtBot, opened: MainWindow) -> None:
    start = opened.classes.findChild(ClassStart)
    assert start is not None
    before = opened.session.classes
    qtbot.mouseClick(start.model, Qt.MouseButton.LeftButton)
    assert not start.isVisible()
    assert opened.session.classes == before


def test_classes_merged_and_deleted_after_learning_leave_the_model_usable(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None]
) -> None:
    session = opened.session
    label = add_class(opened, "disc")
    paint_disc(opened, drag, label, 2)
    learn_for(qtbot, opened, 8)
    assert is_disc_found(shown(opened), label)
    session.merge_class(label, 5)
    assert is_disc_found(shown(opened), 5)  # at once, by the same model
    assert not (shown(opened) == label).any()
    session.delete_class(0)
    assert not np.isin(shown(opened), (label, 0)).any()
    with qtbot.waitSignal(session.prediction_changed):
        session.set_live(True)
    assert is_disc_found(shown(opened), 5)
    session.set_live(False)
    learn_for(qtbot, opened, 4)
    assert not np.isin(shown(opened), (label, 0)).any()
    session.undo()
    session.undo()
    assert (shown(opened) == label).any()
