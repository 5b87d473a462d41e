"""Hands on the canvas: mouse, pen and keys become calls of a tool."""

from __future__ import annotations

import dataclasses
import math

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QHideEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QNativeGestureEvent,
    QPointingDevice,
    QSinglePointEvent,
    QTabletEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from app.document.document import ImageDocument
from app.document.edit import Edit
from app.views.canvas.busy_label import BusyLabel
from app.views.canvas.navigation import is_pan, pinch_factor
from app.views.canvas.view_transform import ViewTransform
from app.views.canvas.work_runner import WorkRunner
from app.views.tools.options import OPTIONS
from app.views.tools.tool import Outcome, Pending, Pick, Tool, ToolContext, ToolOptions
from mdlstm_core.config import LabelClass

_NOTCH_ZOOM = 1.25
_NOTCH = 120
_MARGIN = 6
"""View pixels that lines and handles of a preview reach beyond its area."""


class GestureWidget(QWidget):
    """A canvas as the hand knows it; what it shows is drawn by the class that inherits.

    A gesture changes nothing before it ends. What takes long is worked out in a thread; whoever
    leaves the image asks `may_leave`, and waits for `settled`, so that nobody stands still.

    Signals:
        edit_finished(Path, Edit): a gesture on an image ended.
        label_picked(int): the user chose the class of a pixel.
        diameter_changed(int): the user gave the brush another size.
        pointer_moved(int, int): the pixel under the pointer; -1, -1 outside the view.
        work_changed(str): what is being worked out, empty if nothing is.
        work_failed(str): something could not be worked out.
        settled: what gestures came to is worked out.
    """

    edit_finished = Signal(object, object)
    label_picked = Signal(int)
    diameter_changed = Signal(int)
    pointer_moved = Signal(int, int)
    work_changed = Signal(str)
    work_failed = Signal(str)
    settled = Signal()

    def __init__(self, tool: Tool, options: ToolOptions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._tool, self._options = tool, options
        self._document: ImageDocument | None = None
        self._classes: tuple[LabelClass, ...] = ()
        self._pointer: QPointF | None = None
        self._is_drawing = False
        self._pan_from: QPointF | None = None
        self._pan_button = Qt.MouseButton.NoButton
        self._resize_from: tuple[QPointF, int] | None = None
        self._space_held = False
        self._busy = BusyLabel(self)
        self._runner = WorkRunner()
        self._runner.edit_ready.connect(self._hand_on)
        self._runner.done.connect(self._on_work_done)
        self._runner.busy_changed.connect(self._busy.show_text)
        self._runner.busy_changed.connect(self.work_changed)
        self._runner.failed.connect(self.work_failed)
        self._runner.settled.connect(self.settled)

    @property
    def transform(self) -> ViewTransform:
        """Where the image lies in the view."""
        raise NotImplementedError

    def _set_transform(self, transform: ViewTransform) -> None:
        """Show the image at another place."""
        raise NotImplementedError

    def _zoom_at(self, factor: float, at: QPointF) -> None:
        """Zoom with a point of the view fixed."""
        raise NotImplementedError

    @property
    def is_working(self) -> bool:
        """Whether something is being worked out."""
        return self._runner.is_busy

    def set_tool(self, tool: Tool) -> None:
        """Draw with another tool; a gesture under way ends."""
        self.finish_gesture()
        self._tool = tool
        self.update()

    def set_options(self, options: ToolOptions) -> None:
        """Draw with another size or class from the next gesture on."""
        self._options = options
        self.update()

    def abort_gesture(self) -> bool:
        """Drop the gesture under way, else what is worked out; return whether there was any."""
        self._is_drawing = False
        aborted = self._tool.abort() or self._runner.cancel()
        self.update()
        return aborted

    def remove_last(self) -> bool:
        """Take back the last click of a gesture of several; return whether there was one."""
        removed = self._tool.remove_last()
        self.update()
        return removed

    def take_back(self) -> bool:
        """Take back what is not painted yet; return whether there was anything to take back.

        The last click of several; else what is worked out. What was drawn in one drag is painted.
        """
        if self.remove_last():
            return True
        return not self.may_leave() and self.abort_gesture()

    def finish_gesture(self) -> None:
        """End the gesture under way, if any, as letting go would."""
        self._take(self._tool.finish() if self._tool.is_active else None)

    def may_leave(self) -> bool:
        """End the gesture under way; return whether what gestures came to is worked out."""
        self.finish_gesture()
        return not self._runner.is_awaited

    def finish_work(self) -> None:
        """End the gesture under way and wait for what is worked out, to leave the image."""
        self.finish_gesture()
        self._runner.finish()

    def work_out(self, pending: Pending) -> None:
        """Have an edit of the image shown worked out; what is painted meanwhile stays."""
        self._take(pending)

    def _take(self, outcome: Outcome) -> None:
        """Hand on what a gesture came to."""
        self._is_drawing = False
        match outcome:
            case Edit() if self._document is not None:
                self._runner.note(self._document.path, outcome.region)
                self._hand_on(self._document.path, outcome)
            case Pending() if self._document is not None:
                self._runner.start(self._document.path, outcome, is_awaited=True)
            case Pick(label):
                self.label_picked.emit(label)
        self.update()

    def _hand_on(self, image: object, edit: object) -> None:
        self.edit_finished.emit(image, edit)

    def _press(self, event: QSinglePointEvent, pressure: float = 1.0) -> None:
        """Begin to draw, to pan or to resize the brush."""
        left = event.button() == Qt.MouseButton.LeftButton
        middle = event.button() == Qt.MouseButton.MiddleButton
        if self._is_drawing or self._resize_from is not None:
            return
        if middle or (left and self._space_held):
            self._pan_from, self._pan_button = event.position(), event.button()
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        elif left and event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self._resize_from = event.position(), self._options.diameter
        elif left and (context := self._context(_erases(event))) is not None:
            self._is_drawing = True
            self._tool.press(*self._point(event.position()), context, pressure)
            self.update()

    def _move(self, event: QSinglePointEvent, pressure: float = 1.0) -> None:
        """Draw, pan, resize the brush, or look at what is under the pointer."""
        before = self._preview_rect()
        place, point = event.position(), self._point(event.position())
        if self._resize_from is not None:
            start, diameter = self._resize_from
            wider = 2 * (place.x() - start.x()) / self.transform.zoom
            self._set_diameter(round(diameter + wider))
            return
        self._pointer = place
        if self._pan_from is not None:
            moved, self._pan_from = place - self._pan_from, place
            self._set_transform(self.transform.panned(moved.x(), moved.y()))
        elif self._tool.is_active:
            self._tool.move(*point, pressure)
        else:
            self._look(point, _erases(event))
        self.pointer_moved.emit(math.floor(point[0]), math.floor(point[1]))
        for area in (before, self._preview_rect()):  # two small ones: they may lie far apart
            self.update(area)

    def _release(self, event: QSinglePointEvent) -> None:
        """End the drag."""
        left = event.button() == Qt.MouseButton.LeftButton
        if self._pan_from is not None and event.button() == self._pan_button:
            self._pan_from = None
            self.unsetCursor()
        elif left and self._resize_from is not None:
            self._resize_from = None
        elif left and self._is_drawing:
            self._take(self._tool.release())

    def _look(self, point: tuple[float, float], erasing: bool) -> None:
        """Let the tool look at what is under the pointer."""
        context = self._context(erasing)
        pending = self._tool.hover(*point, context) if context is not None else None
        if context is not None and pending is not None:
            self._runner.start(context.document.path, pending, is_awaited=False)

    def _on_work_done(self) -> None:
        if self._pointer is not None and not self._tool.is_active:
            self._look(self._point(self._pointer), erasing=False)
        self.update()

    def _context(self, erasing: bool) -> ToolContext | None:
        """Return what a gesture would work on, None if there is nothing to paint on or with."""
        if self._document is None or not self._classes:
            return None
        return ToolContext(self._document, self._options, erasing, self.transform.zoom)

    def _set_diameter(self, diameter: int) -> None:
        allowed = OPTIONS["diameter"].allowed
        assert isinstance(allowed, range)
        diameter = min(max(diameter, allowed[0]), allowed[-1])
        self.set_options(dataclasses.replace(self._options, diameter=diameter))
        self.diameter_changed.emit(diameter)

    def _scale_diameter(self, notches: float) -> None:
        """Resize by whole pixels, at least one, so that small brushes change too."""
        before = self._options.diameter
        scaled = round(before * _NOTCH_ZOOM**notches)
        least = before + int(math.copysign(1, notches))
        self._set_diameter(max(scaled, least) if notches > 0 else min(scaled, least))

    def _preview_rect(self) -> QRect:
        """Return the part of the view that the tool's preview covers."""
        if self._pointer is None:
            return QRect()
        area = self._tool.preview_area(self._point(self._pointer), self._options)
        corner = QPointF(*self.transform.to_view(area.left(), area.top()))
        end = QPointF(*self.transform.to_view(area.right(), area.bottom()))
        around = QRectF(corner, end).toAlignedRect()
        return around.adjusted(-_MARGIN, -_MARGIN, _MARGIN, _MARGIN)

    def _point(self, place: QPointF) -> tuple[float, float]:
        return self.transform.to_image(place.x(), place.y())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """See `_press`."""
        self._press(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """See `_move`."""
        self._move(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """See `_release`."""
        self._release(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """End a gesture of several clicks; for other tools it is a second press."""
        if self._tool.is_active:
            self.finish_gesture()
        else:
            self._press(event)

    def tabletEvent(self, event: QTabletEvent) -> None:
        """Draw with a pen: its pressure counts, and its other end erases."""
        match event.type():
            case QEvent.Type.TabletPress:
                self._press(event, event.pressure())
            case QEvent.Type.TabletMove:
                self._move(event, event.pressure())
            case QEvent.Type.TabletRelease:
                self._release(event)
        event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom to the pointer; with Alt or Ctrl resize the brush; two fingers pan."""
        delta = event.angleDelta()
        notches = (delta.y() or delta.x()) / _NOTCH  # Alt turns the wheel sideways
        keys = Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ControlModifier
        if event.modifiers() & keys:
            if notches:
                self._scale_diameter(notches)
        elif is_pan(event):
            moved = event.pixelDelta()
            self._set_transform(self.transform.panned(moved.x(), moved.y()))
        else:
            self._zoom_at(_NOTCH_ZOOM**notches, event.position())
        event.accept()

    def event(self, event: QEvent) -> bool:
        """Zoom when two fingers spread."""
        if isinstance(event, QNativeGestureEvent) and (factor := pinch_factor(event)) is not None:
            self._zoom_at(factor, event.position())
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space pans while it is held; Enter ends several clicks, Backspace takes one back."""
        key = event.key()
        if key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._space_held = True
                self.setCursor(Qt.CursorShape.OpenHandCursor)
                self.update()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._tool.is_active:
            self.finish_gesture()
        # While there is no step to undo, the key of that action comes here.
        elif event.matches(QKeySequence.StandardKey.Undo) and self._tool.is_active:
            if not self.remove_last():
                self.abort_gesture()
        elif key != Qt.Key.Key_Backspace or not self.remove_last():
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """See `keyPressEvent`."""
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self._end_space()
        else:
            super().keyReleaseEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Space released elsewhere is not heard here."""
        self._end_space()
        super().focusOutEvent(event)

    def leaveEvent(self, event: object) -> None:
        """Hide the preview, unless a gesture is under way."""
        if not self._tool.is_active:
            self._pointer = None
        self.pointer_moved.emit(-1, -1)
        self.update()

    def hideEvent(self, event: QHideEvent) -> None:
        """Wait for what is worked out before the window is gone."""
        if not event.spontaneous():
            self.finish_work()
        super().hideEvent(event)

    def _end_space(self) -> None:
        self._space_held = False
        self.unsetCursor()
        self.update()


def _erases(event: QSinglePointEvent) -> bool:
    """Say whether Shift is held, or the pen turned round."""
    shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
    turned = event.pointingDevice().pointerType() == QPointingDevice.PointerType.Eraser
    return shift or turned
