"""The rectangle."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter

from app.document.regions.shapes import rectangle_region
from app.views.tools.preview import area_of, paint_rectangle
from app.views.tools.tool import Outcome, Tool, ToolContext, ToolOptions, ToolSpec


class BoxTool(Tool):
    """Shows the rectangle that is dragged open."""

    def preview_area(self, pointer: tuple[float, float], options: ToolOptions) -> QRectF:
        """See `Tool.preview_area`."""
        return area_of([*self._points[:1], pointer])

    def paint_preview(
        self, painter: QPainter, pointer: tuple[float, float], options: ToolOptions
    ) -> None:
        """See `Tool.paint_preview`."""
        if self.is_active:
            paint_rectangle(painter, self._points[0], self._points[-1])


class Rectangle(BoxTool):
    """Sets the class in a rectangle of whole pixels."""

    hint = "Rectangle: drag from corner to corner · Shift erases · Esc drops it"

    def outcome(self, points: list[tuple[float, float]], context: ToolContext) -> Outcome:
        """See `Tool.outcome`."""
        document = context.document
        region = rectangle_region(points[0], points[-1], document.height, document.width)
        return context.paint(region, "fill rectangle")


TOOL = ToolSpec("rectangle", "&Rectangle", "R", "rectangle-outline", 50, Rectangle)
