"""The grower."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.regions.outlines import grown
from app.document.stroke import Region
from app.views.tools.region_tool import RegionTool
from app.views.tools.tool import ToolOptions, ToolSpec


class Grow(RegionTool):
    """Lets a region grow on all sides."""

    hint = "Grow: click a region to widen it by the amount set · Shift erases there"

    def edit_of(
        self, label_map: NDArray[np.uint8], region: Region, options: ToolOptions
    ) -> Edit | None:
        """See `RegionTool.edit_of`."""
        return grown(label_map, region, options.amount)

    def reach(self, options: ToolOptions) -> int:
        """See `RegionTool.reach`."""
        return options.amount + 1


TOOL = ToolSpec("grow", "&Grow", "G", "arrow-expand-all", 140, Grow, ("amount",))
