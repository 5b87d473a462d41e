"""A simulated annotator: one stroke at a time where a prediction is most wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX

LONGEST, WIDTH, INSIDE = 40, 3, 2
"""Pixels: a stroke's length at most, its width, and its distance from the region's border."""

_ANGLES = 24

_Mask = NDArray[np.bool_]


def first_strokes(truth_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return one stroke in the largest region of each class present, else `IGNORE_INDEX`."""
    strokes = np.full(truth_HW.shape, IGNORE_INDEX, dtype=np.uint8)
    for label in np.unique(truth_HW[truth_HW != IGNORE_INDEX]):
        region = largest_region(truth_HW == label)
        strokes[stroke_along(region)] = label
    return strokes


def next_stroke(
    truth_HW: NDArray[np.uint8], prediction_HW: NDArray[np.uint8], strokes_HW: NDArray[np.uint8]
) -> _Mask | None:
    """Return the pixels of one stroke in the largest region that is wrong; None if all is right.

    A region is connected and of one true class. What has a stroke already is left out: a
    person does not paint the same line twice.

    Args:
        truth_HW: the true classes, `IGNORE_INDEX` where unknown.
        prediction_HW: the predicted ones.
        strokes_HW: the strokes so far, `IGNORE_INDEX` where there is none.
    """
    wrong = (truth_HW != prediction_HW) & (truth_HW != IGNORE_INDEX) & (strokes_HW == IGNORE_INDEX)
    regions = [largest_region(wrong & (truth_HW == label)) for label in np.unique(truth_HW[wrong])]
    return stroke_along(max(regions, key=np.count_nonzero)) if regions else None


def largest_region(mask_HW: _Mask) -> _Mask:
    """Return the largest 4-connected part of a mask; the mask holds at least one pixel."""
    count, parts, sizes, _ = cv2.connectedComponentsWithStats(
        mask_HW.astype(np.uint8), connectivity=4
    )
    areas = sizes[1:count, cv2.CC_STAT_AREA]
    return parts == 1 + int(areas.argmax())


def stroke_along(region_HW: _Mask) -> _Mask:
    """Return a straight stroke along a region's middle, as a mask.

    At most `LONGEST` pixels long, `WIDTH` wide, `INSIDE` pixels away from the border where
    the region is wide enough, and within the region anyway.
    """
    # The frame: outside of the image is outside of the region.
    framed = cv2.copyMakeBorder(region_HW.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    deepest = float(depth.max())
    row, column = _middle(depth >= 0.95 * deepest)
    # The stroke's own half width lies between its line and the border.
    walkable = depth >= min(INSIDE + WIDTH / 2, 0.6 * deepest)
    ends = max(
        (
            (_walked(walkable, row, column, angle), _walked(walkable, row, column, angle + math.pi))
            for angle in np.arange(_ANGLES) * math.pi / _ANGLES
        ),
        key=lambda pair: _depth_between(depth, *pair),
    )
    line = np.zeros(region_HW.shape, dtype=np.uint8)
    first, last = ((column, row) for row, column in ends)
    cv2.line(line, first, last, 1)
    # Not a thick line: OpenCV's is five pixels wide where it is slanted.
    line = cv2.dilate(line, cv2.getStructuringElement(cv2.MORPH_CROSS, (WIDTH, WIDTH)))
    inside = depth > INSIDE if deepest > INSIDE + 1 else region_HW
    stroke = (line > 0) & inside
    stroke[row, column] = True
    return stroke


def _middle(mask_HW: _Mask) -> tuple[int, int]:
    """Return the pixel of a mask that is nearest to the mean of all of them."""
    places = np.argwhere(mask_HW)
    row, column = places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return int(row), int(column)


def _walked(walkable: _Mask, row: int, column: int, angle: float) -> tuple[int, int]:
    """Return how far a straight walk leads, half a stroke at most."""
    place = (int(row), int(column))
    # A pixel less: the line's ends are round.
    for step in range(1, LONGEST // 2 - 1):
        there = (round(row + step * math.sin(angle)), round(column + step * math.cos(angle)))
        if not _is_inside(walkable, *there) or not walkable[there]:
            break
        place = there
    return place


def _is_inside(array: _Mask, row: int, column: int) -> bool:
    return 0 <= row < array.shape[0] and 0 <= column < array.shape[1]


def _depth_between(
    depth: NDArray[np.float32], first: tuple[int, int], last: tuple[int, int]
) -> float:
    return sum(min(float(depth[place]), 20.0) for place in _between(first, last))


def _between(first: tuple[int, int], last: tuple[int, int]) -> Iterator[tuple[int, int]]:
    steps = max(abs(last[0] - first[0]), abs(last[1] - first[1]), 1)
    for step in range(steps + 1):
        share = step / steps
        yield (
            round(first[0] + share * (last[0] - first[0])),
            round(first[1] + share * (last[1] - first[1])),
        )
