"""From the pixels of regions to polygons along the pixels' borders.

Vertices are the corners of pixels: the pixel in row r and column c is the square from
(c, r) to (c + 1, r + 1). `polygon_filling` gives the same pixels back, exactly.

Axes: H height, W width, N corners, P vertices of a polygon.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX

Polygon = NDArray[np.int64]
"""Vertices P×2, x and y; the last is joined to the first."""


class Region(NamedTuple):
    """The pixels of one class that hang together by their sides.

    Attributes:
        class_id: their class.
        outline: the border around them, clockwise as seen on the screen.
        holes: the borders of what is left out, counterclockwise.
    """

    class_id: int
    outline: Polygon
    holes: tuple[Polygon, ...]

    def joined(self) -> Polygon:
        """Return outline and holes as one polygon; see `join_holes`."""
        return join_holes(self.outline, self.holes)


def trace_regions(label_map_HW: NDArray[np.uint8]) -> list[Region]:
    """Return the regions of all classes, by class, then from the top left.

    Pixels without a label are in none.
    """
    regions = []
    for class_id in np.unique(label_map_HW):
        if class_id == IGNORE_INDEX:
            continue
        mask = label_map_HW == class_id
        rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
        top, left = int(rows[0]), int(columns[0])
        cut = mask[top : rows[-1] + 1, left : columns[-1] + 1]
        for outline, holes in _trace_mask(cut):
            shift = np.array((left, top))
            moved = tuple(hole + shift for hole in holes)
            regions.append(Region(int(class_id), outline + shift, moved))
    return regions


def _trace_mask(mask_HW: NDArray[np.bool_]) -> list[tuple[Polygon, list[Polygon]]]:
    """Return outline and holes of each region of a mask."""
    # By sides only: regions that touch at a corner are traced apart there.
    _, parts_HW = cv2.connectedComponents(mask_HW.astype(np.uint8), connectivity=4)
    outlines: dict[int, Polygon] = {}
    holes: dict[int, list[Polygon]] = defaultdict(list)
    for ring in _rings(mask_HW):
        # It starts at its corner at the top left, to the right.
        x, y = (int(value) for value in ring[0])
        if mask_HW[y, x]:
            outlines[int(parts_HW[y, x])] = ring
        else:
            holes[int(parts_HW[y - 1, x])].append(np.roll(ring[::-1], 1, axis=0))
    return [(outlines[part], holes[part]) for part in outlines]


def _rings(mask_HW: NDArray[np.bool_]) -> list[Polygon]:
    """Return all borders clockwise, each from its corner at the top left."""
    corners_N4 = _corners(mask_HW)
    # Along a line of the grid, borders run from a corner to the next one, then pause:
    # sorted, each pair of neighbours is a border.
    across = _partners(corners_N4[:, 0], corners_N4[:, 1], corners_N4[:, 2])
    down = _partners(corners_N4[:, 1], corners_N4[:, 0], corners_N4[:, 3])
    points_N2 = corners_N4[:, 1::-1]
    visited = bytearray(len(corners_N4))
    rings = []
    # In the order of rows, then columns: the first corner of a ring is the one at its top left.
    for first in range(len(corners_N4)):
        if visited[first]:
            continue
        ring, current = [], first
        while not visited[current]:
            visited[current] = 1
            other = across[current]
            visited[other] = 1
            ring += [current, other]
            current = down[other]
        rings.append(points_N2[ring])
    return rings


def _corners(mask_HW: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return row, column, and where the two borders lead to: right and down are 1, else 0.

    Sorted by row, column, and left before right. Where two regions touch at a corner,
    there are two, each of one region.
    """
    padded = np.pad(mask_HW, 1)
    top_left, top_right = padded[:-1, :-1], padded[:-1, 1:]
    bottom_left, bottom_right = padded[1:, :-1], padded[1:, 1:]
    quarters = ((top_left, 0, 0), (top_right, 1, 0), (bottom_left, 0, 1), (bottom_right, 1, 1))
    count = sum(quarter.astype(np.uint8) for quarter, _, _ in quarters)
    is_diagonal = (count == 2) & (top_left == bottom_right)
    found = []
    for quarter, right, lower in quarters:
        # The quarter that differs from the three others, or each of two regions' own.
        alone = (quarter & ((count == 1) | is_diagonal)) | (~quarter & (count == 3))
        rows, columns = alone.nonzero()
        found.append(
            np.column_stack((rows, columns, np.full_like(rows, right), np.full_like(rows, lower)))
        )
    corners = np.concatenate(found)
    return corners[np.lexsort((corners[:, 2], corners[:, 1], corners[:, 0]))]


