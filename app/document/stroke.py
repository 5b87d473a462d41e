"""Strokes: what a hand draws from press to release, and the pixels it covers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

_SHIFT = 4
_FRACTIONS = 1 << _SHIFT
"""OpenCV's coordinates are whole numbers of 1/16 pixel."""

_FAR = 1_000_000
"""Pixels; points further out would overflow OpenCV's coordinates."""

_DRAWN_EXCESS = 0.25
"""What OpenCV fills reaches further out than asked for, by this much on average."""

_EXACT_DIAMETER = 16
"""Up to here each pixel's distance is measured; it would be slow for large brushes."""


class Box(NamedTuple):
    """A rectangle of pixels: rows top to bottom - 1, columns left to right - 1."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an array H×W."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def united(self, other: Box) -> Box:
        """Return the smallest box around both."""
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )


@dataclass(frozen=True)
class Stroke:
    """One gesture of a round brush.

    Attributes:
        points: x and y of the pen in pixels; the centre of the first pixel is (0.5, 0.5).
        diameter: of the brush in pixels, at least 1.
        label: class index to set, or `IGNORE_INDEX` to erase what a person set.
    """

    points: tuple[tuple[float, float], ...]
    diameter: int
    label: int


class Region(NamedTuple):
    """Pixels of an image: a box and which of its pixels are meant."""

    box: Box
    mask: NDArray[np.bool_]


def without(region: Region, others: Iterable[Region]) -> NDArray[np.bool_]:
    """Return the mask of a region without the pixels of others."""
    mask = region.mask.copy()
    top, left, bottom, right = region.box
    for box, other in others:
        rows = slice(max(top, box.top), min(bottom, box.bottom))
        columns = slice(max(left, box.left), min(right, box.right))
        if rows.start < rows.stop and columns.start < columns.stop:
            there = other[_shifted(rows, box.top), _shifted(columns, box.left)]
            mask[_shifted(rows, top), _shifted(columns, left)] &= ~there
    return mask


def _shifted(part: slice, start: int) -> slice:
    return slice(part.start - start, part.stop - start)


def rasterize(stroke: Stroke, height: int, width: int) -> Region | None:
    """Return the pixels of an image that a stroke covers, None if it covers none.

    A pixel is covered if its centre is within half a diameter of the line through the
    points, so that fast strokes have no gaps; large brushes may be half a pixel off. The
    pixel under the pen is always covered.
    """
    reach = stroke.diameter / 2 + 1
    points = np.array(stroke.points, dtype=np.float64).clip(-_FAR, _FAR)
    left, top = np.floor(points.min(axis=0) - reach).astype(int)
    right, bottom = np.ceil(points.max(axis=0) + reach).astype(int)
    box = Box(max(top, 0), max(left, 0), min(bottom, height), min(right, width))
    if box.top >= box.bottom or box.left >= box.right:
        return None
    inside = points - (box.left, box.top)
    size = (box.bottom - box.top, box.right - box.left)
    is_small = stroke.diameter <= _EXACT_DIAMETER
    mask = (_exact_mask if is_small else _drawn_mask)(inside, stroke.diameter, size)
    x, y = np.floor(inside[-1]).astype(int)
    if 0 <= y < size[0] and 0 <= x < size[1]:
        mask[y, x] = True
    return Region(box, mask) if mask.any() else None


def _exact_mask(
    points_N2: NDArray[np.float64], diameter: int, size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Measure each pixel's distance, segment by segment, in the segment's own box."""
    mask = np.zeros(size, dtype=bool)
    radius = diameter / 2
    for start, end in zip(points_N2, [*points_N2[1:], points_N2[-1]], strict=True):
        first = np.floor(np.minimum(start, end) - radius).astype(int).clip(0)
        last = np.ceil(np.maximum(start, end) + radius).astype(int).clip(0, size[::-1])
        x = np.arange(first[0], last[0]) + 0.5 - start[0]
        y = np.arange(first[1], last[1])[:, np.newaxis] + 0.5 - start[1]
        along = end - start
        share = (x * along[0] + y * along[1]) / max(float(along @ along), 1e-12)
        share = share.clip(0, 1)
        near = np.hypot(x - share * along[0], y - share * along[1]) <= radius
        mask[first[1] : last[1], first[0] : last[0]] |= near
    return mask


def _drawn_mask(
    points_N2: NDArray[np.float64], diameter: int, size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Let OpenCV fill discs and the rectangles between them, fast for large brushes too."""
    canvas = np.zeros(size, dtype=np.uint8)
    radius = diameter / 2 - _DRAWN_EXCESS
    centers = points_N2 - 0.5
    for start, end in zip(centers, [*centers[1:], centers[-1]], strict=True):
        place = [int(value) for value in (start * _FRACTIONS).round()]
        cv2.circle(canvas, place, round(radius * _FRACTIONS), 1, cv2.FILLED, shift=_SHIFT)
        along = end - start
        length = float(np.hypot(*along))
        if length > 0:
            across = np.array([-along[1], along[0]]) / length * radius
            corners = np.array([start + across, end + across, end - across, start - across])
            filled = (corners * _FRACTIONS).round().astype(np.int32)
            cv2.fillConvexPoly(canvas, filled, 1, shift=_SHIFT)
    return canvas.astype(bool)
