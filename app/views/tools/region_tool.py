"""What all tools have in common that work on a region clicked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.regions.connected import connected_region, is_cut, moved, windows
from app.document.stroke import Box, Region
from app.views.tools.tool import Outcome, Pending, Tool, ToolContext, ToolOptions
from mdlstm_core.config import IGNORE_INDEX


class ClickTool(Tool):
    """Works on the pixel under the pointer when the button is let go."""

    def at_pixel(self, x: int, y: int, context: ToolContext) -> Outcome:
        """Return what a click on a pixel of the image comes to."""
        raise NotImplementedError

    def outcome(self, points: list[tuple[float, float]], context: ToolContext) -> Outcome:
        """See `Tool.outcome`."""
        x, y = (math.floor(value) for value in points[-1])
        if 0 <= x < context.document.width and 0 <= y < context.document.height:
            return self.at_pixel(x, y, context)
        return None


class RegionTool(ClickTool):
    """Works on the connected region, as it is displayed, of the pixel that is clicked.

    A region that fits into the first window around the pixel is done at once; a larger one
    is left to a thread, with a copy of the label map.
    """

    takes_unlabeled = False

    def edit_of(
        self, label_map: NDArray[np.uint8], region: Region, options: ToolOptions
    ) -> Edit | None:
        """Return what to set, without looking at the document: it may run in a thread."""
        raise NotImplementedError

    def reach(self, options: ToolOptions) -> int:
        """Return how many pixels around the region count as well."""
        return 0

    def label_map(self, box: Box, context: ToolContext) -> Callable[[], NDArray[np.uint8]]:
        """Copy the label map inside a box, as it is now, for a thread to fetch."""
        return context.document.shown_later(box)

    def at_pixel(self, x: int, y: int, context: ToolContext) -> Outcome:
        """See `ClickTool.at_pixel`."""
        document, options = context.document, context.options
        size = document.height, document.width
        window = next(windows(x, y, *size))
        part = self.label_map(window, context)()
        region = connected_region(part, x - window.left, y - window.top)
        if part[region.box.slices][region.mask][0] == IGNORE_INDEX and not self.takes_unlabeled:
            return None
        if not is_cut(moved(region, window).box, window, *size, self.reach(options)):
            edit = self.edit_of(part, region, options)
            if edit is not None:
                edit = dataclasses.replace(edit, region=moved(edit.region, window))
            return context.erasing_or(edit)
        whole = self.label_map(Box(0, 0, *size), context)
        return Pending(partial(self._compute, whole, x, y, context), "Working on the region")

    def _compute(
        self, whole: Callable[[], NDArray[np.uint8]], x: int, y: int, context: ToolContext
    ) -> Edit | None:
        label_map = whole()
        edit = self.edit_of(label_map, connected_region(label_map, x, y), context.options)
        return context.erasing_or(edit)
