"""Regions inside lines that a hand drew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.document.stroke import Box, Region

_FAR = 1_000_000
"""Pixels; points further out lie there."""


def rectangle_region(
    start: tuple[float, float], end: tuple[float, float], height: int, width: int
) -> Region | None:
    """Return the pixels from the one under `start` to the one under `end`, x and y each.

    Returns:
        None if they lie outside the image.
    """
    low, high = (np.floor(side(start, end, dtype=float)) for side in (np.minimum, np.maximum))
    left, top, right, bottom = (int(value) for value in np.clip([*low, *(high + 1)], -_FAR, _FAR))
    box = Box(top, left, bottom, right).clipped(height, width)
    if box.is_empty:
        return None
    return Region(box, np.ones(box.shape, dtype=bool))


def polygon_region(points: Sequence[tuple[float, float]], height: int, width: int) -> Region | None:
    """Return the pixels whose centres a closed line goes round (nonzero winding).

    Loops of a line that crosses itself are filled too, as a hand means them.

    Args:
        points: x and y of the corners; the last is joined to the first.
        height: of the image.
        width: of the image.

    Returns:
        None if there are no such pixels.
    """
    corners = np.array(points, dtype=np.float64).reshape(-1, 2).clip(-_FAR, _FAR)
    if len(corners) < 3:
        return None
    left, top = np.floor(corners.min(axis=0)).astype(int)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int)
    box = Box(top, left, bottom, right).clipped(height, width)
    if box.is_empty:
        return None
    rows, columns, turns = _crossings(corners - (box.left, box.top), box)
    winding = np.zeros((box.shape[0], box.shape[1] + 1), dtype=np.int16)
    np.add.at(winding, (rows, columns), turns)
    np.cumsum(winding, axis=1, out=winding)
    mask = winding[:, :-1] != 0
    return Region(box, mask) if mask.any() else None


def _crossings(
    corners_N2: NDArray[np.float64], box: Box
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int16]]:
    """Find where the edges cross the middle lines of the box's rows.

    Returns:
        row, first column whose centre lies beyond, and whether the edge goes down or up.
    """
    height, width = box.shape
    x, y = corners_N2.T
    to_x, to_y = np.roll(x, -1), np.roll(y, -1)
    first = np.ceil(np.minimum(y, to_y) - 0.5).clip(0, height).astype(np.int64)
    end = np.ceil(np.maximum(y, to_y) - 0.5).clip(0, height).astype(np.int64)
    counts = end - first
    edge = np.repeat(np.arange(len(x)), counts)
    within = np.arange(len(edge)) - np.repeat(counts.cumsum() - counts, counts)
    rows = first[edge] + within
    slope = (to_x - x)[edge] / (to_y - y)[edge]
    crossing = x[edge] + (rows + 0.5 - y[edge]) * slope
    columns = np.ceil(crossing - 0.5).clip(0, width).astype(np.int64)
    return rows, columns, np.where(to_y > y, 1, -1)[edge].astype(np.int16)
