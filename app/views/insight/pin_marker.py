"""A mark on the canvas at the pinned pixel."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from app.views.canvas.canvas_view import CanvasView
from mdlstm_core.insight.queries import Pixel

_SIDE = 23


class PinMarker(QWidget):
    """A ring with a cross; the mouse goes through it."""

    def __init__(self, canvas: CanvasView) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._pixel: Pixel | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.resize(_SIDE, _SIDE)
        self.hide()
        canvas.moved.connect(self._place)

    def set_pixel(self, pixel: Pixel | None) -> None:
        """Mark a pixel, or none."""
        self._pixel = pixel
        self.setVisible(pixel is not None)
        self._place()

    def _place(self) -> None:
        if self._pixel is not None:
            place = self._canvas.transform
            at = QPointF(*place.to_view(self._pixel.x + 0.5, self._pixel.y + 0.5)).toPoint()
            self.move(at - QPoint(_SIDE // 2, _SIDE // 2))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the mark, seen on dark and on light."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = QPointF(_SIDE / 2, _SIDE / 2)
        for color, width in (("black", 3.5), ("white", 1.5)):
            painter.setPen(QPen(QColor(color), width))
            painter.drawEllipse(middle, 5, 5)
            for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                painter.drawLine(middle + QPointF(6 * x, 6 * y), middle + QPointF(10 * x, 10 * y))
        painter.end()
