"""Accepts a whole region."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

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

    def label_map(self, box: Box, context: ToolContext) -> Callable[[], NDArray[np.uint8]]:
        """Return what the model says where no person set a label; erasing, the contrary."""
        corrections = context.document.corrections.values[box.slices].copy()
        prediction = context.document.prediction  # another one replaces it, none changes it
        if context.erasing:
            return lambda: corrections
        if prediction is None:
            return lambda: np.full_like(corrections, IGNORE_INDEX)
        return partial(_open_labels, prediction[box.slices], corrections)

    def edit_of(
        self, label_map: NDArray[np.uint8], region: Region, options: ToolOptions
    ) -> Edit | None:
        """See `RegionTool.edit_of`."""
        label = int(label_map[region.box.slices][region.mask][0])
        return Edit(region, label, "accept")


def _open_labels(
    prediction: NDArray[np.uint8], corrections: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    return np.where(corrections == IGNORE_INDEX, prediction, np.uint8(IGNORE_INDEX))


TOOL = ToolSpec(
    "accept-region", "Accept a &region", "Shift+T", "check-decagram-outline", 170, AcceptRegion
)
