"""The scribble cut."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter

from app.document.edit import Edit
from app.document.regions.cut_out import cut_from_rectangle, cut_from_scribble
from app.document.regions.shapes import rectangle_region
from app.document.stroke import Region
from app.views.tools.preview import area_of, paint_rectangle
from app.views.tools.stroke_tool import StrokeTool
from app.views.tools.tool import Outcome, Pending, ToolContext, ToolOptions, ToolSpec


class ScribbleCut(StrokeTool):
    """Sets the class on a thing that is scribbled on, or that a box is drawn around."""

    hint = "Cut: scribble on a thing, or draw a box around it, to cut it out · Shift erases"

    def release(self) -> Outcome:
        """See `Tool.release`."""
        context, points = self._context, self._points
        if context is None or context.options.cut_from == "scribble":
            return super().release()
        self.abort()
        document = context.document
        region = rectangle_region(points[0], points[-1], document.height, document.width)
        return None if region is None else self.of_region(region, context)

    def of_region(self, region: Region, context: ToolContext) -> Outcome:
        """See `StrokeTool.of_region`."""
        return Pending(partial(_edit, region, context), "Cutting out")

    def preview_area(self, pointer: tuple[float, float], options: ToolOptions) -> QRectF:
        """See `Tool.preview_area`."""
        if options.cut_from == "scribble":
            return super().preview_area(pointer, options)
        return area_of([*self._points[:1], pointer])

    def paint_preview(
        self, painter: QPainter, pointer: tuple[float, float], options: ToolOptions
    ) -> None:
        """See `Tool.paint_preview`."""
        if options.cut_from == "scribble":
            super().paint_preview(painter, pointer, options)
        elif self.is_active:
            paint_rectangle(painter, self._points[0], self._points[-1])


def _edit(region: Region, context: ToolContext) -> Edit | None:
    image = context.document.image
    if context.options.cut_from == "scribble":
        return context.paint(cut_from_scribble(image, region), "cut out")
    return context.paint(cut_from_rectangle(image, region.box), "cut out")


TOOL = ToolSpec(
    "scribble-cut", "Scribble &cut", "C", "content-cut", 90, ScribbleCut, ("cut_from", "diameter")
)
