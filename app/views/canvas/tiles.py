"""The image at one scale, cut into tiles of device pixels.

Tiles are counted from the image's corner, so that panning needs none anew. All that is drawn
is first sampled to device pixels here; Qt only copies. So a pixel of the image is exactly the
device pixels that it should be, at any zoom and on any screen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from app.document.stroke import Box

TILE = 256
"""Device pixels a side."""

_COARSE = 0.49
"""Device pixels a pixel, below which pixels are averaged before they are interpolated."""

_Number = TypeVar("_Number", bound=np.generic)


class Tile(NamedTuple):
    """Where a tile lies in the grid."""

    row: int
    column: int


@dataclass(frozen=True)
class TileGrid:
    """Which device pixels show which pixels of the image.

    Attributes:
        scale: device pixels a pixel of the image.
        height, width: of the image, in its pixels.
        line: device pixels that a line is wide, about one pixel of the view.
    """

    scale: float
    height: int
    width: int
    line: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of device pixels that show the image."""
        return self.first(self.height) or 1, self.first(self.width) or 1

    def first(self, pixel: int) -> int:
        """Return the first device pixel whose centre shows this pixel or a later one."""
        first = math.ceil(pixel * self.scale - 0.5)
        # As `pixels_shown` rounds: at a tie the two need not agree.
        while math.floor((first + 0.5) / self.scale) < pixel:
            first += 1
        while first > 0 and math.floor((first - 0.5) / self.scale) >= pixel:
            first -= 1
        return first

    def extent(self, tile: Tile) -> Box:
        """Return the device pixels of a tile; those at the image's end are smaller."""
        rows, columns = self.size
        top, left = tile.row * TILE, tile.column * TILE
        return Box(top, left, min(top + TILE, rows), min(left + TILE, columns))

    def tiles_at(self, box: Box) -> list[Tile]:
        """Return the tiles that a box of device pixels touches."""
        rows, columns = self.size
        top, left = max(box.top, 0) // TILE, max(box.left, 0) // TILE
        bottom = -(-min(box.bottom, rows) // TILE)
        right = -(-min(box.right, columns) // TILE)
        return [Tile(row, col) for row in range(top, bottom) for col in range(left, right)]

    def device_box(self, box: Box) -> Box:
        """Return the device pixels that a box of the image can show in.

        A line more on each side: where a class ends depends on its neighbours.
        """
        top, left = self.first(box.top) - self.line, self.first(box.left) - self.line
        bottom, right = self.first(box.bottom) + self.line, self.first(box.right) + self.line
        return Box(top, left, bottom, right)


def pixels_shown(start: int, stop: int, scale: float, length: int) -> NDArray[np.intp]:
    """Return which pixels, of `length`, the device pixels `start` to `stop` - 1 show."""
    shown = np.floor((np.arange(start, stop) + 0.5) / scale).astype(np.intp)
    return np.minimum(shown, length - 1, out=shown)


def sample_nearest(
    values: NDArray[_Number], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[_Number]:
    """Return the values at the crossings of ascending rows and columns."""
    top, left = int(rows[0]), int(columns[0])
    cropped = values[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    places = np.empty((len(rows), len(columns), 2), dtype=np.int16)
    places[..., 0] = columns - left
    places[..., 1] = (rows - top)[:, np.newaxis]
    # Whole numbers as a map: OpenCV copies, it does not interpolate.
    return cv2.remap(cropped, places, None, cv2.INTER_NEAREST)


def sample_smooth(
    values: NDArray[np.uint8], box: Box, scale: tuple[float, float]
) -> NDArray[np.uint8]:
    """Return the device pixels of a box, interpolated between the pixels of `values`.

    Args:
        values: H×W or H×W×C; at most four times as fine as the device pixels, or it would
            flicker.
        box: in device pixels.
        scale: device pixels a pixel of `values`, down and across.
    """
    down, across = scale
    top, left = (max(int(n), 0) & ~1 for n in (box.top / down - 2, box.left / across - 2))
    bottom, right = math.ceil(box.bottom / down) + 2, math.ceil(box.right / across) + 2
    part = values[top:bottom, left:right]
    # Pixel i of the tile has its centre at i + 0.5, and so have the pixels of `values`.
    x = (box.left + 0.5) / across - 0.5 - left
    y = (box.top + 0.5) / down - 0.5 - top
    if across < _COARSE and min(part.shape[:2]) > 1:
        size = (part.shape[1] // 2, part.shape[0] // 2)
        even = part[: 2 * size[1], : 2 * size[0]]
        part = cv2.resize(even, size, interpolation=cv2.INTER_AREA)
        down, across, x, y = 2 * down, 2 * across, (x - 0.5) / 2, (y - 0.5) / 2
    return cv2.warpAffine(
        part,
        np.array([[1 / across, 0, x], [0, 1 / down, y]]),
        (box.right - box.left, box.bottom - box.top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
