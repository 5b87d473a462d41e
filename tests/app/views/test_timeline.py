"""The timeline of models in the real window: kept, compared, back to, exported, imported."""

from __future__ import annotations

import dataclasses
import io
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot
from skimage import data

from app.document.steps import Roles
from app.session import LabelingSession
from app.storage.project_file import ProjectFile
from app.views.main_window import MainWindow
from app.views.timeline_pictures import thumbnail
from mdlstm_core.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    path = folder / "a.png"
    Image.fromarray(np.ascontiguousarray(data.rocket()[200:360, 100:300])).save(path)
    return path


@pytest.fixture
def opened(qtbot: QtBot, window: MainWindow, photo_file: Path) -> Iterator[MainWindow]:
    with qtbot.waitSignal(window.session.prediction_changed):
        window.session.open_paths([photo_file])
    yield window
    window.session.journal.store()
    assert window.close()


def prediction(window: MainWindow) -> np.ndarray:
    document = window.session.document
    assert document is not None
    assert document.prediction is not None
    return document.prediction.copy()


def learn(
    qtbot: QtBot, window: MainWindow, drag: Callable[..., None], label: int, y: float
) -> None:
    window.classes.choose_label(label)
    drag(window, [(20.0, y), (180.0, y)])
    with qtbot.waitSignal(window.session.teacher.timeline.kept):
        window.session.learn(2)
    qtbot.settle(window.session)


def stored_roles(window: MainWindow) -> Roles | None:
    file = stored(window)
    roles = file.roles()
    file.close()
    return roles


def stored(window: MainWindow) -> ProjectFile:
    assert window.session.project_path is not None
    assert window.session.journal.store()
    return ProjectFile(window.session.project_path)


def test_each_training_is_kept_and_one_click_goes_back_undoably(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None]
) -> None:
    session, panel = opened.session, opened.learning_views.timeline
    timeline = session.teacher.timeline
    own = prediction(opened)
    assert panel.list.count() == 0
    learn(qtbot, opened, drag, 6, 40.0)
    first = prediction(opened)
    learn(qtbot, opened, drag, 2, 120.0)
    second = prediction(opened)
    assert (own != first).any()
    assert [row.origin for row in timeline.rows] == ["start", "learned", "learned"]
    assert timeline.roles == Roles(1, 3)
    assert timeline.rows[1].strokes_hash != timeline.rows[2].strokes_hash
    assert panel.list.count() == 3
    assert "serves" in panel.list.item(0).text()
    assert not panel.list.item(0).icon().isNull()
    assert timeline.rows[2].thumbnail.startswith(b"\x89PNG")

    steps = session.project.undo_stack.count()
    panel.choose(1)
    qtbot.mouseClick(panel.back, Qt.MouseButton.LeftButton)
    qtbot.settle(opened.session)
    np.testing.assert_array_equal(prediction(opened), own)
    assert session.project.undo_stack.count() == steps + 1
    assert "serves" in panel.list.item(2).text()
    assert stored_roles(opened) == Roles(1, 1)

    qtbot.keyClick(opened, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.settle(opened.session)
    np.testing.assert_array_equal(prediction(opened), second)
    qtbot.keyClick(opened, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    qtbot.settle(opened.session)
    np.testing.assert_array_equal(prediction(opened), own)

    # Closed and opened again, the same model serves, and the step can still be undone.
    path = session.project_path
    assert path is not None
    session.journal.store()
    again = LabelingSession(device="cpu")
    assert opened.close()
    again.start_model()
    with qtbot.waitSignal(again.prediction_changed):
        again.open_paths([path])
    assert again.document is not None
    np.testing.assert_array_equal(again.document.prediction, own)
    with qtbot.waitSignals([again.model_changed, again.prediction_changed]):
        again.undo()
    np.testing.assert_array_equal(again.document.prediction, second)
    again.close()


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("is_live", [False, True])
def test_each_model_has_its_picture_at_once(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None], is_live: bool
) -> None:
    session = opened.session
    timeline, document = session.teacher.timeline, session.document
    assert document is not None
    own = prediction(opened)
    session.set_live(is_live)
    learn(qtbot, opened, drag, 6, 40.0)
    learn(qtbot, opened, drag, 2, 120.0)
    qtbot.waitUntil(lambda: all(row.thumbnail for row in timeline.rows))
    pictures = [pixels(row.thumbnail) for row in timeline.rows]
    file = stored(opened)
    assert [row.thumbnail for row in file.checkpoints()] == [r.thumbnail for r in timeline.rows]
    file.close()
    # Each shows what its model says, with the strokes over it, and the image itself.
    session.set_live(False)
    for number, picture in enumerate(pictures, start=1):
        if timeline.roles != Roles(1, number):
            session.teacher.go_back(number)
        qtbot.settle(opened.session)
        said = prediction(opened)
        assert number != 1 or (said == own).all()
        free = document.corrections.values == 255
        shown = pixels(thumbnail(document.image, said, session.classes))
        assert (shown == picture)[free[::2, ::2]].all()


def test_two_are_compared_side_by_side_and_on_the_image(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None]
) -> None:
    session, panel = opened.session, opened.learning_views.timeline
    own = prediction(opened)
    learn(qtbot, opened, drag, 6, 40.0)
    first = prediction(opened)
    learn(qtbot, opened, drag, 2, 120.0)
    panel.choose(1, 2)
    qtbot.mouseClick(panel.compare, Qt.MouseButton.LeftButton)
    assert panel.comparison
    review, gives = session.review.changes, session.teacher.timeline.gives
    qtbot.waitUntil(lambda: review.models == (gives(1)(), gives(2)()) and review.compared == 1)
    assert session.document is not None
    free = session.document.corrections.values == 255
    assert sum(review.counts().values()) == ((own != first) & free).sum()


