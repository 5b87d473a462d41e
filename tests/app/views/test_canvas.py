"""The canvas in the real window: navigation, overlays, previews, windows of 16 bits, HiDPI."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from PySide6.QtCore import QPoint, QPointF, QRect, Qt
from PySide6.QtGui import QColor, QNativeGestureEvent, QPointingDevice, QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.session import LabelingSession
from app.views.main_window import MainWindow
from mdlstm_core.config import LabelClass
from mdlstm_core.data import images, previews


@pytest.fixture
def window(qtbot: QtBot, session: LabelingSession) -> MainWindow:
    """The real window, in which no model computes along."""
    window = MainWindow(session)
    window.canvas.first_painted.disconnect()
    qtbot.addWidget(window)
    window.show()
    qtbot.waitExposed(window)
    return window


def _open(qtbot: QtBot, window: MainWindow, path: Path) -> None:
    with qtbot.waitSignal(window.session.document_changed, check_params_cb=bool):
        window.session.open_paths([path])


@pytest.fixture
def shown(qtbot: QtBot, window: MainWindow, rocket: Path) -> MainWindow:
    """The window with the photograph, without a model."""
    _open(qtbot, window, rocket)
    return window


def _wheel(
    window: MainWindow,
    pixels: QPoint,
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    place = QPointF(200, 150)
    event = QWheelEvent(
        place,
        window.canvas.mapToGlobal(place),
        pixels,
        pixels * 8,
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.ScrollUpdate,
        False,
    )
    QApplication.sendEvent(window.canvas, event)


def test_two_fingers_pan(shown: MainWindow) -> None:
    before = shown.canvas.transform
    _wheel(shown, QPoint(30, -12))
    after = shown.canvas.transform
    assert (after.left - before.left, after.top - before.top) == pytest.approx((30, -12))
    assert after.zoom == before.zoom


def test_pinching_zooms_to_the_fingers(shown: MainWindow) -> None:
    canvas = shown.canvas
    place = QPointF(200, 150)
    under, zoom = canvas.transform.to_image(place.x(), place.y()), canvas.transform.zoom
    device = QPointingDevice.primaryPointingDevice()
    event = QNativeGestureEvent(
        Qt.NativeGestureType.ZoomNativeGesture,
        device,
        2,
        place,
        place,
        canvas.mapToGlobal(place),
        0.25,
        QPointF(),
    )
    QApplication.sendEvent(canvas, event)
    assert canvas.transform.zoom == pytest.approx(zoom * 1.25)
    assert canvas.transform.to_image(place.x(), place.y()) == pytest.approx(under)


def test_the_minimap_shows_and_moves_the_view(qtbot: QtBot, shown: MainWindow) -> None:
    canvas = shown.canvas
    minimap = canvas._overlays.minimap
    assert not minimap.isVisible()
    canvas.zoom_by_steps(8)
    assert minimap.isVisible()
    place = QPoint(minimap.width() // 4, minimap.height() // 2)
    qtbot.mouseClick(minimap, Qt.MouseButton.LeftButton, pos=place)
    center = QPointF(canvas.rect().center())
    x, y = canvas.transform.to_image(center.x(), center.y())
    assert (x, y) == pytest.approx((640 / 4, 427 / 2), abs=4)
    qtbot.mousePress(minimap, Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseMove(minimap, QPoint(minimap.width() // 2, minimap.height() // 2))
    qtbot.mouseRelease(minimap, Qt.MouseButton.LeftButton)
    x, _ = canvas.transform.to_image(center.x(), center.y())
    assert x == pytest.approx(320, abs=4)
    canvas.fit()
    assert not minimap.isVisible()


def test_rulers_stand_beside_the_image(shown: MainWindow) -> None:
    canvas = shown.canvas
    without = canvas.grab().toImage()
    canvas.set_rulers(True)
    assert canvas.transform.left >= 20
    assert canvas.transform.top >= 20
    with_rulers = canvas.grab().toImage()
    strip = QRect(30, 0, canvas.width() - 30, 20)
    assert with_rulers.copy(strip) != without.copy(strip)
    # A labeled tick stands where the image begins, on both rulers.
    dark = canvas.palette().windowText().color()
    left, top = round(canvas.transform.left), round(canvas.transform.top)
    assert with_rulers.pixelColor(left, 2) == dark
    assert with_rulers.pixelColor(2, top) == dark
    canvas.set_rulers(False)
    assert canvas.grab().toImage() == without


def test_hidden_classes_and_outlines_show_the_image_again(shown: MainWindow) -> None:
    canvas, document = shown.canvas, shown.session.document
    assert document is not None
    canvas.set_classes((LabelClass("a", (255, 0, 0)), LabelClass("b", (0, 0, 255))))
    canvas.set_opacity(1)
    canvas.zoom_to_pixels()
    label_map = np.zeros((427, 640), np.uint8)
    label_map[:, 320:] = 1
    document.set_prediction(label_map, np.full_like(label_map, 255))

    def color(x: int, y: int) -> tuple[int, ...]:
        place = canvas.transform.to_view(x + 0.5, y + 0.5)
        picture = canvas.grab().toImage()
        return QColor(picture.pixel(int(place[0]), int(place[1]))).getRgb()[:3]

    bare = tuple(int(value) for value in document.image[200, 300])
    assert color(300, 200) == (255, 0, 0)
    canvas.set_hidden(frozenset({0}))
    assert color(300, 200) == bare
    assert color(330, 200) == (0, 0, 255)
    canvas.set_hidden(frozenset())
    canvas.set_style(outlines=True)
    assert color(300, 200) == bare
    assert color(319, 200) == (255, 0, 0)


def test_a_preview_is_seen_before_the_image(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "_FROM", 100)
    folder = tmp_path / "large"
    folder.mkdir()
    Image.new("RGB", (800, 400), (200, 30, 30)).save(folder / "red.jpg")
    seen: list[tuple[int, int, int]] = []

    def look() -> None:
        assert window.session.document is None
        assert window.canvas._document is None
        center = window.canvas.rect().center()
        seen.append(window.canvas.grab().toImage().pixelColor(center).getRgb()[:3])
        window.canvas.zoom_by_steps(2)

    window.session.preview_loaded.connect(look)
    _open(qtbot, window, folder / "red.jpg")

    assert len(seen) == 1
    assert np.abs(np.subtract(seen[0], (200, 30, 30))).max() < 6
    # Where the user went meanwhile, the image appears.
    zoom = window.canvas.transform.zoom
    window.canvas.fit()
    assert zoom == pytest.approx(window.canvas.transform.zoom * 1.25**2)


def test_after_a_preview_of_a_broken_image_the_one_before_is_back(
    qtbot: QtBot, shown: MainWindow, rocket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "_FROM", 100)
    broken = rocket.with_name("broken.jpg")
    noise = np.random.default_rng(0).integers(0, 256, (800, 800, 3), dtype=np.uint8)
    Image.fromarray(noise).save(broken)
    session, part = shown.session, QRect(0, 0, 100, 100)
    part.moveCenter(shown.canvas.rect().center())
    before = shown.canvas.grab(part).toImage()

    def break_it(*_: object) -> images.Picture:
        raise images.InputError(f"{broken} is damaged.")

    monkeypatch.setattr("app.storage.disk_worker.read_picture", break_it)
    with (
        qtbot.waitSignal(session.preview_loaded),
        qtbot.waitSignal(session.image_failed),
    ):
        session.open_paths([broken])

    assert shown.canvas._document is session.document
    assert shown.canvas.grab(part).toImage() == before


def test_an_image_that_can_be_read_the_second_time_is_shown(
    qtbot: QtBot, shown: MainWindow, two_photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for twice while it is still being written: only the last answer counts."""
    session, other = shown.session, two_photos[1]
    read, may_go_on, tried = images.read_picture, threading.Event(), []
    warned: list[str] = []
    session.warned.connect(warned.append)

    def half_written(*arguments: Any) -> images.Picture:
        tried.append(arguments)
        if len(tried) == 1:
            assert may_go_on.wait(60)
            raise images.InputError(f"{other} is damaged.")
        return read(*arguments)

    monkeypatch.setattr("app.storage.disk_worker.read_picture", half_written)
    session.open_image(other)
    qtbot.waitUntil(lambda: len(tried) == 1)
    with qtbot.waitSignal(session.document_changed):
        session.open_image(other)
        may_go_on.set()
    assert session.document is not None
    assert session.document.path == other
    assert warned == []


