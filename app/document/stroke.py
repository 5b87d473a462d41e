"""Strokes: what a hand draws from press to release, and the pixels it covers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

BrushShape = Literal["round", "square"]

_SHIFT = 4
_FRACTIONS = 1 << _SHIFT
"""OpenCV's coordinates are whole numbers of 1/16 pixel."""

_FAR = 1_000_000
"""Pixels; points further out would overflow OpenCV's coordinates."""

_SAME_PLACE = 1e-9
"""Pixels between points that are one: what is shorter has no direction that numbers can hold."""

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

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def is_empty(self) -> bool:
        """Whether there is no pixel in it."""
        return self.top >= self.bottom or self.left >= self.right

    def slices_in(self, outer: Box) -> tuple[slice, slice]:
        """Index of the box in an array of the pixels of another box around it."""
        return (
            slice(self.top - outer.top, self.bottom - outer.top),
            slice(self.left - outer.left, self.right - outer.left),
        )

    def united(self, other: Box) -> Box:
        """Return the smallest box around both."""
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def common(self, other: Box) -> Box:
        """Return what lies in both; it may be empty."""
        return Box(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def clipped(self, height: int, width: int) -> Box:
        """Return the part of the box that lies in an image."""
        return self.common(Box(0, 0, height, width))

    def wider(self, margin: int) -> Box:
        """Return the box with a margin around it."""
        return Box(self.top - margin, self.left - margin, self.bottom + margin, self.right + margin)


class Region(NamedTuple):
    """Pixels of an image: a box and which of its pixels are meant."""

    box: Box
    mask: NDArray[np.bool_]


class PenPoint(NamedTuple):
    """Where a pen was, in pixels of the image, and the brush's diameter there."""

    x: float
    y: float
    diameter: float


@dataclass(frozen=True)
class Stroke:
    """One gesture of a brush.

    Attributes:
        points: x and y of the pen in pixels; the centre of the first pixel is (0.5, 0.5).
        diameter: of the brush in pixels, at least 1; the side of a square one.
        label: class index to set, or `IGNORE_INDEX` to erase what a person set.
        shape: of the brush.
        pressures: the share of the diameter at each point, 0 to 1; empty: all of it.
    """

    points: tuple[tuple[float, float], ...]
    diameter: int
    label: int
    shape: BrushShape = "round"
    pressures: tuple[float, ...] = ()

    def pen_points(self) -> list[PenPoint]:
        """Return the points with the brush's diameter at each."""
        pressures = self.pressures or (1.0,) * len(self.points)
        return [
            PenPoint(x, y, max(self.diameter * pressure, 1.0))
            for (x, y), pressure in zip(self.points, pressures, strict=True)
        ]


class StrokeMask:
    """The pixels of an image that a stroke covers, as it grows.

    A pixel is covered if its centre is under the brush anywhere on the line through the
    points, so that fast strokes have no gaps; a large round brush may be half a pixel off.
    Between two points the diameter changes evenly. The pixel under the pen is always covered.

    Attributes:
        pixels: H×W, 1 where the stroke went. The memory of untouched rows is not used.
        box: around the covered pixels and not much more; None before the first.
    """

    def __init__(self, height: int, width: int, shape: BrushShape = "round") -> None:
        self.pixels = np.zeros((height, width), dtype=np.uint8)
        self.box: Box | None = None
        self._shape = shape
        self._last: PenPoint | None = None

    def add(self, point: PenPoint) -> Box | None:
        """Go on to a point; return the box that was drawn in, None if outside the image."""
        height, width = self.pixels.shape
        x, y = (min(max(value, -_FAR), _FAR) for value in point[:2])
        end = PenPoint(x, y, point.diameter)
        start, self._last = self._last or end, end
        box = _box_around(start, end).clipped(height, width)
        if box.is_empty:
            return None
        is_large = max(start.diameter, end.diameter) > _EXACT_DIAMETER
        if self._shape == "round" and is_large:
            _draw_swept_disc(self.pixels, start, end)
        else:
            self._measure(start, end)
        if 0 <= y < height and 0 <= x < width:
            self.pixels[int(y), int(x)] = 1
        self.box = self.box.united(box) if self.box else box
        return box

    def _measure(self, start: PenPoint, end: PenPoint) -> None:
        """Cover pixel by pixel, in pieces: the box around a long line is mostly empty."""
        sweep = _swept_square if self._shape == "square" else _swept_disc
        widest = max(start.diameter, end.diameter)
        count = math.ceil(math.dist(start[:2], end[:2]) / (4 * widest + _EXACT_DIAMETER)) or 1
        ways = np.linspace(start, end, count + 1)
        for index in _near_image(ways, widest, self.pixels.shape):
            first, last = (PenPoint(*way) for way in ways[index : index + 2].tolist())
            box = _box_around(first, last).clipped(*self.pixels.shape)
            if not box.is_empty:
                self.pixels[box.slices] |= sweep(first, last, box)

    def region(self) -> Region | None:
        """Return what is covered, None if nothing is; it shares the memory of `pixels`."""
        if self.box is None:
            return None
        mask = self.pixels[self.box.slices].view(bool)
        return Region(self.box, mask) if mask.any() else None


def rasterize(stroke: Stroke, height: int, width: int) -> Region | None:
    """Return the pixels of an image that a stroke covers, None if none; see `StrokeMask`."""
    mask = StrokeMask(height, width, stroke.shape)
    for point in stroke.pen_points():
        mask.add(point)
    return mask.region()


def without(region: Region, others: Iterable[Region]) -> NDArray[np.bool_]:
    """Return the mask of a region without the pixels of others."""
    mask = region.mask.copy()
    for box, other in others:
        common = box.common(region.box)
        if not common.is_empty:
            mask[common.slices_in(region.box)] &= ~other[common.slices_in(box)]
    return mask


def _near_image(
    ways_N3: NDArray[np.float64], widest: float, shape: tuple[int, ...]
) -> NDArray[np.intp]:
    """Return which pieces between neighbouring points may cover pixels of the image."""
    low = np.minimum(ways_N3[:-1, :2], ways_N3[1:, :2]) - widest
    high = np.maximum(ways_N3[:-1, :2], ways_N3[1:, :2]) + widest
    return np.flatnonzero(((high >= 0) & (low <= shape[::-1])).all(axis=1))


def _box_around(start: PenPoint, end: PenPoint) -> Box:
    """Return a box that holds every pixel under the brush between two points."""
    return Box(
        *(
            math.floor(min(a - start.diameter / 2, b - end.diameter / 2)) - 1
            for a, b in ((start.y, end.y), (start.x, end.x))
        ),
        *(
            math.ceil(max(a + start.diameter / 2, b + end.diameter / 2)) + 1
            for a, b in ((start.y, end.y), (start.x, end.x))
        ),
    )


def _swept_square(start: PenPoint, end: PenPoint, box: Box) -> NDArray[np.bool_]:
    """Ask for each pixel of the box whether the square ever lies over its centre.

    On each axis the square covers a centre for an interval of the way; the pixel is covered
    if the two have a moment in common. The far edge counts and the near one does not, so
    that a square of n pixels covers n.
    """
    first_y, last_y = _covered_from_to(start.y, end.y, start, end, box.top, box.bottom)
    first_x, last_x = _covered_from_to(start.x, end.x, start, end, box.left, box.right)
    first = np.maximum(first_y[:, np.newaxis], first_x)
    return first <= np.minimum(last_y[:, np.newaxis], last_x)


def _covered_from_to(
    start_at: float, end_at: float, start: PenPoint, end: PenPoint, low: int, high: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return from and to which share of the way each centre of an axis is covered."""
    centers = np.arange(low, high) + 0.5
    first, last = np.zeros(len(centers)), np.ones(len(centers))
    nudge = 1e-9
    for sign, open_edge in ((-1, nudge), (1, 0.0)):
        # Covered while gap + share * slope is not negative.
        gap = start.diameter / 2 + sign * (start_at - centers) - open_edge
        slope = (end.diameter - start.diameter) / 2 + sign * (end_at - start_at)
        if abs(slope) < nudge:
            last = np.where(gap < 0, -1.0, last)
        elif slope > 0:
            first = np.maximum(first, -gap / slope)
        else:
            last = np.minimum(last, -gap / slope)
    return first, last


def _swept_disc(start: PenPoint, end: PenPoint, box: Box) -> NDArray[np.bool_]:
    """Measure each pixel's distance to the disc nearest to it on the way."""
    x = np.arange(box.left, box.right) + 0.5 - start.x
    y = np.arange(box.top, box.bottom)[:, np.newaxis] + 0.5 - start.y
    along_x, along_y = end.x - start.x, end.y - start.y
    length = math.hypot(along_x, along_y)
    wider = (end.diameter - start.diameter) / 2
    if length <= max(abs(wider), _SAME_PLACE):  # one disc lies in the other
        share: NDArray[np.float64] | float = float(wider > 0)
    else:
        lean = wider / length
        ahead = (x * along_x + y * along_y) / length
        aside = np.abs(x * along_y - y * along_x) / length
        share = ((ahead + lean / math.sqrt(1 - lean**2) * aside) / length).clip(0, 1)
    near = np.hypot(x - share * along_x, y - share * along_y)
    return near <= start.diameter / 2 + share * wider


def _draw_swept_disc(pixels_HW: NDArray[np.uint8], start: PenPoint, end: PenPoint) -> None:
    """Let OpenCV fill both discs and what lies between them, fast for large brushes too."""
    centers = np.array([start[:2], end[:2]]) - 0.5
    radii = [point.diameter / 2 - _DRAWN_EXCESS for point in (start, end)]
    for center, radius in zip(centers, radii, strict=True):
        place = [int(value) for value in (center * _FRACTIONS).round()]
        cv2.circle(pixels_HW, place, round(radius * _FRACTIONS), 1, cv2.FILLED, shift=_SHIFT)
    along = centers[1] - centers[0]
    length = float(np.hypot(*along))
    if length > abs(radii[1] - radii[0]):
        lean = (radii[0] - radii[1]) / length
        ahead = along / length
        across = np.array([-ahead[1], ahead[0]]) * math.sqrt(1 - lean**2)
        corners = [
            center + radius * (lean * ahead + side * across)
            for center, radius, sides in zip(centers, radii, ((1, -1), (-1, 1)), strict=True)
            for side in sides
        ]
        filled = (np.array(corners) * _FRACTIONS).round().astype(np.int32)
        cv2.fillConvexPoly(pixels_HW, filled, 1, shift=_SHIFT)
