"""The speck remover."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.regions.shapes import rectangle_region
from app.document.regions.specks import despeckled
from app.document.stroke import Box
from app.views.tools.rectangle import BoxTool
from app.views.tools.tool import Outcome, ToolContext, ToolSpec, now_or_later

_CLICK = 4
"""View pixels; what is dragged no further is a click."""


class Despeckle(BoxTool):
    """Gives small regions the label around them, in a rectangle or in the whole image."""

    hint = "Despeckle: drag a box, or click for the whole image · Shift erases the specks"

    def outcome(self, points: list[tuple[float, float]], context: ToolContext) -> Outcome:
        """See `Tool.outcome`."""
        document = context.document
        box = Box(0, 0, document.height, document.width)
        if math.dist(points[0], points[-1]) * context.zoom > _CLICK:
            region = rectangle_region(points[0], points[-1], document.height, document.width)
            if region is None:
                return None
            box = region.box
        size = document.height, document.width
        # One pixel more, so that a region that goes on beyond the box is seen to do so.
        seen = box.wider(1).clipped(*size)
        compute = partial(_edit, document.shown_later(seen), seen, size, context)
        return now_or_later(compute, math.prod(seen.shape), "Removing specks")


def _edit(
    labels: Callable[[], NDArray[np.uint8]],
    seen: Box,
    size: tuple[int, int],
    context: ToolContext,
) -> Edit | None:
    return context.erasing_or(despeckled(labels(), seen, size, context.options.minimum_area))


TOOL = ToolSpec("despeckle", "&Despeckle", "K", "broom", 120, Despeckle, ("minimum_area",))
