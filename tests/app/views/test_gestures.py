"""Mouse, pen and keys on the canvas."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import (
    QInputDevice,
    QMouseEvent,
    QPointingDevice,
    QPointingDeviceUniqueId,
    QTabletEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

if TYPE_CHECKING:
    from conftest import Scene

CORNERS = [(20.0, 20.0), (60.0, 25.0), (50.0, 70.0)]
_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
_NO_KEY = Qt.KeyboardModifier.NoModifier


def _pen(*, turned: bool = False) -> QPointingDevice:
    kind = QPointingDevice.PointerType
    return QPointingDevice(
        "pen",
        1,
        QInputDevice.DeviceType.Stylus,
        kind.Eraser if turned else kind.Pen,
        QInputDevice.Capability.Pressure,
        1,
        1,
        "",
        QPointingDeviceUniqueId(),
    )


def _draw_with_pen(
    scene: Scene, pen: QPointingDevice, points: list[tuple[float, float, float]]
) -> None:
    """Send the tablet's events: x and y in the image, and the pressure."""
    kinds = [QEvent.Type.TabletPress, *[QEvent.Type.TabletMove] * (len(points) - 1)]
    steps = [(kind, *point) for kind, point in zip(kinds, points, strict=True)]
    steps.append((QEvent.Type.TabletRelease, *points[-1][:2], 0.0))
    for kind, x, y, pressure in steps:
        place = QPointF(*scene.canvas.transform.to_view(x, y))
        pressed = _NONE if kind == QEvent.Type.TabletMove else _LEFT
        held = _NONE if kind == QEvent.Type.TabletRelease else _LEFT
        at = QPointF(scene.canvas.mapToGlobal(place))
        event = QTabletEvent(
            kind, pen, place, at, pressure, 0.0, 0.0, 0.0, 0.0, 0.0, _NO_KEY, pressed, held
        )
        QApplication.sendEvent(scene.canvas, event)
        assert event.isAccepted()  # else Qt would send mouse events too


def _wheel(
    scene: Scene, notches: float, keys: Qt.KeyboardModifier, *, sideways: bool = False
) -> None:
    turned = QPoint(round(120 * notches), 0) if sideways else QPoint(0, round(120 * notches))
    place = QPointF(scene.view(50, 50))
    at = QPointF(scene.canvas.mapToGlobal(place))
    event = QWheelEvent(
        place, at, QPoint(), turned, _NONE, keys, Qt.ScrollPhase.NoScrollPhase, False
    )
    QApplication.sendEvent(scene.canvas, event)


def test_pressure_makes_the_line_thinner(scene: Scene) -> None:
    scene.canvas.set_options(dataclasses.replace(scene.options, diameter=20))
    scene.use("brush")
    _draw_with_pen(scene, _pen(), [(20.0, 60.0, 0.1), (80.0, 60.0, 0.5), (140.0, 60.0, 1.0)])
    heights = scene.is_set.sum(axis=0)[20:141]
    assert heights[0] == pytest.approx(2, abs=1)
    assert heights[60] == pytest.approx(10, abs=1)
    assert heights[120] == pytest.approx(20, abs=1)
    # The ends of a disc apart, the line widens all the way.
    assert (np.diff(heights[:111].astype(int)) >= -1).all()
    assert scene.stack.count() == 1


def test_the_other_end_of_the_pen_erases(scene: Scene) -> None:
    scene.use("brush")
    line = [(20.0, 60.0, 1.0), (80.0, 60.0, 1.0)]
    _draw_with_pen(scene, _pen(), line)
    assert scene.is_set.any()
    _draw_with_pen(scene, _pen(turned=True), line)
    assert not scene.is_set.any()


def test_a_square_brush_paints_squares(scene: Scene) -> None:
    scene.canvas.set_options(dataclasses.replace(scene.options, diameter=7, shape="square"))
    scene.use("brush")
    scene.drag(scene.window, [(50.5, 50.5)])
    expected = np.zeros_like(scene.is_set)
    expected[47:54, 47:54] = True
    np.testing.assert_array_equal(scene.is_set, expected)


def test_a_fast_double_tap_paints_twice(qtbot: QtBot, scene: Scene) -> None:
    scene.use("brush")
    scene.drag(scene.window, [(20.0, 20.0)])
    place = QPointF(scene.view(80, 80))
    for kind, held in (
        (QEvent.Type.MouseButtonDblClick, _LEFT),
        (QEvent.Type.MouseButtonRelease, _NONE),
    ):
        at = QPointF(scene.canvas.mapToGlobal(place))
        event = QMouseEvent(kind, place, at, _LEFT, held, _NO_KEY)
        QApplication.sendEvent(scene.canvas, event)
    assert scene.is_set[20, 20]
    assert scene.is_set[80, 80]
    assert scene.stack.count() == 2


