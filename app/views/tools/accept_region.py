"""Accepts a whole region."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.stroke import Box, Region
from app.views.tools.region_tool import RegionTool
from app.views.tools.tool import ToolContext, ToolOptions, ToolSpec
from mdlstm_core.config import IGNORE_INDEX


class AcceptRegion(RegionTool):
    """Makes a connected region of one label of the model the person's."""

    hint = "Accept a region: click one of the model's that is right · Shift takes one of yours back"

    def labels_in(self, box: Box, context: ToolContext) -> NDArray[np.uint8]:
        """Return what the model says where no person set a label; erasing, the contrary."""
        prediction = context.document.prediction
        corrections = context.document.corrections.values[box.slices]
        if context.erasing:
            return corrections.copy()
        if prediction is None:
            return np.full_like(corrections, IGNORE_INDEX)
        is_open = corrections == IGNORE_INDEX
        return np.where(is_open, prediction[box.slices], np.uint8(IGNORE_INDEX))

    def edit_of(
        self, label_map: NDArray[np.uint8], region: Region, options: ToolOptions
    ) -> Edit | None:
        """See `RegionTool.edit_of`."""
        label = int(label_map[region.box.slices][region.mask][0])
        return Edit(region, label, "accept")


TOOL = ToolSpec(
    "accept-region", "Accept a &region", "Shift+T", "check-decagram-outline", 170, AcceptRegion
)
