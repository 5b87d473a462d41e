"""The shrinker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.regions.outlines import shrunk
from app.document.stroke import Region
from app.views.tools.region_tool import RegionTool
from app.views.tools.tool import ToolOptions, ToolSpec


class Shrink(RegionTool):
    """Lets a region give way to its surroundings on all sides."""

    hint = "Shrink: click a region to narrow it by the amount set · Shift erases there"

    def edit_of(
        self, label_map: NDArray[np.uint8], region: Region, options: ToolOptions
    ) -> Edit | None:
        """See `RegionTool.edit_of`."""
        return shrunk(label_map, region, options.amount)

    def reach(self, options: ToolOptions) -> int:
        """See `RegionTool.reach`."""
        return options.amount + 1


TOOL = ToolSpec("shrink", "Shri&nk", "Shift+G", "arrow-collapse-all", 150, Shrink, ("amount",))
