"""The brush."""

from __future__ import annotations

from app.document.stroke import Region
from app.views.tools.stroke_tool import StrokeTool
from app.views.tools.tool import Outcome, ToolContext, ToolSpec


class Brush(StrokeTool):
    """Paints the chosen class; a pen's pressure makes the line thinner."""

    hint = "Brush: drag to paint · Shift erases · [ ] or Alt-drag change the size · Esc drops it"

    def of_region(self, region: Region, context: ToolContext) -> Outcome:
        """See `StrokeTool.of_region`."""
        return context.paint(region, "paint")


TOOL = ToolSpec("brush", "&Brush", "B", "brush", 10, Brush, ("diameter", "shape"))
