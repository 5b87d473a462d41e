"""The eraser."""

from __future__ import annotations

from app.views.tools.brush import Brush
from app.views.tools.tool import ToolContext, ToolSpec


class Eraser(Brush):
    """Takes back what a person set, so that the model's label shows again."""

    hint = "Eraser: drag to take corrections back · [ ] or Alt-drag change the size · Esc drops it"

    def press(self, x: float, y: float, context: ToolContext, pressure: float = 1.0) -> None:
        """See `Tool.press`."""
        super().press(x, y, context._replace(erasing=True), pressure)


TOOL = ToolSpec("eraser", "&Eraser", "E", "eraser", 20, Eraser, ("diameter", "shape"))
