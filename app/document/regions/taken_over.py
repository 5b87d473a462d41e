"""Takes labels over: the model's, or another image's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.regions.connected import moved, tight
from app.document.stroke import Box, Region
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError


def accepted(
    prediction_HW: NDArray[np.uint8], corrections_HW: NDArray[np.uint8], region: Region
) -> Edit | None:
    """Make the model's labels in a region the person's; what a person set there stays.

    Args:
        prediction_HW: what the model says.
        corrections_HW: what a person set.
        region: where to accept.

    Returns:
        None if there is nothing to accept.
    """
    box = region.box
    return _taken_over(prediction_HW[box.slices], corrections_HW[box.slices], region, "accept")


def copied(other_HW: NDArray[np.uint8], corrections_HW: NDArray[np.uint8]) -> Edit | None:
    """Copy another image's labels to where nothing is set yet.

    Args:
        other_HW: what a person set on the other image.
        corrections_HW: what a person set on this one; it stays.

    Returns:
        None if there is nothing to copy.

    Raises:
        InputError: the images differ in size.
    """
    if other_HW.shape != corrections_HW.shape:
        theirs, ours = (f"{w}×{h}" for h, w in (other_HW.shape, corrections_HW.shape))
        raise InputError(
            f"Labels of an image of {theirs} pixels do not fit this one of {ours}; "
            "only images of the same size can share labels."
        )
    whole = Region(Box(0, 0, *other_HW.shape), np.ones(other_HW.shape, dtype=bool))
    return _taken_over(other_HW, corrections_HW, whole, "copy labels")


def _taken_over(
    source: NDArray[np.uint8], present: NDArray[np.uint8], region: Region, text: str
) -> Edit | None:
    mask = region.mask & (source != IGNORE_INDEX) & (present == IGNORE_INDEX)
    if not mask.any():
        return None
    smallest = tight(Region(Box(0, 0, *mask.shape), mask))
    labels = source[smallest.box.slices][smallest.mask]
    return Edit(moved(smallest, region.box), labels, text)
