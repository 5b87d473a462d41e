"""What tools draw over the image before a gesture ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPolygonF

from app.document.stroke import Box, BrushShape, Region
from app.views.tools.tool import ToolContext

_ERASING = QColor(255, 255, 255)
_ALPHA = 200
_HANDLE = 7


class MaskPicture:
    """A mask as a picture in one colour; it shares the mask's memory."""

    def __init__(self, pixels_HW: NDArray[np.uint8], color: QColor) -> None:
        height, width = pixels_HW.shape
        self._pixels = pixels_HW
        self._picture = QImage(pixels_HW.data, width, height, width, QImage.Format.Format_Indexed8)
        self._picture.setColorTable([0, color.rgba()])

    def paint(self, painter: QPainter, box: Box, at: tuple[int, int] = (0, 0)) -> None:
        """Draw the part in a box, with the picture's corner at a point (x, y) of the image."""
        part = QRectF(box.left, box.top, box.shape[1], box.shape[0])
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, on=False)
        painter.drawImage(part.translated(*at), self._picture, part)


def preview_color(context: ToolContext) -> QColor:
    """Return the colour of pixels that a gesture would set; white where it takes back."""
    color = QColor(_ERASING if context.erasing else context.options.color)
    color.setAlpha(_ALPHA)
    return color


def paint_region(painter: QPainter, region: Region, color: QColor) -> None:
    """Draw the pixels of a region."""
    pixels = np.ascontiguousarray(region.mask).view(np.uint8)
    box = region.box
    MaskPicture(pixels, color).paint(painter, Box(0, 0, *box.shape), (box.left, box.top))


def paint_brush(
    painter: QPainter, pointer: tuple[float, float], diameter: float, shape: BrushShape
) -> None:
    """Draw the brush's outline."""
    around = QRectF(pointer[0] - diameter / 2, pointer[1] - diameter / 2, diameter, diameter)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=shape == "round")
    for _ in _light_over_dark(painter):
        if shape == "round":
            painter.drawEllipse(around)
        else:
            painter.drawRect(around)


def paint_line(
    painter: QPainter, points: Sequence[tuple[float, float]], *, closed: bool, handles: bool = False
) -> None:
    """Draw a line through points, closed to a loop or not, with a dot on each or without."""
    line = QPolygonF([QPointF(*point) for point in points])
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for pen in _light_over_dark(painter):
        if closed:
            painter.drawPolygon(line)
        else:
            painter.drawPolyline(line)
        if handles:
            pen.setWidthF(pen.widthF() + _HANDLE - 1)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            painter.setPen(pen)
            painter.drawPoints(line)


def paint_rectangle(
    painter: QPainter, start: tuple[float, float], end: tuple[float, float]
) -> None:
    """Draw a rectangle between two corners."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
    for _ in _light_over_dark(painter):
        painter.drawRect(QRectF(QPointF(*start), QPointF(*end)).normalized())


def area_of(points: Sequence[tuple[float, float]]) -> QRectF:
    """Return the rectangle around points."""
    return QPolygonF([QPointF(*point) for point in points]).boundingRect()


def _light_over_dark(painter: QPainter) -> Iterator[QPen]:
    """Set two pens, one after the other, so that a line is seen on any ground."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for color, width in ((QColor(0, 0, 0, 160), 3), (QColor(255, 255, 255, 230), 1)):
        pen = QPen(color, width)
        pen.setCosmetic(True)
        painter.setPen(pen)
        yield pen
