"""The hole filler."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.regions.outlines import filled
from app.document.stroke import Region
from app.views.tools.region_tool import RegionTool
from app.views.tools.tool import ToolOptions, ToolSpec


class FillHoles(RegionTool):
    """Gives what a region encloses the region's class."""

    hint = "Fill holes: click a region to close the holes in it · Shift erases there"

    def edit_of(
        self, label_map: NDArray[np.uint8], region: Region, options: ToolOptions
    ) -> Edit | None:
        """See `RegionTool.edit_of`."""
        return filled(label_map, region)


TOOL = ToolSpec("fill-holes", "Fill &holes", "O", "circle-slice-8", 110, FillHoles)