def test_a_model_goes_out_as_a_file_and_comes_in_undoably(
    qtbot: QtBot,
    opened: MainWindow,
    drag: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session, panel = opened.session, opened.learning_views.timeline
    learn(qtbot, opened, drag, 6, 40.0)
    learned = prediction(opened)
    file = tmp_path / "out.safetensors"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_a: (str(file), ""))
    panel.choose(2)
    with qtbot.waitSignal(session.said):
        qtbot.mouseClick(panel.export, Qt.MouseButton.LeftButton)
    assert file.read_bytes() == session.teacher.timeline.gives(2)()
    load_checkpoint(file)

    shipped = load_checkpoint("scene")
    weights = {name: weight * 0.9 for name, weight in shipped.weights.items()}
    other = tmp_path / "other.safetensors"
    save_checkpoint(dataclasses.replace(shipped, weights=weights), other)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_a: (str(other), ""))
    with qtbot.waitSignal(session.teacher.timeline.kept):
        qtbot.mouseClick(panel.import_, Qt.MouseButton.LeftButton)
    qtbot.settle(opened.session)
    timeline = session.teacher.timeline
    assert [row.origin for row in timeline.rows] == ["start", "learned", "imported"]
    assert timeline.roles == Roles(3, 3)  # learning starts from it from now on
    assert session.teacher.base == other.read_bytes()
    assert (prediction(opened) != learned).any()
    session.undo()
    assert session.teacher.base == timeline.gives(1)()  # at once: Learn may be next
    qtbot.settle(opened.session)
    assert timeline.roles == Roles(1, 2)
    np.testing.assert_array_equal(prediction(opened), learned)


def test_a_disk_without_room_for_a_model_keeps_the_old_one_and_the_strokes(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None]
) -> None:
    session = opened.session
    own = prediction(opened)
    opened.classes.choose_label(6)
    drag(opened, [(20.0, 40.0), (180.0, 40.0)])
    assert session.journal.store()
    writer = session.journal._writer
    assert writer is not None
    assert writer._database is not None
    (pages,) = writer._database.execute("PRAGMA page_count").fetchone()
    writer._database.execute(f"PRAGMA max_page_count = {pages + 40}")
    with qtbot.waitSignal(session.teacher.timeline.let_go):
        session.learn(2)
    assert "cannot be stored, so the model before stays" in opened.messages.text
    assert opened.learning.state == "<b>Not stored.</b> The model before serves."
    assert not opened.learning.figures.isVisible()
    # A stroke that follows is stored: nothing stands in its way.
    drag(opened, [(20.0, 120.0), (180.0, 120.0)])
    assert session.journal.store()
    qtbot.settle(opened.session)
    np.testing.assert_array_equal(prediction(opened), own)
    assert session.teacher.timeline.rows == ()
    writer._database.execute("PRAGMA max_page_count = 1000000")
    with qtbot.waitSignal(session.teacher.timeline.kept):
        session.learn(2)


def test_the_timeline_is_held_to_its_bytes_and_says_so(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None]
) -> None:
    session = opened.session
    timeline = session.teacher.timeline
    learn(qtbot, opened, drag, 6, 40.0)
    said: list[str] = []
    session.said.connect(said.append)
    timeline.most_bytes = 2 * timeline.rows[0].size + 1000
    learn(qtbot, opened, drag, 2, 120.0)
    assert [row.number for row in timeline.rows] == [1, 3]  # the first one is learned from
    assert any("oldest models leave" in text for text in said)
    file = stored(opened)
    assert [row.number for row in file.checkpoints()] == [1, 3]
    file.close()


