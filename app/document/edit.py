"""What a tool's gesture does to a label map, before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.document.stroke import Region, Stroke, rasterize
from mdlstm_core.config import IGNORE_INDEX


@dataclass(frozen=True)
class Edit:
    """Labels to set on the pixels of a region, as one step.

    Attributes:
        region: which pixels.
        labels: one class index for all of them, or one each, in the row-major order of the
            region's mask; `IGNORE_INDEX` takes back what a person set.
        text: what the undo menu calls it, a verb.
    """

    region: Region
    labels: int | NDArray[np.uint8]
    text: str


def edit_of_stroke(stroke: Stroke, height: int, width: int) -> Edit | None:
    """Return what a stroke sets on an image, None if it covers no pixel."""
    region = rasterize(stroke, height, width)
    if region is None:
        return None
    return Edit(region, stroke.label, "erase" if stroke.label == IGNORE_INDEX else "paint")