def _partners(
    line_N: NDArray[np.int64], place_N: NDArray[np.int64], onward_N: NDArray[np.int64]
) -> list[int]:
    """Return for each corner the one at the other end of its border along a line."""
    order = np.lexsort((onward_N, place_N, line_N))
    partners = np.empty_like(order)
    partners[order[0::2]] = order[1::2]
    partners[order[1::2]] = order[0::2]
    return partners.tolist()


@dataclass
class _Ring:
    """A border while holes are joined to it: detours by the vertex they leave after."""

    points: list[tuple[int, int]]
    detours: dict[int, list[tuple[int, list[tuple[int, int]]]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def walk(self) -> list[tuple[int, int]]:
        """Return the border with its detours, closed."""
        walked: list[tuple[int, int]] = []
        for index, point in enumerate(self.points):
            walked.append(point)
            is_upward = self.points[(index + 1) % len(self.points)][1] < point[1]
            for y, detour in sorted(self.detours[index], key=lambda d: d[0], reverse=is_upward):
                door = (point[0], y)
                walked += [door, *detour, door]
        return walked


def join_holes(outline: Polygon, holes: tuple[Polygon, ...]) -> Polygon:
    """Return one polygon that goes around holes by way of bridges without width.

    For formats whose polygons are lists of points. From its leftmost corner a hole is
    joined to what lies to the left of it, along a line of the grid; the bridge goes
    through the region itself, there and back, so that by the even-odd rule it is not seen.
    """
    if not holes:
        return outline
    # A hole hangs on one whose leftmost corner lies further left, or on the outline.
    turned = sorted((_from_leftmost(hole) for hole in holes), key=lambda hole: hole[0])
    rings = [_Ring([(int(x), int(y)) for x, y in outline]), *(_Ring(hole) for hole in turned)]
    edges = _VerticalBorders(rings)
    for number in range(len(rings) - 1, 0, -1):
        ring = rings[number]
        x, y = ring.points[0]
        parent, index = edges.left_of(x, y)
        rings[parent].detours[index].append((y, [*ring.walk(), (x, y)]))
    joined = rings[0].walk()
    # A bridge from a corner begins with that corner twice.
    return np.array(
        [p for p, before in zip(joined, [joined[-1], *joined], strict=False) if p != before]
    )


def _from_leftmost(hole: Polygon) -> list[tuple[int, int]]:
    first = int(np.lexsort((hole[:, 1], hole[:, 0]))[0])
    return [(int(x), int(y)) for x, y in np.roll(hole, -first, axis=0)]


class _VerticalBorders:
    """The vertical borders of a region's rings, found by the row they pass."""

    def __init__(self, rings: list[_Ring]) -> None:
        self._by_row: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for number, ring in enumerate(rings):
            following = [*ring.points[1:], ring.points[0]]
            for index, ((x, y), (next_x, next_y)) in enumerate(
                zip(ring.points, following, strict=True)
            ):
                if x == next_x:
                    for row in range(min(y, next_y), max(y, next_y)):
                        self._by_row[row].append((x, number, index))
        for borders in self._by_row.values():
            borders.sort()

    def left_of(self, x: int, y: int) -> tuple[int, int]:
        """Return ring and vertex of the next border to the left in the row below `y`."""
        borders = self._by_row[y]
        _, ring, index = borders[bisect_left(borders, (x,)) - 1]
        return ring, index