def test_going_back_is_refused_while_the_model_learns(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None], long_learning: None
) -> None:
    session, panel = opened.session, opened.learning_views.timeline
    learn(qtbot, opened, drag, 6, 40.0)
    serving = prediction(opened)
    session.learn(30)
    panel.choose(1)
    qtbot.mouseClick(panel.back, Qt.MouseButton.LeftButton)
    assert "is learning" in opened.messages.text
    with qtbot.waitSignal(session.learning_changed):
        qtbot.mouseClick(opened.learning._cancel, Qt.MouseButton.LeftButton)
    assert "Nothing was kept" in opened.learning.state
    qtbot.settle(opened.session)
    np.testing.assert_array_equal(prediction(opened), serving)
    assert len(session.teacher.timeline.rows) == 2


def test_a_damaged_stored_model_gives_way_to_its_base(
    qtbot: QtBot, opened: MainWindow, photo_file: Path, drag: Callable[..., None]
) -> None:
    learn(qtbot, opened, drag, 6, 40.0)
    project = opened.session.project_path
    assert project is not None
    assert opened.close()
    database = sqlite3.connect(project)
    database.execute("UPDATE checkpoints SET checkpoint = x'00' WHERE origin = 'learned'")
    database.commit()
    database.close()
    session = LabelingSession(device="cpu")
    warnings: list[str] = []
    session.warned.connect(warnings.append)
    session.open_paths([photo_file])
    with qtbot.waitSignal(session.prediction_changed):
        session.start_model()
    assert "base model serves" in warnings[0]
    session.close()


def damaged_file(path: Path, content: str) -> Path:
    path.write_bytes(b"hello")
    if content == "weights that are no numbers":
        shipped = load_checkpoint("scene")
        weights = {name: weight * np.nan for name, weight in shipped.weights.items()}
        save_checkpoint(dataclasses.replace(shipped, weights=weights), path)
    return path


@pytest.mark.parametrize("content", ["no model at all", "weights that are no numbers"])
def test_a_damaged_file_changes_nothing_of_a_model_that_learned(
    qtbot: QtBot,
    opened: MainWindow,
    drag: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str,
) -> None:
    session, panel = opened.session, opened.learning_views.timeline
    learn(qtbot, opened, drag, 6, 40.0)
    learned, rows = prediction(opened), session.teacher.timeline.rows
    file = damaged_file(tmp_path / "other.safetensors", content)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_a: (str(file), ""))
    with qtbot.waitSignal(session.warned):
        qtbot.mouseClick(panel.import_, Qt.MouseButton.LeftButton)
    assert str(file) in opened.messages.text
    assert "The model before stays" in opened.messages.text
    with qtbot.waitSignal(session.warned):
        session.use_model(file)
    qtbot.settle(opened.session)
    np.testing.assert_array_equal(prediction(opened), learned)
    assert session.teacher.timeline.rows == rows
    assert session.teacher.timeline.roles == Roles(1, 2)
    assert session.teacher.base == session.teacher.timeline.gives(1)()
    learn(qtbot, opened, drag, 2, 120.0)
    assert session.teacher.timeline.roles == Roles(1, 3)


BREAK = "UPDATE checkpoints SET checkpoint = x'00'"


def damage(window: MainWindow, command: str) -> None:
    """Change the checkpoints in the project file behind the program's back."""
    assert window.session.journal.store()
    assert window.session.project_path is not None
    database = sqlite3.connect(window.session.project_path)
    database.execute(command)
    database.commit()
    database.close()


@pytest.mark.parametrize("how", [BREAK, "DELETE FROM checkpoints"])
def test_going_back_to_a_damaged_model_changes_nothing(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None], how: str
) -> None:
    session, panel = opened.session, opened.learning_views.timeline
    learn(qtbot, opened, drag, 6, 40.0)
    learn(qtbot, opened, drag, 2, 120.0)
    serving, steps = prediction(opened), session.project.undo_stack.count()
    damage(opened, f"{how} WHERE number = 2")
    panel.choose(2)
    with qtbot.waitSignal(session.warned):
        qtbot.mouseClick(panel.back, Qt.MouseButton.LeftButton)
    qtbot.settle(opened.session)
    np.testing.assert_array_equal(prediction(opened), serving)
    assert session.project.undo_stack.count() == steps
    assert session.teacher.timeline.roles == Roles(1, 3)
    assert stored_roles(opened) == Roles(1, 3)


def test_taking_back_a_step_to_a_damaged_model_leaves_the_present_one(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None]
) -> None:
    session, panel = opened.session, opened.learning_views.timeline
    learn(qtbot, opened, drag, 6, 40.0)
    panel.choose(1)
    with qtbot.waitSignal(session.model_changed):
        qtbot.mouseClick(panel.back, Qt.MouseButton.LeftButton)
    qtbot.settle(opened.session)
    own = prediction(opened)
    damage(opened, f"{BREAK} WHERE number = 2")
    with qtbot.waitSignal(session.warned):
        qtbot.keyClick(opened, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.settle(opened.session)
    np.testing.assert_array_equal(prediction(opened), own)
    assert "serves" in panel.list.item(1).text()
    assert session.teacher.timeline.roles == Roles(1, 1)
    assert stored_roles(opened) == Roles(1, 1)
