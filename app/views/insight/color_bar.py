"""A scale of colours with its numbers, and a mark where the pointer's value is."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QPalette, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.views.insight.shown_map import ShownMap, number
from mdlstm_core.insight.drawing import Scale, color_table
from mdlstm_core.insight.queries import Pixel

_TICKS = 5
_BAR, _MARK = 12, 5
"""Heights in pixels."""


class ColorBar(QWidget):
    """The colour bar of a map; nothing without one."""

    def __init__(self) -> None:
        super().__init__()
        self._map: ShownMap | None = None
        self._value: float | None = None
        self._picture = QImage()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def scale(self) -> Scale | None:
        """What the ends of the bar stand for, None without one."""
        return None if self._map is None or self._map.values.ndim == 3 else self._map.scale

    @property
    def label(self) -> str:
        """What the numbers are."""
        return self._map.label if self._map else ""

    def set_map(self, shown: ShownMap | None) -> None:
        """Show the scale of a map."""
        self._map, self._value = shown, None
        scale = self.scale
        if scale is not None:
            row = np.ascontiguousarray(color_table(scale.colors))
            shared = QImage(row.data, len(row), 1, 3 * len(row), QImage.Format.Format_RGB888)
            self._picture = shared.copy()
        self.updateGeometry()
        self.update()

    def point(self, pixel: Pixel | None) -> None:
        """Mark the value over a pixel of the image."""
        value = None
        if self._map is not None and pixel is not None:
            value = self._map.bar_value_at(pixel)
        if value != self._value:
            self._value = value
            self.update()

    def sizeHint(self) -> QSize:
        """Room for a label, the bar and its numbers."""
        line = self.fontMetrics().height()
        if self._map is None:
            return QSize(100, 0)
        return QSize(180, line + 4 if self.scale is None else 2 * line + _BAR + _MARK + 6)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw label, bar, numbers and mark."""
        if self._map is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = self.fontMetrics().height()
        label = self.fontMetrics().elidedText(
            self._map.label, Qt.TextElideMode.ElideRight, self.width()
        )
        painter.drawText(QRect(0, 0, self.width(), line), Qt.AlignmentFlag.AlignLeft, label)
        scale = self.scale
        if scale is not None:
            painter.drawImage(QRect(0, line + 2, self.width(), _BAR), self._picture)
            self._paint_numbers(painter, scale, line + 2 + _BAR)
            self._paint_mark(painter, scale, line + 2 + _BAR)
        painter.end()

    def _paint_numbers(self, painter: QPainter, scale: Scale, below: int) -> None:
        step = (self.width() - 1) / (_TICKS - 1)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        for index in range(_TICKS):
            value = scale.low + (scale.high - scale.low) * index / (_TICKS - 1)
            x = step * index
            painter.drawLine(QPointF(x, below), QPointF(x, below + 3))
            box = QRectF(x - 40, below + _MARK, 80, self.fontMetrics().height())
            side = Qt.AlignmentFlag.AlignHCenter
            if index == 0:
                box.moveLeft(0)
                side = Qt.AlignmentFlag.AlignLeft
            elif index == _TICKS - 1:
                box.moveRight(self.width())
                side = Qt.AlignmentFlag.AlignRight
            painter.drawText(box, side, number(value))

    def _paint_mark(self, painter: QPainter, scale: Scale, below: int) -> None:
        if self._value is None or np.isnan(self._value):
            return
        x = (self._value - scale.low) / (scale.high - scale.low) * (self.width() - 1)
        painter.setPen(self.palette().color(QPalette.ColorRole.Base))
        painter.setBrush(self.palette().color(QPalette.ColorRole.WindowText))
        top = below - _BAR / 2
        painter.drawPolygon(
            QPolygonF([QPointF(x, top), QPointF(x - 5, below + 4), QPointF(x + 5, below + 4)])
        )
