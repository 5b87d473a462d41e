"""The label picker."""

from __future__ import annotations

from app.document.stroke import Box
from app.views.tools.region_tool import ClickTool
from app.views.tools.tool import Outcome, Pick, ToolContext, ToolSpec
from mdlstm_core.config import IGNORE_INDEX


class PickLabel(ClickTool):
    """Chooses the class of the pixel that is clicked, to paint with it."""

    hint = "Pick: click a pixel to paint with its class"

    def at_pixel(self, x: int, y: int, context: ToolContext) -> Outcome:
        """See `ClickTool.at_pixel`."""
        label = int(context.document.shown(Box(y, x, y + 1, x + 1))[0, 0])
        return None if label == IGNORE_INDEX else Pick(label)


TOOL = ToolSpec("pick", "P&ick a class", "I", "eyedropper", 100, PickLabel)
