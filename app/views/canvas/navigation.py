"""Which movements of fingers and wheels pan, and which zoom."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QInputDevice, QNativeGestureEvent, QWheelEvent


def is_pan(event: QWheelEvent) -> bool:
    """Return whether two fingers scroll on a trackpad, without Ctrl.

    A mouse's wheel zooms. On some systems it gives pixels too: only a trackpad's movement
    has a beginning and an end, or comes from a device that says what it is.
    """
    if event.modifiers() & Qt.KeyboardModifier.ControlModifier or event.pixelDelta().isNull():
        return False
    is_trackpad = event.device().type() == QInputDevice.DeviceType.TouchPad
    return is_trackpad or event.phase() != Qt.ScrollPhase.NoScrollPhase


def pinch_factor(event: QNativeGestureEvent) -> float | None:
    """Return by how much two fingers zoom, None if they do something else."""
    if event.gestureType() != Qt.NativeGestureType.ZoomNativeGesture:
        return None
    return max(1 + event.value(), 0.1)
