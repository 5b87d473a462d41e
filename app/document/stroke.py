"""Strokes: what a hand draws from press to release, and the pixels it covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

_FRACTION_BITS = 4


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


def rasterize(stroke: Stroke, height: int, width: int) -> Region | None:
    """Return the pixels of an image that a stroke covers, None if it covers none.

    The stroke is drawn as one line with round ends, so that fast strokes have no gaps.
    """
    # A dot is a line from a point to itself: OpenCV draws no line of one point.
    points = np.array([*stroke.points, stroke.points[-1]], dtype=np.float64) - 0.5
    reach = stroke.diameter / 2 + 1
    # Points far outside would overflow OpenCV's fixed-point coordinates.
    points = points.clip(-4 * reach - 64, [width + 4 * reach + 64, height + 4 * reach + 64])
    left, top = np.floor(points.min(axis=0) - reach).astype(int)
    right, bottom = np.ceil(points.max(axis=0) + reach).astype(int) + 1
    box = Box(max(top, 0), max(left, 0), min(bottom, height), min(right, width))
    if box.top >= box.bottom or box.left >= box.right:
        return None
    canvas = np.zeros((box.bottom - box.top, box.right - box.left), dtype=np.uint8)
    shifted = (points - (box.left, box.top)) * (1 << _FRACTION_BITS)
    cv2.polylines(
        canvas,
        [shifted.round().astype(np.int32).reshape(-1, 1, 2)],
        isClosed=False,
        color=1,
        thickness=stroke.diameter,
        shift=_FRACTION_BITS,
    )
    mask = canvas.astype(bool)
    return Region(box, mask) if mask.any() else None
