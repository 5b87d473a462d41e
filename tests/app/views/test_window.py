"""Gestures, images and the model's threads, in the real window."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.gate_pictures import NAMES
from app.session import LabelingSession
from app.settings import Settings, save_settings
from app.storage.project_writer import ProjectWriter
from app.views.main_window import MainWindow
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError

LINE = [(100.0, 100.0), (200.0, 120.0)]


def _corrected(window: MainWindow) -> int:
    assert window.session.document is not None
    return int((window.session.document.corrections.values != IGNORE_INDEX).sum())


def test_escape_drops_the_stroke_under_way(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None]
) -> None:
    drag(labeled_window, LINE, release=False)
    qtbot.keyClick(labeled_window, Qt.Key.Key_Escape)
    drag_end = QPointF(*labeled_window.canvas.transform.to_view(200, 120)).toPoint()
    qtbot.mouseRelease(labeled_window.canvas, Qt.MouseButton.LeftButton, pos=drag_end)
    assert _corrected(labeled_window) == 0
    assert not labeled_window.session.project.undo_stack.canUndo()


def test_shift_and_the_eraser_take_corrections_back(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None]
) -> None:
    drag(labeled_window, LINE)
    assert _corrected(labeled_window) > 0
    drag(labeled_window, LINE, shift=True)
    assert _corrected(labeled_window) == 0
    drag(labeled_window, LINE)
    qtbot.keyClick(labeled_window, Qt.Key.Key_E)
    drag(labeled_window, LINE)
    assert _corrected(labeled_window) == 0


def test_a_fast_stroke_has_no_gaps(labeled_window: MainWindow, drag: Callable[..., None]) -> None:
    drag(labeled_window, [(10.0, 200.0), (630.0, 210.0)])
    assert labeled_window.session.document is not None
    painted = labeled_window.session.document.corrections.values != IGNORE_INDEX
    assert painted[:, 10:630].any(axis=0).all()


def test_brackets_change_the_brush(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None]
) -> None:
    drag(labeled_window, [(300.0, 300.0)])
    small = _corrected(labeled_window)
    for _ in range(4):
        qtbot.keyClick(labeled_window, Qt.Key.Key_BracketRight)
    drag(labeled_window, [(300.0, 300.0)])
    assert _corrected(labeled_window) > 2 * small
    for _ in range(40):
        qtbot.keyClick(labeled_window, Qt.Key.Key_BracketLeft)
    labeled_window.session.undo()
    labeled_window.session.undo()
    drag(labeled_window, [(300.5, 300.5)])
    assert _corrected(labeled_window) == 1


def test_the_wheel_zooms_to_the_pointer(labeled_window: MainWindow) -> None:
    canvas = labeled_window.canvas
    place = QPointF(*canvas.transform.to_view(100, 50))
    zoom = canvas.transform.zoom
    event = QWheelEvent(
        place,
        canvas.mapToGlobal(place),
        QPoint(),
        QPoint(0, 240),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(canvas, event)
    assert canvas.transform.zoom == pytest.approx(zoom * 1.25**2)
    assert canvas.transform.to_view(100, 50) == pytest.approx((place.x(), place.y()))


@pytest.mark.parametrize("with_space", [True, False])
def test_pans(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None], with_space: bool
) -> None:
    canvas = labeled_window.canvas
    before = canvas.transform
    start, end = QPoint(200, 200), QPoint(260, 170)
    button = Qt.MouseButton.LeftButton if with_space else Qt.MouseButton.MiddleButton
    if with_space:
        qtbot.keyPress(canvas, Qt.Key.Key_Space)
    qtbot.mousePress(canvas, button, pos=start)
    qtbot.mouseMove(canvas, end)
    qtbot.mouseRelease(canvas, button, pos=end)
    if with_space:
        qtbot.keyRelease(canvas, Qt.Key.Key_Space)
    assert (canvas.transform.left, canvas.transform.top) == pytest.approx(
        (before.left + 60, before.top - 30)
    )
    assert _corrected(labeled_window) == 0


def test_steps_through_images_and_undo_shows_the_image_it_changes(
    qtbot: QtBot, window: MainWindow, two_photos: list[Path], drag: Callable[..., None]
) -> None:
    session = window.session
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([two_photos[0].parent])
    assert session.project.images == two_photos
    drag(window, LINE)
    first = session.document
    with qtbot.waitSignal(session.document_changed):
        qtbot.keyClick(window, Qt.Key.Key_D)
    assert session.document is not None
    assert session.document.path == two_photos[1]
    assert _corrected(window) == 0
    with qtbot.waitSignal(session.document_changed):
        qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert session.document.path == two_photos[0]
    assert session.document is not first
    assert _corrected(window) == 0
    qtbot.keyClick(window, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert _corrected(window) > 0


def test_stops_learning_early_and_keeps_what_was_learned(
    qtbot: QtBot,
    labeled_window: MainWindow,
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
) -> None:
    session = labeled_window.session
    drag(labeled_window, LINE)
    steps = []
    session.progressed.connect(steps.append)
    with until_learned(session):
        with qtbot.waitSignal(session.progressed):
            qtbot.mouseClick(labeled_window.learning._learn, Qt.MouseButton.LeftButton)
        qtbot.mouseClick(labeled_window.learning._stop, Qt.MouseButton.LeftButton)
    assert len(steps) < steps[0].steps
    assert not session.is_learning


@pytest.mark.usefixtures("long_learning")
def test_another_image_is_labeled_while_the_model_learns(
    qtbot: QtBot,
    labeled_window: MainWindow,
    two_photos: list[Path],
    drag: Callable[..., None],
    until_shown: Callable[..., AbstractContextManager[None]],
) -> None:
    session = labeled_window.session
    drag(labeled_window, LINE)
    with qtbot.waitSignal(session.progressed):
        session.learn(60)
    with until_shown(session, two_photos[1]):
        session.open_paths([two_photos[1]])
    assert session.is_learning
    assert session.document is not None
    assert session.document.path == two_photos[1]
    drag(labeled_window, [(50.0, 50.0), (90.0, 60.0)])
    assert _corrected(labeled_window) > 0


def test_closes_in_the_middle_of_learning(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None]
) -> None:
    session = labeled_window.session
    drag(labeled_window, LINE)
    with qtbot.waitSignal(session.progressed):
        session.learn(60)
    assert labeled_window.close()


def test_closes_before_the_model_answered(window: MainWindow, rocket: Path) -> None:
    window.session.open_paths([rocket])
    assert window.close()


def test_there_is_nothing_to_learn_without_corrections(labeled_window: MainWindow) -> None:
    labeled_window.session.learn(1)
    assert "paint a correction first" in labeled_window.messages.text
    assert not labeled_window.session.is_learning


def test_says_what_is_wrong_with_a_file(qtbot: QtBot, window: MainWindow, rocket: Path) -> None:
    session = window.session
    empty = rocket.with_name("empty.png")
    empty.touch()
    truncated = rocket.with_name("truncated.png")
    truncated.write_bytes(rocket.read_bytes()[:20_000])
    text = rocket.with_name("text.png")
    text.write_text("no image")
    for path in (empty, truncated, text):
        with qtbot.waitSignal(session.image_failed):
            session.open_paths([path])
        assert path.name in window.messages.text
        assert window.messages.text.count(". ") == 0
    session.open_paths([rocket.with_name("missing.png")])
    assert "missing.png" in window.messages.text
    empty_folder = rocket.parent / "empty"
    empty_folder.mkdir()
    session.open_paths([empty_folder])
    assert "has no images" in window.messages.text
    # A broken file among others does not stop the rest.
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([rocket])


def test_export_into_an_impossible_place_is_said(
    qtbot: QtBot, labeled_window: MainWindow, rocket: Path
) -> None:
    with qtbot.waitSignal(labeled_window.session.warned):
        labeled_window.session.export_label_map(rocket / "mask.png")
    assert "cannot be written" in labeled_window.messages.text


def test_a_damaged_model_is_said_and_nothing_dies(
    qtbot: QtBot, rocket: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no model")
    session = LabelingSession(bad, device="cpu")
    with qtbot.waitSignal(session.warned) as said:
        session.start_model()
    assert "bad.safetensors" in said.args[0]
    with qtbot.waitSignal(session.document_changed):
        session.open_paths([rocket])
    session.close()


def test_a_model_with_foreign_classes_is_refused(
    qtbot: QtBot,
    labeled_window: MainWindow,
    rocket: Path,
    tmp_path: Path,
    drag: Callable[..., None],
) -> None:
    import dataclasses

    from mdlstm_core.checkpoint import load_checkpoint, save_checkpoint

    shipped = load_checkpoint("scene")
    renamed = tuple(dataclasses.replace(c, name=f"my {c.name}") for c in shipped.classes)
    foreign = tmp_path / "foreign.safetensors"
    save_checkpoint(dataclasses.replace(shipped, classes=renamed), foreign)
    drag(labeled_window, LINE)
    labeled_window.close()
    session = LabelingSession(foreign, device="cpu")
    session.open_paths([rocket])
    with qtbot.waitSignal(session.warned) as said:
        session.start_model()
    assert "was labeled with the classes sky, tree" in said.args[0]
    assert session.model is None
    session.close()


def test_strokes_stay_when_they_cannot_be_stored(
    qtbot: QtBot,
    labeled_window: MainWindow,
    drag: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = labeled_window.session
    assert session.journal.file is not None

    def fail(*_arguments: object) -> None:
        raise InputError("The project cannot be written: disk full.")

    with monkeypatch.context() as broken:
        broken.setattr(ProjectWriter, "commit", fail)
        with qtbot.waitSignal(session.journal.failed):
            drag(labeled_window, LINE)
        assert "memory only" in labeled_window.messages.text
        assert _corrected(labeled_window) > 0
        assert not labeled_window.close()
        assert labeled_window.isVisible()
    with qtbot.waitSignal(session.journal.recovered):
        session.stored.save()
    assert not session.journal.has_unsaved
    assert session.document is not None
    stored = session.journal.file.stored_labels(session.document.path)
    assert stored is not None
    np.testing.assert_array_equal(stored.decode(), session.document.corrections.values)


def test_an_image_replaced_by_another_size_is_refused(
    qtbot: QtBot, labeled_window: MainWindow, two_photos: list[Path], drag: Callable[..., None]
) -> None:
    from PIL import Image

    rocket, other = two_photos
    session = labeled_window.session
    drag(labeled_window, LINE)
    with qtbot.waitSignal(session.document_changed):
        session.open_paths([other])
    with Image.open(rocket) as image:
        smaller = image.resize((64, 48))
    smaller.save(rocket)
    with qtbot.waitSignal(session.image_failed) as said:
        session.open_image(rocket)
    assert "put the image back" in said.args[1]
    assert session.document is not None
    assert session.document.path == other
    assert labeled_window.images.list.currentIndex().data() == other.name


_FIRST_FRAME = """
import sys
from PySide6.QtWidgets import QApplication
from app.session import LabelingSession
from app.views.main_window import MainWindow

application = QApplication([])
window = MainWindow(LabelingSession(device="cpu"))
seen = []
window.canvas.first_painted.connect(lambda: seen.append("torch" in sys.modules))
window.show()
while not seen:
    application.processEvents()
window.close()
print(seen)
"""


def test_the_first_frame_comes_before_torch() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", _FIRST_FRAME],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert answer.stdout.strip() == "[False]"


def test_without_a_display_the_loop_leaves_its_results(tmp_path: Path) -> None:
    save_settings(Settings(learning_seconds=5))
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    answer = subprocess.run(
        [sys.executable, "-m", "app", "--sample", "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"QT_QPA_PLATFORM": "offscreen"},
    )
    assert answer.stdout.startswith("There is no display")
    for name in ("mask.png", "overlay.png", "window.png", "window-dark.png", *NAMES):
        assert (tmp_path / "out" / name).stat().st_size > 1000
