"""The brush, and the eraser, which is a brush that sets no class."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from app.document.edit import Edit, edit_of_stroke
from app.document.stroke import Stroke
from app.views.tools.tool import Tool, ToolContext, ToolOptions, ToolSpec
from mdlstm_core.config import IGNORE_INDEX

_ERASING = QColor(255, 255, 255)


class Brush(Tool):
    """Paints the chosen class with a round pen."""

    hint = "Brush: drag to paint · Shift erases · [ and ] change the size · Esc drops the stroke"

    erases: ClassVar[bool] = False

    def outcome(self, points: list[tuple[float, float]], context: ToolContext) -> Edit | None:
        """See `Tool.outcome`."""
        document, options = context.document, context.options
        label = IGNORE_INDEX if context.erasing or self.erases else options.label
        stroke = Stroke(tuple(points), options.diameter, label)
        return edit_of_stroke(stroke, document.height, document.width)

    def preview_area(self, pointer: tuple[float, float], options: ToolOptions) -> QRectF:
        """See `Tool.preview_area`."""
        radius = options.diameter / 2
        return QRectF(pointer[0] - radius, pointer[1] - radius, 2 * radius, 2 * radius)

    def paint_preview(
        self, painter: QPainter, pointer: tuple[float, float], options: ToolOptions
    ) -> None:
        """See `Tool.paint_preview`."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._context is not None:
            self._paint_gesture(painter, self._context)
        radius = options.diameter / 2
        painter.setBrush(Qt.BrushStyle.NoBrush)
        # Light over dark, so that the ring is seen on any ground.
        for color, width in ((QColor(0, 0, 0, 160), 3), (QColor(255, 255, 255, 230), 1)):
            pen = QPen(color, width)
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.drawEllipse(QPointF(*pointer), radius, radius)

    def _paint_gesture(self, painter: QPainter, context: ToolContext) -> None:
        options = context.options
        color = QColor(_ERASING if context.erasing or self.erases else options.color)
        color.setAlpha(200)
        pen = QPen(color, options.diameter)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        points = QPolygonF([QPointF(*point) for point in self._points])
        if len(self._points) == 1:
            painter.drawPoint(points.at(0))
        else:
            painter.drawPolyline(points)


class Eraser(Brush):
    """Takes back what a person set, so that the model's label shows again."""

    hint = "Eraser: drag to take corrections back · [ and ] change the size · Esc drops the stroke"
    erases = True


TOOL = ToolSpec("brush", "&Brush", "B", "mdi6.brush", 10, Brush, ("diameter", "shape"))
