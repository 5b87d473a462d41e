"""The outline smoother."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.regions.outlines import smoothed
from app.document.stroke import Region
from app.views.tools.region_tool import RegionTool
from app.views.tools.tool import ToolOptions, ToolSpec


class Smooth(RegionTool):
    """Smooths the outline of a region."""

    hint = "Smooth: click a region to smooth its outline · Shift erases what would change"

    def edit_of(
        self, label_map: NDArray[np.uint8], region: Region, options: ToolOptions
    ) -> Edit | None:
        """See `RegionTool.edit_of`."""
        return smoothed(label_map, region, options.amount)

    def reach(self, options: ToolOptions) -> int:
        """See `RegionTool.reach`."""
        return options.amount + 1


TOOL = ToolSpec("smooth", "S&mooth outline", "M", "blur", 130, Smooth, ("amount",))
