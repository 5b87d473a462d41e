"""The lasso."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter

from app.views.tools.polygon import filled_polygon
from app.views.tools.preview import area_of, paint_line
from app.views.tools.tool import Outcome, Tool, ToolContext, ToolOptions, ToolSpec


class Lasso(Tool):
    """Sets the class inside a line drawn by hand."""

    hint = "Lasso: drag around what takes the class · Shift erases · Esc drops it"

    def outcome(self, points: list[tuple[float, float]], context: ToolContext) -> Outcome:
        """See `Tool.outcome`."""
        return filled_polygon(points, context, "fill lasso")

    def preview_area(self, pointer: tuple[float, float], options: ToolOptions) -> QRectF:
        """See `Tool.preview_area`."""
        # The closing edge runs from the pen to the start; the rest of the line stays.
        return area_of([*self._points[:1], *self._points[-2:], pointer])

    def paint_preview(
        self, painter: QPainter, pointer: tuple[float, float], options: ToolOptions
    ) -> None:
        """See `Tool.paint_preview`."""
        if self.is_active:
            paint_line(painter, self._points, closed=True)


TOOL = ToolSpec("lasso", "&Lasso", "Q", "lasso", 40, Lasso)
