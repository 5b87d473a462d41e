"""Rulers along the canvas's edges, in pixels of the image."""

from __future__ import annotations

import math

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.views.canvas.view_transform import ViewTransform

THICKNESS = 20
"""Pixels of the view."""

_LABEL_DISTANCE = 60
_MARK = QColor(220, 60, 40)


class Ruler(QWidget):
    """One ruler, along the upper or the left edge; it marks where the pointer is."""

    def __init__(self, orientation: Qt.Orientation, parent: QWidget) -> None:
        super().__init__(parent)
        self._is_upper = orientation == Qt.Orientation.Horizontal
        self._transform: ViewTransform | None = None
        self._marked: int | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        font = self.font()
        font.setPixelSize(10)
        self.setFont(font)
        self.hide()

    def set_transform(self, transform: ViewTransform | None) -> None:
        """Show where the image lies, nothing without one."""
        self._transform = transform
        self.update()

    def set_marked(self, pixel: int | None) -> None:
        """Mark the pixel of the image that is under the pointer."""
        if self._marked != pixel:
            self._marked = pixel
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw ticks and coordinates."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self.palette().window())
        painter.setPen(self.palette().windowText().color())
        length = self.width() if self._is_upper else self.height()
        if not self._is_upper:
            painter.rotate(-90)  # along the ruler is then from the bottom up
        if self._transform is not None:
            self._paint_ticks(painter, self._transform, length)
        start = 0 if self._is_upper else -length
        painter.drawLine(start, THICKNESS - 1, start + length, THICKNESS - 1)
        if self._transform is not None and self._marked is not None:
            painter.setPen(_MARK)
            self._paint_tick(painter, self._place(self._marked + 0.5), THICKNESS)
        painter.end()

    def _paint_ticks(self, painter: QPainter, transform: ViewTransform, length: int) -> None:
        corner = transform.left if self._is_upper else transform.top
        label_step = tick_step(_LABEL_DISTANCE / transform.zoom)
        step = max(label_step // 10, 1)
        first = math.floor(-corner / transform.zoom / label_step) * label_step
        last = math.ceil((length - corner) / transform.zoom)
        for value in range(first, last + 1, step):
            at = self._place(value)
            is_labeled = value % label_step == 0
            self._paint_tick(painter, at, THICKNESS if is_labeled else 5)
            if is_labeled:
                self._paint_label(painter, at, str(value))

    def _place(self, value: float) -> int:
        """Return where a coordinate of the image lies along the ruler."""
        assert self._transform is not None
        x, y = self._transform.to_view(value, value)
        return round(x if self._is_upper else y)

    def _paint_tick(self, painter: QPainter, at: int, height: int) -> None:
        along = at if self._is_upper else -at
        painter.drawLine(along, THICKNESS - height, along, THICKNESS - 1)

    def _paint_label(self, painter: QPainter, at: int, text: str) -> None:
        """Write behind the tick: to the right of it, or below."""
        width = _LABEL_DISTANCE
        if self._is_upper:
            place, side = QRect(at + 3, 0, width, THICKNESS - 6), Qt.AlignmentFlag.AlignLeft
        else:
            place = QRect(-at - 3 - width, 0, width, THICKNESS - 6)
            side = Qt.AlignmentFlag.AlignRight
        painter.drawText(place, side, text)


def tick_step(at_least: float) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, 50 … that is at least so many pixels."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power >= at_least:
                return factor * power
        power *= 10
