"""The whole loop on a real photograph with the shipped model, by mouse and keys."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.session import LabelingSession
from app.views.main_window import MainWindow
from mdlstm_core.config import IGNORE_INDEX

STROKE = [(420.0, 60.0), (520.0, 80.0), (600.0, 200.0)]


def _canvas_color(window: MainWindow, x: int, y: int) -> tuple[int, int, int]:
    """Return the colour of the canvas in the middle of a pixel of the image."""
    window.canvas.setFocus()
    picture = window.canvas.grab().toImage()
    ratio = picture.devicePixelRatio()
    place_x, place_y = window.canvas.transform.to_view(x + 0.5, y + 0.5)
    color = picture.pixelColor(int(place_x * ratio), int(place_y * ratio))
    return color.red(), color.green(), color.blue()


def test_open_correct_learn_look_export(
    qtbot: QtBot,
    labeled_window: MainWindow,
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
    tmp_path: Path,
) -> None:
    window, session = labeled_window, labeled_window.session
    document, model = session.document, session.model
    assert document is not None
    assert model is not None
    first = document.displayed.copy()
    assert first.max() < len(model.classes)

    # A class that the model does not see along the stroke.
    wrong = int(np.bincount(first[60:200, 420:600].ravel()).argmax())
    label = next(n for n in range(len(model.classes)) if n != wrong)
    qtbot.keyClick(window, getattr(Qt.Key, f"Key_{label + 1}"))
    drag(window, STROKE)
    painted = document.corrections.values != IGNORE_INDEX
    assert painted.sum() > 1000
    assert (document.displayed[painted] == label).all()
    assert (document.displayed[~painted] == first[~painted]).all()

    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (document.displayed == first).all()
    assert (document.corrections.values == IGNORE_INDEX).all()
    qtbot.keyClick(window, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert ((document.corrections.values != IGNORE_INDEX) == painted).all()

    before = document.prediction
    assert before is not None
    share_before = (before[painted] == label).mean()
    with until_learned(session):
        qtbot.keyClick(window, Qt.Key.Key_L)
        assert session.is_learning
    after = document.prediction
    assert after is not None
    assert (after[painted] == label).mean() > max(share_before + 0.5, 0.6)
    assert (document.displayed[painted] == label).all()

    with qtbot.waitSignal(session.insight.answered) as shown:
        window.actions_by_name["gates"].trigger()
    values = shown.args[0].found.values
    assert values.ndim == 2
    assert 0 <= values.min() < values.max() <= 1
    with_gates = window.canvas.grab().toImage()
    window.actions_by_name["gates"].trigger()
    assert window.canvas.grab().toImage() != with_gates

    _check_export(qtbot, window, tmp_path / "mask.png")


def _check_export(qtbot: QtBot, window: MainWindow, mask: Path) -> None:
    """Export, read the file back by another library, and compare with the canvas."""
    document, model = window.session.document, window.session.model
    assert document is not None
    assert model is not None
    with qtbot.waitSignal(window.session.exported):
        window.session.export_label_map(mask)
    with Image.open(mask) as image:
        assert image.mode == "P"
        assert image.size == (document.width, document.height)
    np.testing.assert_array_equal(np.array(Image.open(mask)), document.displayed)
    colors = cv2.imread(str(mask), cv2.IMREAD_COLOR_RGB)
    window.canvas.set_opacity(1.0)
    window.canvas.zoom_to_pixels()
    for x, y in ((300, 200), (420, 150), (520, 300)):
        assert _canvas_color(window, x, y) == tuple(int(v) for v in colors[y, x])


def test_corrections_survive_a_restart(
    qtbot: QtBot, labeled_window: MainWindow, rocket: Path, drag: Callable[..., None]
) -> None:
    session = labeled_window.session
    assert session.document is not None
    with qtbot.waitSignal(session.journal.stored):
        drag(labeled_window, STROKE)
    painted = session.document.corrections.snapshot()
    assert session.project_path is not None
    qtbot.waitUntil(lambda: not session.journal.has_unsaved)
    # As if the process were killed now: nothing but what is on disk already.
    for file in rocket.parent.glob("photos.mdlp*"):
        shutil.copy(file, rocket.parent.parent / file.name)
    shutil.copy(rocket, rocket.parent.parent / rocket.name)
    copy = LabelingSession(device="cpu")
    with qtbot.waitSignal(copy.document_changed, check_params_cb=bool):
        copy.open_paths([rocket.parent.parent / "photos.mdlp"])
    assert copy.document is not None
    np.testing.assert_array_equal(copy.document.corrections.values, painted)
    assert [c.name for c in copy.classes] == [c.name for c in session.classes]
    copy.close()
