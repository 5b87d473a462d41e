"""Undo while a gesture is under way, in the real window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

if TYPE_CHECKING:
    from conftest import Scene


def test_undo_in_the_middle_of_a_stroke_takes_that_stroke_back(qtbot: QtBot, scene: Scene) -> None:
    scene.use("brush")
    scene.drag(scene.window, [(20.0, 20.0), (60.0, 20.0)])
    before = scene.corrections
    scene.drag(scene.window, [(20.0, 80.0), (60.0, 80.0)], release=False)
    qtbot.keyClick(scene.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.mouseRelease(scene.canvas, Qt.MouseButton.LeftButton, pos=scene.view(60, 80))
    np.testing.assert_array_equal(scene.corrections, before)
    qtbot.keyClick(scene.window, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert scene.is_set[80, 20:61].all()  # and it can be made again


def draw_a_polygon_but_for_its_last_corner(qtbot: QtBot, scene: Scene) -> None:
    """Four corners, of which undo takes the last one back."""
    scene.use("polygon")
    for corner in ((20.0, 20.0), (60.0, 25.0), (50.0, 70.0), (150.0, 110.0)):
        scene.drag(scene.window, [corner])
    qtbot.keyClick(scene.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(scene.canvas, Qt.Key.Key_Enter)
    assert scene.is_set[30, 45]
    assert not scene.is_set[72:, :].any()


def test_undo_in_the_middle_of_a_polygon_takes_its_last_corner_back(
    qtbot: QtBot, scene: Scene
) -> None:
    scene.use("rectangle")
    scene.drag(scene.window, [(2.5, 2.5), (4.5, 4.5)])
    draw_a_polygon_but_for_its_last_corner(qtbot, scene)
    assert scene.is_set[3, 3]
    assert scene.stack.count() == 2


def test_undo_in_the_very_first_gesture_takes_that_back(qtbot: QtBot, scene: Scene) -> None:
    assert scene.stack.count() == 0
    scene.use("brush")
    scene.drag(scene.window, [(20.0, 80.0), (60.0, 80.0)], release=False)
    qtbot.keyClick(scene.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.mouseRelease(scene.canvas, Qt.MouseButton.LeftButton, pos=scene.view(60, 80))
    assert not scene.is_set.any()
    draw_a_polygon_but_for_its_last_corner(qtbot, scene)
    assert scene.stack.count() == 1
