"""Where a person's next stroke would bring most.

Where the model is unsure of many pixels that look unlike those which are labeled already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.document.stroke import Box
from mdlstm_core.config import IGNORE_INDEX

_MOST_CELLS = 400
"""Cells a side that the search looks at; larger images are reduced."""

_SHARE = 6
"""The image's shorter side, in sides of the window that is looked for."""

_ALIKE = 15.0
"""Distance of two colours in CIE L*a*b*, at which they count as half different."""

_LEAST_DIFFERENCE = 0.2
"""Of a region whose colour is labeled already: the model may be unsure nonetheless."""

_MOST_SAMPLES = 200
"""Labeled cells an image whose colours are kept."""

_WORTH = 0.25
"""Mean uncertainty of a window, below which nothing there is worth a stroke."""


class UncertainRegion(NamedTuple):
    """A part of an image in which the model is unsure.

    Attributes:
        box: where.
        uncertainty: its mean over the pixels that nobody labeled, 0 to 1.
        pixels: how many these are.
        share: how much of the image these are, 0 to 1.
        color: their mean colour, CIE L*a*b*.
    """

    box: Box
    uncertainty: float
    pixels: int
    share: float = 0.0
    color: tuple[float, float, float] = (0.0, 0.0, 0.0)


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


def uncertain_regions(
    uncertainty_HW: NDArray[np.uint8],
    is_set_HW: NDArray[np.bool_],
    image_HW3: NDArray[np.uint8],
    seen: Sequence[Box] = (),
    most: int = 4,
) -> tuple[UncertainRegion, ...]:
    """Return the windows of `most_uncertain` one after the other, with their colours."""
    found: list[UncertainRegion] = []
    for _ in range(most):
        region = most_uncertain(uncertainty_HW, is_set_HW, [*seen, *(f.box for f in found)])
        if region is None:
            break
        is_open = ~is_set_HW[region.box.slices]
        mean = image_HW3[region.box.slices][is_open].mean(axis=0)
        lightness, a, b = _lab(mean[np.newaxis])[0].tolist()
        share = region.pixels / is_set_HW.size
        found.append(region._replace(share=share, color=(lightness, a, b)))
    return tuple(found)


def labeled_colors(
    image_HW3: NDArray[np.uint8], corrections_HW: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return colours of pixels that a person labeled, N×3 in CIE L*a*b*, N up to 200."""
    coarse = -(-max(corrections_HW.shape) // _MOST_CELLS)
    rows, columns = np.nonzero(corrections_HW[::coarse, ::coarse] != IGNORE_INDEX)
    step = -(-len(rows) // _MOST_SAMPLES) or 1
    return _lab(image_HW3[rows[::step] * coarse, columns[::step] * coarse])


def worth(region: UncertainRegion, labeled_N3: NDArray[np.float32]) -> float:
    """Return what labeling a region would bring: uncertainty × area × difference.

    Args:
        region: the region.
        labeled_N3: colours that are labeled already (see `labeled_colors`); the difference is
            1 without any, and 0.2 for a colour that is among them.
    """
    return region.uncertainty * region.share * difference(region, labeled_N3)


def difference(region: UncertainRegion, labeled_N3: NDArray[np.float32]) -> float:
    """Return how much a region's colour differs from what is labeled, 0.2 to 1."""
    if not len(labeled_N3):
        return 1.0
    color = np.array(region.color, dtype=np.float32)
    nearest = float(np.linalg.norm(labeled_N3 - color, axis=1).min())
    return _LEAST_DIFFERENCE + (1 - _LEAST_DIFFERENCE) * nearest / (nearest + _ALIKE)


def _lab(rgb_N3: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return colours of 0 to 255 in CIE L*a*b*."""
    if not len(rgb_N3):
        return np.zeros((0, 3), dtype=np.float32)
    scaled = (np.asarray(rgb_N3, dtype=np.float32) / 255)[np.newaxis]
    return cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB)[0]
