"""Connected regions of a label map or of a colour, around a pixel.

Pixels are connected over their sides (4-connected), as in the field's evaluations; OpenCV
fills: it is by far the fastest on large images.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from app.document.stroke import Box, Region

_FIRST_SIDE = 256
_GROWTH = 4


def connected_region(label_map_HW: NDArray[np.uint8], x: int, y: int) -> Region:
    """Return the connected pixels around (x, y) that have its label."""
    return _flooded(label_map_HW, x, y, 0)


def color_region(
    image_HW3: NDArray[np.uint8], x: int, y: int, tolerance: int, *, contiguous: bool
) -> Region:
    """Return the pixels whose colour is near that of (x, y).

    Args:
        image_HW3: RGB, 0 to 255.
        x: of the pixel.
        y: of the pixel.
        tolerance: the most that a channel may be off, 0 to 255.
        contiguous: whether they must be connected to that pixel.
    """
    if contiguous:
        return _flooded(image_HW3, x, y, tolerance)
    color = image_HW3[y, x].astype(int)
    low, high = (color - tolerance).clip(0, 255), (color + tolerance).clip(0, 255)
    near = cv2.inRange(np.ascontiguousarray(image_HW3), tuple(low.tolist()), tuple(high.tolist()))
    return tight(Region(Box(0, 0, *near.shape), near.view(bool)))


def windows(x: int, y: int, height: int, width: int) -> Iterator[Box]:
    """Yield boxes around a pixel, each larger than the one before, up to the whole image."""
    side = _FIRST_SIDE
    while True:
        box = Box(y, x, y, x).wider(side // 2).clipped(height, width)
        yield box
        if box == (0, 0, height, width):
            return
        side *= _GROWTH


def is_cut(inner: Box, window: Box, height: int, width: int, margin: int = 0) -> bool:
    """Say whether a window may have cut off a part of what was found in it.

    Args:
        inner: the box around what was found, in the image.
        window: the box that was looked at.
        height: of the image.
        width: of the image.
        margin: pixels around `inner` that are needed as well.
    """
    return (
        (inner.top - margin <= window.top > 0)
        or (inner.left - margin <= window.left > 0)
        or (inner.bottom + margin >= window.bottom < height)
        or (inner.right + margin >= window.right < width)
    )


def tight(region: Region) -> Region:
    """Return the same pixels in the smallest box; there must be some."""
    rows = np.flatnonzero(region.mask.any(axis=1))
    columns = np.flatnonzero(region.mask.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    box = Box(int(top), int(left), int(bottom), int(right))
    return moved(Region(box, region.mask[box.slices]), region.box)


def moved(region: Region, window: Box) -> Region:
    """Return a region found in a window as one of the image."""
    top, left, bottom, right = region.box
    box = Box(top + window.top, left + window.left, bottom + window.top, right + window.left)
    return Region(box, region.mask)


def _flooded(values: NDArray[np.uint8], x: int, y: int, tolerance: int) -> Region:
    """Flood from a pixel, in a window that grows until nothing is cut off."""
    height, width = values.shape[:2]
    region = Region(Box(y, x, y + 1, x + 1), np.ones((1, 1), dtype=bool))
    for window in windows(x, y, height, width):
        region = _flooded_in(values, x, y, tolerance, window)
        if not is_cut(region.box, window, height, width):
            break
    return region


def _flooded_in(values: NDArray[np.uint8], x: int, y: int, tolerance: int, window: Box) -> Region:
    part = np.ascontiguousarray(values[window.slices])
    if not part.flags.writeable:
        part = part.copy()  # OpenCV asks for it, though it only fills the mask
    height, width = part.shape[:2]
    filled = np.zeros((height + 2, width + 2), dtype=np.uint8)
    off = (tolerance,) * 3
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
    seed = (x - window.left, y - window.top)
    _, _, _, (left, top, columns, rows) = cv2.floodFill(
        part, filled, seed, 0, loDiff=off, upDiff=off, flags=flags
    )
    box = Box(top, left, top + rows, left + columns)
    mask = filled[1:-1, 1:-1][box.slices] == 1
    return moved(Region(box, mask), window)
