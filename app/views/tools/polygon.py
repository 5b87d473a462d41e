"""The polygon."""

from __future__ import annotations

import math
from functools import partial

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter

from app.document.edit import Edit
from app.document.regions.shapes import polygon_region
from app.views.tools.preview import area_of, paint_line
from app.views.tools.tool import Outcome, Tool, ToolContext, ToolOptions, ToolSpec, now_or_later

_CLOSE = 8
"""View pixels; a click this near to the first corner closes the polygon."""


class Polygon(Tool):
    """Sets the class inside corners that are clicked one after the other."""

    hint = (
        "Polygon: click corners · double click or Enter fills · Backspace takes a corner back · "
        "Shift erases · Esc drops it"
    )

    def __init__(self) -> None:
        super().__init__()
        self._pen = (0.0, 0.0)
        self._closes = False

    def press(self, x: float, y: float, context: ToolContext, pressure: float = 1.0) -> None:
        """Add a corner, or close the polygon at the first one."""
        self._pen = (x, y)
        if not self.is_active:
            super().press(x, y, context, pressure)
            self._closes = False
        elif len(self._points) > 2 and math.dist(self._points[0], (x, y)) * context.zoom < _CLOSE:
            self._closes = True
        else:
            self._points.append((x, y))

    def move(self, x: float, y: float, pressure: float = 1.0) -> None:
        """Show where the next corner would be."""
        self._pen = (x, y)

    def release(self) -> Outcome:
        """See `Tool.release`."""
        return self.finish() if self._closes else None

    def finish(self) -> Outcome:
        """See `Tool.finish`."""
        return super().release()

    def remove_last(self) -> bool:
        """See `Tool.remove_last`."""
        was_active = self.is_active
        if len(self._points) > 1:
            self._points.pop()
        else:
            self.abort()
        return was_active

    def outcome(self, points: list[tuple[float, float]], context: ToolContext) -> Outcome:
        """See `Tool.outcome`."""
        return filled_polygon(points, context, "fill polygon")

    def preview_area(self, pointer: tuple[float, float], options: ToolOptions) -> QRectF:
        """See `Tool.preview_area`."""
        return area_of([*self._points, pointer])

    def paint_preview(
        self, painter: QPainter, pointer: tuple[float, float], options: ToolOptions
    ) -> None:
        """See `Tool.paint_preview`."""
        if self.is_active:
            paint_line(painter, [*self._points, self._pen], closed=True)
            paint_line(painter, self._points, closed=False, handles=True)


def filled_polygon(points: list[tuple[float, float]], context: ToolContext, text: str) -> Outcome:
    """Return what setting the class inside corners comes to."""
    area = area_of(points)
    # A row is worked on as a whole: a thousand pixels take microseconds.
    pixels = round(area.width() * area.height()) // 16
    return now_or_later(partial(_edit, points, context, text), pixels, "Filling the polygon")


def _edit(points: list[tuple[float, float]], context: ToolContext, text: str) -> Edit | None:
    document = context.document
    return context.paint(polygon_region(points, document.height, document.width), text)


TOOL = ToolSpec("polygon", "&Polygon", "P", "vector-polygon", 30, Polygon)
