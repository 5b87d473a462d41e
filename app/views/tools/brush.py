"""The brush, and the eraser, which is a brush that sets no class."""

from __future__ import annotations

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from app.document.edit import Edit, edit_of_stroke
from app.document.stroke import Stroke
from app.views.tools.tool import ToolContext, ToolOptions
from mdlstm_core.config import IGNORE_INDEX

_ERASING = QColor(255, 255, 255)


class Brush:
    """Paints the chosen class with a round pen."""

    name = "Brush"
    hint = "Brush: drag to paint · Shift erases · [ and ] change the size · Esc drops the stroke"

    def __init__(self, *, erases: bool = False) -> None:
        self._erases = erases
        self._points: list[tuple[float, float]] = []
        self._context: ToolContext | None = None
        self._label = IGNORE_INDEX

    def press(self, x: float, y: float, context: ToolContext) -> None:
        """See `Tool.press`."""
        self._context = context
        erasing = context.erasing or self._erases
        self._label = IGNORE_INDEX if erasing else context.options.label
        self._points = [(x, y)]

    def move(self, x: float, y: float) -> None:
        """See `Tool.move`."""
        if self._context is not None:
            self._points.append((x, y))

    def release(self) -> Edit | None:
        """See `Tool.release`."""
        if self._context is None:
            return None
        document, options, _ = self._context
        stroke = Stroke(tuple(self._points), options.diameter, self._label)
        self.abort()
        return edit_of_stroke(stroke, document.height, document.width)

    def abort(self) -> bool:
        """See `Tool.abort`."""
        was_drawing = self._context is not None
        self._points, self._context = [], None
        return was_drawing

    def paint_preview(
        self, painter: QPainter, pointer: tuple[float, float], options: ToolOptions
    ) -> None:
        """See `Tool.paint_preview`."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._context is not None:
            self._paint_gesture(painter, self._context.options)
        radius = options.diameter / 2
        painter.setBrush(Qt.BrushStyle.NoBrush)
        # Light over dark, so that the ring is seen on any ground.
        for color, width in ((QColor(0, 0, 0, 160), 3), (QColor(255, 255, 255, 230), 1)):
            pen = QPen(color, width)
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.drawEllipse(QPointF(*pointer), radius, radius)

    def _paint_gesture(self, painter: QPainter, options: ToolOptions) -> None:
        color = QColor(_ERASING if self._label == IGNORE_INDEX else options.color)
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

    name = "Eraser"
    hint = "Eraser: drag to take corrections back · [ and ] change the size · Esc drops the stroke"

    def __init__(self) -> None:
        super().__init__(erases=True)
