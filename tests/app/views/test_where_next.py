"""Key N and the map of uncertainty, in the real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot
from skimage import data

from app.views.main_window import MainWindow

PATIENCE_MS = 60_000


@pytest.fixture
def opened(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> MainWindow:
    """Two small photographs in the window, the first one labeled by the model."""
    folder = tmp_path / "small"
    folder.mkdir()
    for name, crop in (("a", data.rocket()[200:320, 100:260]), ("b", data.astronaut()[:120, :160])):
        Image.fromarray(np.ascontiguousarray(crop)).save(folder / f"{name}.png")
    with qtbot.waitSignal(window.session.prediction_changed, timeout=PATIENCE_MS):
        window.session.open_paths([folder])
    return window


def say(window: MainWindow, unsure: list[tuple[slice, slice]]) -> None:
    """Let the model be unsure in these parts of the image shown, and nowhere else."""
    document = window.session.document
    assert document is not None
    assert document.prediction is not None
    uncertainty = np.zeros((document.height, document.width), np.uint8)
    for part in unsure:
        uncertainty[part] = 240
    document.set_prediction(document.prediction, 255 - uncertainty, uncertainty)


def center(window: MainWindow) -> tuple[float, float]:
    canvas = window.canvas
    return canvas.transform.to_image(canvas.width() / 2, canvas.height() / 2)


def test_the_models_own_margin_is_shown(opened: MainWindow, qtbot: QtBot) -> None:
    document = opened.session.document
    assert document is not None
    assert document.uncertainty is not None
    assert document.uncertainty.shape == (120, 160)
    before = opened.canvas.grab().toImage()
    qtbot.keyClick(opened, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    assert opened.actions_by_name["uncertainty"].isChecked()
    assert opened.canvas.grab().toImage() != before
    with qtbot.waitSignal(opened.session.insight.answered, timeout=PATIENCE_MS):
        opened.actions_by_name["gates"].trigger()  # one map at a time
    assert not opened.actions_by_name["uncertainty"].isChecked()
    opened.actions_by_name["uncertainty"].trigger()
    assert opened.gates.mode.value == "off"
    opened.actions_by_name["uncertainty"].trigger()
    assert opened.canvas.grab().toImage() == before


def test_goes_to_the_most_unsure_place_then_to_the_next_image(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None]
) -> None:
    say(opened, [(slice(20, 44), slice(100, 130))])
    zoom = opened.canvas.transform.zoom
    qtbot.keyClick(opened, Qt.Key.Key_N)
    x, y = center(opened)
    assert 100 <= x <= 130
    assert 20 <= y <= 44
    assert opened.canvas.transform.zoom > 1.5 * zoom
    assert "unsure here: 9" in opened.messages.text
    assert "pixels that nobody labeled" in opened.messages.text

    # What a person labeled is done with; nothing is left here, so the next image is shown.
    opened.canvas.fit()
    opened.options_bar.set_diameter(60)
    drag(opened, [(90.0, 32.0), (140.0, 32.0)])
    session = opened.session
    with qtbot.waitSignal(session.prediction_changed, timeout=PATIENCE_MS):
        qtbot.keyClick(opened, Qt.Key.Key_N)
    assert session.document is not None
    assert session.document.path.name == "b.png"
    assert "unsure here" in opened.messages.text or "no place left" in opened.messages.text


def test_says_when_there_is_nowhere_to_go(qtbot: QtBot, opened: MainWindow) -> None:
    session = opened.session
    assert session.document is not None
    session.project.images.remove(session.project.images[1])
    say(opened, [])
    qtbot.keyClick(opened, Qt.Key.Key_N)
    assert "no place left" in opened.messages.text
    assert session.document.path.name == "a.png"
