"""The fill."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.stroke import Region
from app.views.tools.region_tool import RegionTool
from app.views.tools.tool import ToolOptions, ToolSpec


class Fill(RegionTool):
    """Sets the class in the connected region of one label that is clicked."""

    hint = "Fill: click a region of one label to give it the class · Shift erases"
    takes_unlabeled = True

    def edit_of(
        self, label_map: NDArray[np.uint8], region: Region, options: ToolOptions
    ) -> Edit | None:
        """See `RegionTool.edit_of`."""
        return Edit(region, options.label, "fill")


TOOL = ToolSpec("fill", "&Fill", "F", "format-color-fill", 60, Fill)
