"""Outlines of regions over the image: what changed, and the one to look at."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from app.document.stroke import Region

_MOST_CELLS = 1000
"""Cells a side of a region whose outline is followed."""

_AROUND = QColor(0, 0, 0, 170)
_OTHERS = QColor(255, 255, 255)
_CURRENT = QColor(255, 196, 0)


class Marks:
    """Draws regions as outlines that stand out from any image: light on dark."""

    def __init__(self, others: Sequence[Region], current: Region | None = None) -> None:
        self._others = QPainterPath()
        for region in others:
            self._others.addPath(_outline(region))
        self._current = _outline(current) if current is not None else None

    def paint(self, painter: QPainter) -> None:
        """Draw them; the painter counts in pixels of the image."""
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        _draw(painter, self._others, _OTHERS, 1.2)
        if self._current is not None:
            _draw(painter, self._current, _CURRENT, 2.4)
        painter.restore()


def _draw(painter: QPainter, path: QPainterPath, color: QColor, width: float) -> None:
    for pen_color, pen_width in ((_AROUND, width + 1.6), (color, width)):
        pen = QPen(pen_color, pen_width)
        pen.setCosmetic(True)  # as wide at any zoom
        painter.setPen(pen)
        painter.drawPath(path)


def _outline(region: Region) -> QPainterPath:
    """Return the outline of a region and of its holes."""
    # A coarse outline of a large region: it is drawn at once, and no one sees the difference.
    step = -(-max(region.mask.shape) // _MOST_CELLS)
    mask = np.pad(region.mask[::step, ::step].astype(np.uint8), 1)
    # Twice as large: the outline runs along the pixels' sides, not through their centres.
    mask = mask.repeat(2, axis=0).repeat(2, axis=1)
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    path = QPainterPath()
    for contour in contours:
        points = ((contour[:, 0, :].astype(float) + 0.5) / 2 - 1) * step
        points += (region.box.left, region.box.top)
        path.addPolygon(QPolygonF([QPointF(x, y) for x, y in points.tolist()]))
        path.closeSubpath()
    return path
