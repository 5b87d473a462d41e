"""What the status line says of the pixel under the pointer: the values of the file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.session import LabelingSession
from app.views.main_window import MainWindow
from mdlstm_core.data import images

HEIGHT, WIDTH = 40, 60
X, Y = 50, 7


@pytest.fixture
def opened(qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    monkeypatch.setattr(LabelingSession, "start_model", lambda _self: None)
    window.show()
    return window


def _said(qtbot: QtBot, window: MainWindow, path: Path, x: int = X, y: int = Y) -> str:
    """Open an image, point at a pixel, and return what the status line says of it."""
    with qtbot.waitSignal(window.session.document_changed, check_params_cb=bool):
        window.open_paths([path])
    return _said_at(window, x, y)


def _said_at(window: MainWindow, x: int, y: int) -> str:
    at = QPointF(*window.canvas.transform.to_view(x + 0.5, y + 0.5))
    none = Qt.MouseButton.NoButton
    moved = QMouseEvent(
        QEvent.Type.MouseMove,
        at,
        QPointF(window.canvas.mapToGlobal(at)),
        none,
        none,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(window.canvas, moved)
    return window.status.pixel.text()


@pytest.mark.parametrize("kind", ["uint16", "int16", "uint32", "int32", "float32", "float64"])
def test_of_one_channel(qtbot: QtBot, opened: MainWindow, tmp_path: Path, kind: str) -> None:
    values = np.random.default_rng(1).uniform(0, 30_000, (HEIGHT, WIDTH)).astype(kind)
    tifffile.imwrite(tmp_path / "wide.tif", values)
    assert f"x {X}  y {Y}  ·  value {values[Y, X]!s}" in _said(qtbot, opened, tmp_path / "wide.tif")


def test_of_colors(qtbot: QtBot, opened: MainWindow, tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 65_536, (HEIGHT, WIDTH, 3)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "wide.png"), values[..., ::-1])
    red, green, blue = values[Y, X]
    assert f"R {red} G {green} B {blue}" in _said(qtbot, opened, tmp_path / "wide.png")


def test_of_an_image_that_is_turned(qtbot: QtBot, opened: MainWindow, tmp_path: Path) -> None:
    values = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 20
    tifffile.imwrite(tmp_path / "wide.tif", values, extratags=[(274, "H", 1, 6, True)])
    upright = np.rot90(values, -1)
    assert f"value {upright[50, 7]}" in _said(qtbot, opened, tmp_path / "wide.tif", 7, 50)


def test_of_an_image_whose_values_are_not_kept(
    qtbot: QtBot, opened: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_MOST_KEPT", 2 * HEIGHT * WIDTH - 1)
    values = np.full((HEIGHT, WIDTH), 1000, np.uint16)
    values[:, 20:40] = 5000
    values[:, 40:] = 9000
    path = tmp_path / "wide.tif"
    tifffile.imwrite(path, values)
    assert "value ≤ 1000" in _said(qtbot, opened, path, 0)
    assert "value ≈ 5016" in _said_at(opened, 30, Y)
    assert "value ≥ 9000" in _said_at(opened, 50, Y)
    assert opened.session.document is not None
    assert opened.session.document.picture is not None
    assert opened.session.document.picture.values is None


def test_of_eight_bits(qtbot: QtBot, opened: MainWindow, tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "image.png")
    red, green, blue = values[Y, X]
    assert f"R {red} G {green} B {blue}" in _said(qtbot, opened, tmp_path / "image.png")
