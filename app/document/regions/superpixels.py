"""Superpixels: small regions of one colour, found by SLIC (Achanta et al., TPAMI 2012).

scikit-image computes them. Large images are cut into tiles, each computed when it is first
needed: superpixels end at tile borders, and a tile takes about as long everywhere.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from app.document.regions.connected import moved, tight
from app.document.stroke import Box, Region

_TILE_SIDE = 512
_COMPACTNESS = 10.0
_ITERATIONS = 5
"""More change little: the centres hardly move after a few."""


class Superpixels:
    """The superpixels of one image, computed tile by tile; any thread may ask.

    Attributes:
        image: H×W×3, which nobody changes.
        side: of a superpixel, in pixels, about.
    """

    def __init__(self, image_HW3: NDArray[np.uint8], side: int) -> None:
        self.image, self.side = image_HW3, side
        self._tops, self._lefts = (_cuts(length) for length in image_HW3.shape[:2])
        self._numbers: dict[Box, NDArray[np.uint16]] = {}

    def tiles_in(self, box: Box) -> list[Box]:
        """Return the tiles that a box of the image touches."""
        rows = [(a, b) for a, b in itertools.pairwise(self._tops) if a < box.bottom and b > box.top]
        columns = [
            (a, b) for a, b in itertools.pairwise(self._lefts) if a < box.right and b > box.left
        ]
        return [Box(top, left, bottom, right) for top, bottom in rows for left, right in columns]

    def is_ready(self, box: Box) -> bool:
        """Say whether everything about a box is computed already."""
        return all(tile in self._numbers for tile in self.tiles_in(box))

    def compute(self, box: Box) -> None:
        """Compute the tiles of a box that are missing; slow."""
        for tile in self.tiles_in(box):
            if tile not in self._numbers:
                self._numbers[tile] = _superpixels(self.image[tile.slices], self.side)

    def under(self, region: Region) -> Region:
        """Return the superpixels that a region touches; computes what is missing."""
        self.compute(region.box)
        tiles = self.tiles_in(region.box)
        whole = Box(tiles[0].top, tiles[0].left, tiles[-1].bottom, tiles[-1].right)
        mask = np.zeros(whole.shape, dtype=bool)
        for tile in tiles:
            mask[tile.slices_in(whole)] = _touched(self._numbers[tile], tile, region)
        return moved(tight(Region(Box(0, 0, *mask.shape), mask)), whole)


def _touched(numbers: NDArray[np.uint16], tile: Box, region: Region) -> NDArray[np.bool_]:
    """Return which pixels of a tile belong to superpixels that the region touches."""
    common = tile.common(region.box)
    mask = region.mask[common.slices_in(region.box)]
    chosen = np.zeros(int(numbers.max()) + 1, dtype=bool)
    chosen[numbers[common.slices_in(tile)][mask]] = True
    return chosen[numbers]


def _cuts(length: int) -> list[int]:
    """Cut a side of the image into tiles of nearly the same length."""
    count = math.ceil(length / _TILE_SIDE)
    return [round(index * length / count) for index in range(count + 1)]


def _superpixels(image_HW3: NDArray[np.uint8], side: int) -> NDArray[np.uint16]:
    """Number the superpixels of a tile, from 0."""
    from skimage.segmentation import slic  # slow to import

    height, width = image_HW3.shape[:2]
    numbers = slic(
        image_HW3,
        n_segments=max(height * width // side**2, 1),
        compactness=_COMPACTNESS,
        max_num_iter=_ITERATIONS,
        start_label=0,
        channel_axis=-1,
    )
    return numbers.astype(np.uint16)