def test_sixteen_bits_through_another_window(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    folder = tmp_path / "wide"
    folder.mkdir()
    values = np.full((50, 60), 1000, np.uint16)
    values[:, 30:] = 3000
    values[:, 50:] = 60_000
    tifffile.imwrite(folder / "wide.tif", values)
    _open(qtbot, window, folder / "wide.tif")
    bar, session = window.canvas._overlays.window_bar, window.session
    assert bar.isVisible()
    assert session.document is not None
    corrections = session.document.corrections
    window.canvas.zoom_by_steps(3)
    transform = window.canvas.transform

    with qtbot.waitSignal(session.document_changed, check_params_cb=bool):
        bar.low.setValue(1000)
        bar.high.setValue(5000)

    assert session.document.image[0, [0, 40, 55], 0].tolist() == [0, 128, 255]
    assert session.document.corrections is corrections
    assert window.canvas.transform == transform
    with qtbot.waitSignal(session.document_changed, check_params_cb=bool):
        bar.way.setCurrentIndex(2)
        bar.way.activated.emit(2)
    assert (bar.low.value(), bar.high.value()) == (1000, 60_000)
    assert session.document.image[0, [0, 40, 55], 0].tolist() == [0, 9, 255]


def test_eight_bits_have_no_window(shown: MainWindow) -> None:
    assert not shown.canvas._overlays.window_bar.isVisible()


_AT_ONE_TO_ONE = """
import sys
import numpy as np
from PySide6.QtCore import QPoint, QSettings, QTimer
from PySide6.QtWidgets import QApplication
from app.session import LabelingSession
from app.views.main_window import MainWindow
from pathlib import Path

application = QApplication([])
window = MainWindow(LabelingSession(device="cpu"))
window.canvas.first_painted.disconnect()
window.show()
window.session.open_paths([Path(sys.argv[1])])
while window.session.document is None:
    application.processEvents()
canvas = window.canvas
canvas.zoom_to_pixels()
application.processEvents()
# The window as a whole: there the canvas may begin between two pixels of the screen.
picture = window.grab().toImage()
ratio = picture.devicePixelRatio()
assert ratio == float(sys.argv[2]), ratio
shape = (picture.height(), picture.bytesPerLine() // 4, 4)
seen = np.frombuffer(picture.constBits(), np.uint8).reshape(shape)[..., 2::-1]
corner = canvas.mapTo(window, QPoint(0, 0))
middle = canvas.width() / 2, canvas.height() / 2
x, y = canvas.transform.to_image(*middle)
image = window.session.document.image
row = round((corner.y() + middle[1]) * ratio)
column = round((corner.x() + middle[0]) * ratio)
part = seen[row - 50 : row + 50, column - 50 : column + 50]
places = [
    (top, left)
    for top in range(int(y) - 53, int(y) - 46)
    for left in range(int(x) - 53, int(x) - 46)
    if (image[top : top + 100, left : left + 100] == part).all()
]
print(len(places))
window.close()
"""


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_one_pixel_is_one_pixel_of_any_screen(tmp_path: Path, ratio: float) -> None:
    folder = tmp_path / "noise"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    answer = subprocess.run(
        [sys.executable, "-c", _AT_ONE_TO_ONE, str(folder / "noise.png"), str(ratio)],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "QT_QPA_PLATFORM": "offscreen",
            "QT_SCALE_FACTOR": str(ratio),
            "XDG_CONFIG_HOME": str(tmp_path),
        },
    )
    assert answer.stdout.strip() == "1", answer.stderr
