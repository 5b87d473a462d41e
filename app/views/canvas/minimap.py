"""The minimap: all of the image, small, and which part of it the view shows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

_SIDE = 160
_SMALLEST = 8
"""Pixels of the frame, so that it can be seen and grasped."""


class Minimap(QWidget):
    """Lies over a corner of the canvas while the image is larger than the view.

    Signals:
        moved(float, float): the user wants this point in the middle of the view, in shares
            of the image's width and height.
    """

    moved = Signal(float, float)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.setAccessibleName("Minimap")
        self._picture = QImage()
        self._part = QRectF(0, 0, 1, 1)
        self.hide()

    def set_image(self, rgb: NDArray[np.uint8] | None, size: tuple[int, int] | None) -> None:
        """Show an image of this height and width; `rgb` may be smaller."""
        if rgb is None or size is None:
            self._picture = QImage()
            self.hide()
            return
        height, width = size
        scale = _SIDE / max(height, width)
        shown = QSize(max(round(width * scale), 8), max(round(height * scale), 8))
        small = cv2.resize(rgb, (shown.width(), shown.height()), interpolation=cv2.INTER_AREA)
        stride, kind = 3 * shown.width(), QImage.Format.Format_RGB888
        self._picture = QImage(small.data, shown.width(), shown.height(), stride, kind).copy()
        self.setFixedSize(shown)
        self.update()

    def set_part(self, part: QRectF) -> None:
        """Mark what the view shows, in shares of the image's width and height."""
        if part != self._part:
            self._part = part
            self.update()
        whole = QRectF(0, 0, 1, 1)
        self.setVisible(not self._picture.isNull() and part.intersected(whole) != whole)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the image and a frame around the part."""
        painter = QPainter(self)
        painter.drawImage(self.rect(), self._picture)
        width, height = self.width(), self.height()
        part = QRectF(
            self._part.left() * width,
            self._part.top() * height,
            self._part.width() * width,
            self._part.height() * height,
        ).intersected(QRectF(self.rect()))
        lacking = max(_SMALLEST - min(part.width(), part.height()), 0) / 2
        part = part.adjusted(-lacking, -lacking, lacking, lacking)
        # Light within dark, so that the frame is seen on any ground.
        for inset, color in ((0, QColor(0, 0, 0)), (1, QColor(255, 255, 255))):
            painter.setPen(QPen(color, 1))
            painter.drawRect(part.adjusted(inset, inset, -inset - 1, -inset - 1))
        painter.setPen(QPen(self.palette().mid().color(), 1))
        painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Show the place that was clicked."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._move_to(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the pointer."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._move_to(event)

    def _move_to(self, event: QMouseEvent) -> None:
        place = event.position()
        x, y = place.x() / self.width(), place.y() / self.height()
        self.moved.emit(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0))
