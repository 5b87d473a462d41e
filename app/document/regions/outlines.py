"""Moves the outline of a region of a label map: grow, shrink, smooth; fill its holes.

Each function takes a label map and one of its connected regions and returns what to set, as
an `Edit`, or None if nothing would change. A pixel that leaves a region takes the label of
the nearest pixel outside.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.regions.connected import moved, tight
from app.document.stroke import Box, Region


def grown(label_map_HW: NDArray[np.uint8], region: Region, amount: int) -> Edit | None:
    """Set every pixel within `amount` pixels of the region to the region's label."""
    box, inside = _padded(label_map_HW, region, amount)
    return _edit(label_map_HW, region, (box, inside), "grow", _within(inside, amount))


def shrunk(label_map_HW: NDArray[np.uint8], region: Region, amount: int) -> Edit | None:
    """Give every pixel within `amount` pixels of the outside to what is nearest there."""
    box, inside = _padded(label_map_HW, region, 1)
    leaving = _within(1 - inside, amount)
    return _edit(label_map_HW, region, (box, inside), "shrink", np.zeros_like(leaving), leaving)


def smoothed(label_map_HW: NDArray[np.uint8], region: Region, amount: int) -> Edit | None:
    """Smooth the outline: a pixel follows the majority of the square of 2·amount + 1 around.

    Beyond the image the outermost pixels go on.
    """
    box, inside = _padded(label_map_HW, region, amount + 1)
    majority = cv2.medianBlur(inside, 2 * amount + 1).astype(bool)
    before = inside.astype(bool)
    joining, leaving = majority & ~before, before & ~majority
    return _edit(label_map_HW, region, (box, inside), "smooth", joining, leaving)


def filled(label_map_HW: NDArray[np.uint8], region: Region) -> Edit | None:
    """Set every pixel that the region encloses to the region's label."""
    around = np.pad(region.mask, 1).astype(np.uint8)
    # What the flood from outside does not reach is enclosed.
    cv2.floodFill(around, None, (0, 0), 1, flags=4)
    holes = around[1:-1, 1:-1] == 0
    inside = region.mask.astype(np.uint8)
    return _edit(label_map_HW, region, (region.box, inside), "fill holes", holes)


def nearest_labels(
    label_map_HW: NDArray[np.uint8], inside_HW: NDArray[np.uint8], asked_HW: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Return the label of the nearest pixel outside for pixels inside a mask.

    Args:
        label_map_HW: labels, in which there is a pixel outside.
        inside_HW: the mask, 1 inside.
        asked_HW: which pixels inside are asked for.

    Returns:
        a label for each asked pixel, in row-major order.
    """
    from scipy.spatial import KDTree  # slow to import

    # The nearest pixel outside has a side in common with one inside.
    beside = cv2.dilate(inside_HW, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    rim = np.argwhere((beside == 1) & (inside_HW == 0))
    _, nearest = KDTree(rim).query(np.argwhere(asked_HW))
    rows, columns = rim[nearest].T
    return label_map_HW[rows, columns]


def _padded(
    label_map_HW: NDArray[np.uint8], region: Region, margin: int
) -> tuple[Box, NDArray[np.uint8]]:
    """Return a larger box, as far as the image reaches, and the region's mask in it."""
    box = region.box.wider(margin).clipped(*label_map_HW.shape)
    inside = np.zeros(box.shape, dtype=np.uint8)
    inside[region.box.slices_in(box)] = region.mask
    return box, inside


def _within(inside_HW: NDArray[np.uint8], distance: int) -> NDArray[np.bool_]:
    """Return which pixels outside are at most `distance` away from one inside."""
    if not inside_HW.any():
        return np.zeros(inside_HW.shape, dtype=bool)
    outside = 1 - inside_HW
    away = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return (away <= distance) & (outside == 1)


def _edit(
    label_map_HW: NDArray[np.uint8],
    region: Region,
    padded: tuple[Box, NDArray[np.uint8]],
    text: str,
    joining: NDArray[np.bool_],
    leaving: NDArray[np.bool_] | None = None,
) -> Edit | None:
    """Return the edit that lets pixels of a box join the region and others leave it."""
    box, inside = padded
    own = int(label_map_HW[region.box.slices][region.mask][0])
    changed = joining if leaving is None else joining | leaving
    if not changed.any():
        return None
    smallest = moved(tight(Region(Box(0, 0, *changed.shape), changed)), box)
    if leaving is None or not leaving.any():
        return Edit(smallest, own, text)
    labels = np.full(changed.shape, own, dtype=np.uint8)
    labels[leaving] = nearest_labels(label_map_HW[box.slices], inside, leaving)
    return Edit(smallest, labels[changed], text)
