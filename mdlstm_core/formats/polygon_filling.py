"""From polygons to pixels, by one rule for every format.

A pixel belongs to a polygon if its centre lies inside, by the even-odd rule. The pixel in
row r and column c has its centre at (c + 0.5, r + 0.5); a centre on a border belongs to
what lies to the right of it or below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.errors import InputError

_MOST_CHECKED = 1_000
"""Vertices; finding crossings among more takes memory by the square of them."""

_TOLERANCE = 1.0
"""Pixels that a polygon may stand out over the image: other programs round."""


def fill_polygons(
    polygons: Sequence[NDArray[np.float64]], height: int, width: int
) -> NDArray[np.bool_]:
    """Return the pixels H×W inside an odd number of borders.

    Args:
        polygons: vertices P×2, x and y in pixels; together they are one figure, so that
            one inside another is a hole.
        height: of the image, in pixels.
        width: of the image, in pixels.
    """
    crossings = np.zeros((height, width + 1), dtype=np.uint8)
    for polygon in polygons:
        _add_crossings(crossings, np.asarray(polygon, dtype=np.float64))
    # A pixel is inside if the borders to the left of it are odd in number.
    return (np.cumsum(crossings, axis=1, dtype=np.uint8)[:, :-1] & 1).astype(bool)


def paint_polygons(
    labels_HW: NDArray[np.uint8], polygons: Sequence[NDArray[np.float64]], class_id: int
) -> None:
    """Give the pixels of polygons a class; see `fill_polygons`. Only their box is looked at."""
    corners = np.concatenate(polygons)
    size = (labels_HW.shape[1], labels_HW.shape[0])
    left, top = (int(value) for value in np.clip(np.floor(corners.min(0)), 0, size))
    right, bottom = (int(value) for value in np.clip(np.ceil(corners.max(0)), 0, size))
    moved = [np.asarray(polygon, dtype=np.float64) - (left, top) for polygon in polygons]
    inside = fill_polygons(moved, bottom - top, right - left)
    labels_HW[top:bottom, left:right][inside] = class_id


def paint_circle(labels_HW: NDArray[np.uint8], circle: NDArray[np.float64], class_id: int) -> None:
    """Give the pixels with their centres in a circle a class; what stands out is cut off.

    Args:
        labels_HW: class of each pixel.
        circle: x and y of its middle, then of a point on its border, in pixels.
        class_id: the class.
    """
    (x, y), radius = circle[:2], math.hypot(*(circle[2:] - circle[:2]))
    height, width = labels_HW.shape
    left, right = (int(v) for v in np.clip((x - radius, x + radius + 1), 0, width))
    top, bottom = (int(v) for v in np.clip((y - radius, y + radius + 1), 0, height))
    rows, columns = np.ogrid[top:bottom, left:right]
    inside = np.hypot(columns + 0.5 - x, rows + 0.5 - y) < radius
    labels_HW[top:bottom, left:right][inside] = class_id


def _add_crossings(crossings: NDArray[np.uint8], polygon_P2: NDArray[np.float64]) -> None:
    """Count, at the first pixel to the right, each crossing of a border with a row's middle."""
    height, width = crossings.shape[0], crossings.shape[1] - 1
    start, end = polygon_P2, np.roll(polygon_P2, -1, axis=0)
    upper = np.where((start[:, 1] <= end[:, 1])[:, np.newaxis], start, end)
    lower = np.where((start[:, 1] <= end[:, 1])[:, np.newaxis], end, start)
    first = np.clip(np.ceil(upper[:, 1] - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(lower[:, 1] - 0.5), 0, height).astype(np.int64)
    lengths = last - first
    edges = np.repeat(np.arange(len(polygon_P2)), lengths)
    rows = np.arange(len(edges)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + first[edges]
    slopes = np.zeros(len(polygon_P2))
    steep = lengths > 0
    rise = lower[steep] - upper[steep]
    slopes[steep] = rise[:, 0] / rise[:, 1]
    x = upper[edges, 0] + (rows + 0.5 - upper[edges, 1]) * slopes[edges]
    columns = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    np.add.at(crossings, (rows, columns), 1)


def checked_polygon(values: object, height: int, width: int, where: str) -> NDArray[np.float64]:
    """Return the vertices P×2 that another program wrote as numbers in a row.

    Args:
        values: x, y, x, y, … in pixels.
        height: of the image.
        width: of the image.
        where: file and record, for the sentence.

    Raises:
        InputError: there are fewer than three vertices, one is no number or outside the
            image, or the border crosses itself.
    """
    try:
        flat = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where} has a polygon that is not made of numbers.") from error
    if flat.ndim != 1 or flat.size % 2 or flat.size < 6 or not np.isfinite(flat).all():
        raise InputError(f"{where} has a polygon that is not x, y of at least three corners.")
    polygon_P2 = flat.reshape(-1, 2)
    low, high = polygon_P2.min(0), polygon_P2.max(0)
    if (low < -_TOLERANCE).any() or (high > np.array((width, height)) + _TOLERANCE).any():
        raise InputError(
            f"{where} has a polygon from ({low[0]:g}, {low[1]:g}) to ({high[0]:g}, "
            f"{high[1]:g}), outside its image of {width}×{height} pixels."
        )
    if len(polygon_P2) <= _MOST_CHECKED and crosses_itself(polygon_P2):
        raise InputError(f"{where} has a polygon that crosses itself; draw it anew.")
    return polygon_P2


def crosses_itself(polygon_P2: NDArray[np.float64]) -> bool:
    """Return whether two edges cross inside both; touching is no crossing."""
    start, end = polygon_P2, np.roll(polygon_P2, -1, axis=0)
    x, y = start[:, 0], start[:, 1]
    end_x, end_y = end[:, 0], end[:, 1]

    def side(point_x: NDArray[np.float64], point_y: NDArray[np.float64]) -> NDArray[np.int8]:
        """Return on which side of each edge (rows) each point (columns) lies."""
        area = np.subtract.outer(-x, -point_x) * (end_y - y)[:, np.newaxis]
        area -= np.subtract.outer(-y, -point_y) * (end_x - x)[:, np.newaxis]
        area[np.abs(area) < 1e-6] = 0  # on the line, as far as rounded numbers tell
        return np.sign(area).astype(np.int8)

    separates = side(x, y) * side(end_x, end_y) < 0
    return bool((separates & separates.T).any())
