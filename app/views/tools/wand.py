"""The colour wand."""

from __future__ import annotations

from functools import partial

from app.document.edit import Edit
from app.document.regions.connected import color_region
from app.views.tools.region_tool import ClickTool
from app.views.tools.tool import Outcome, ToolContext, ToolSpec, now_or_later


class Wand(ClickTool):
    """Sets the class on pixels whose colour is near that of the one clicked."""

    hint = "Wand: click a colour to give all that is like it the class · Shift erases"

    def at_pixel(self, x: int, y: int, context: ToolContext) -> Outcome:
        """See `ClickTool.at_pixel`."""
        pixels = context.document.height * context.document.width
        return now_or_later(partial(_edit, x, y, context), pixels, "Comparing colours")


def _edit(x: int, y: int, context: ToolContext) -> Edit | None:
    options, image = context.options, context.document.image
    region = color_region(image, x, y, options.tolerance, contiguous=options.contiguous)
    return context.paint(region, "wand")


TOOL = ToolSpec("wand", "Colour &wand", "W", "auto-fix", 70, Wand, ("tolerance", "contiguous"))
