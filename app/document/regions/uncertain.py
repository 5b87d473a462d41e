"""Where a person's next stroke would bring most: where the model is unsure of many pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.document.stroke import Box

_MOST_CELLS = 400
"""Cells a side that the search looks at; larger images are reduced."""

_SHARE = 6
"""The image's shorter side, in sides of the window that is looked for."""

_WORTH = 0.25
"""Mean uncertainty of a window, below which nothing there is worth a stroke."""


class UncertainRegion(NamedTuple):
    """A part of an image in which the model is unsure.

    Attributes:
        box: where.
        uncertainty: its mean over the pixels that nobody labeled, 0 to 1.
        pixels: how many these are.
    """

    box: Box
    uncertainty: float
    pixels: int


def most_uncertain(
    uncertainty_HW: NDArray[np.uint8], is_set_HW: NDArray[np.bool_], seen: Sequence[Box] = ()
) -> UncertainRegion | None:
    """Return the window with the most uncertainty × area, None if none is worth a stroke.

    Args:
        uncertainty_HW: one less the margin of the two best probabilities, 0 to 255 for 0 to 1.
        is_set_HW: where a person set a label; nothing is to be gained there.
        seen: windows that were offered before; no other one overlaps them by much.
    """
    height, width = uncertainty_HW.shape
    free = np.where(is_set_HW, np.uint8(0), uncertainty_HW)
    for box in seen:
        free[box.slices] = 0
    scale = min(1.0, _MOST_CELLS / max(height, width))
    small = free
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(free, size, interpolation=cv2.INTER_AREA)
    side = max(1, min(small.shape) // _SHARE)
    sums = cv2.integral(small)
    windows = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    row, column = np.unravel_index(int(windows.argmax()), windows.shape)
    if windows[row, column] / side**2 < _WORTH * 255:
        return None
    down, across = height / small.shape[0], width / small.shape[1]
    top, left = round(int(row) * down), round(int(column) * across)
    bottom, right = round((int(row) + side) * down), round((int(column) + side) * across)
    box = Box(top, left, min(bottom, height), min(right, width))
    open_pixels = ~is_set_HW[box.slices]
    mean = float(uncertainty_HW[box.slices][open_pixels].mean()) / 255
    return UncertainRegion(box, mean, int(open_pixels.sum()))