@pytest.mark.parametrize("end", ["enter", "double click", "first corner", "other tool"])
def test_a_polygon_ends_in_several_ways(qtbot: QtBot, scene: Scene, end: str) -> None:
    scene.use("polygon")
    for corner in CORNERS:
        scene.drag(scene.window, [corner])
    assert scene.stack.count() == 0
    if end == "enter":
        qtbot.keyClick(scene.canvas, Qt.Key.Key_Enter)
    elif end == "double click":
        qtbot.mouseDClick(scene.canvas, _LEFT, pos=scene.view(*CORNERS[-1]))
    elif end == "first corner":
        scene.drag(scene.window, [(20.5, 20.3)])
    else:
        scene.use("brush")
    assert scene.stack.count() == 1
    assert scene.is_set.sum() == pytest.approx(950, abs=60)
    assert scene.is_set[40, 45]


def test_backspace_takes_corners_back(qtbot: QtBot, scene: Scene) -> None:
    scene.use("polygon")
    for corner in [*CORNERS, (150.0, 110.0)]:
        scene.drag(scene.window, [corner])
    qtbot.keyClick(scene.canvas, Qt.Key.Key_Backspace)
    qtbot.keyClick(scene.canvas, Qt.Key.Key_Return)
    assert not scene.is_set[90:].any()
    assert scene.stack.count() == 1
    scene.drag(scene.window, [CORNERS[0]])
    for _ in range(3):
        qtbot.keyClick(scene.canvas, Qt.Key.Key_Backspace)
    qtbot.keyClick(scene.canvas, Qt.Key.Key_Return)
    assert scene.stack.count() == 1


def test_two_corners_are_no_polygon(qtbot: QtBot, scene: Scene) -> None:
    scene.use("polygon")
    for corner in CORNERS[:2]:
        scene.drag(scene.window, [corner])
    qtbot.keyClick(scene.canvas, Qt.Key.Key_Return)
    assert scene.stack.count() == 0
    assert not scene.canvas.abort_gesture()


@pytest.mark.parametrize(
    "key", [Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.ControlModifier]
)
def test_the_wheel_with_a_key_resizes_the_brush(scene: Scene, key: Qt.KeyboardModifier) -> None:
    sizes: list[int] = []
    scene.canvas.diameter_changed.connect(sizes.append)
    before = scene.canvas.transform
    _wheel(scene, 1, key)
    _wheel(scene, -1, key, sideways=key == Qt.KeyboardModifier.AltModifier)
    assert sizes == [11, 9]
    for _ in range(20):
        _wheel(scene, -1, key)
    assert sizes[-1] == 1
    for _ in range(40):
        _wheel(scene, 1, key)
    assert sizes[-1] == 512
    assert scene.canvas.transform == before


def test_alt_drag_resizes_the_brush(scene: Scene) -> None:
    sizes: list[int] = []
    scene.canvas.diameter_changed.connect(sizes.append)
    start, end = QPointF(scene.view(50, 50)), QPointF(scene.view(60, 50))
    for kind, place, button in (
        (QEvent.Type.MouseButtonPress, start, _LEFT),
        (QEvent.Type.MouseMove, end, _NONE),
        (QEvent.Type.MouseButtonRelease, end, _LEFT),
    ):
        at = QPointF(scene.canvas.mapToGlobal(place))
        alt = Qt.KeyboardModifier.AltModifier
        QApplication.sendEvent(scene.canvas, QMouseEvent(kind, place, at, button, _LEFT, alt))
    assert sizes == [pytest.approx(9 + 20, abs=1)]
    assert scene.stack.count() == 0
    scene.use("brush")
    scene.drag(scene.window, [(80.0, 60.0)])
    assert scene.is_set.any(axis=0).sum() == pytest.approx(sizes[0], abs=1)


def test_two_fingers_pan(scene: Scene) -> None:
    pad = QPointingDevice(
        "pad",
        2,
        QInputDevice.DeviceType.TouchPad,
        QPointingDevice.PointerType.Finger,
        QInputDevice.Capability.PixelScroll,
        2,
        1,
        "",
        QPointingDeviceUniqueId(),
    )
    before = scene.canvas.transform
    place = QPointF(scene.view(50, 50))
    event = QWheelEvent(
        place,
        QPointF(scene.canvas.mapToGlobal(place)),
        QPoint(7, -13),
        QPoint(14, -26),
        _NONE,
        _NO_KEY,
        Qt.ScrollPhase.ScrollUpdate,
        False,
        Qt.MouseEventSource.MouseEventNotSynthesized,
        pad,
    )
    QApplication.sendEvent(scene.canvas, event)
    assert scene.canvas.transform == before.panned(7, -13)
