"""The eraser as a tool of its own; it is a brush."""

from __future__ import annotations

from app.views.tools.brush import Eraser
from app.views.tools.tool import ToolSpec

TOOL = ToolSpec("eraser", "&Eraser", "E", "mdi6.eraser", 20, Eraser, ("diameter", "shape"))
