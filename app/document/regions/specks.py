"""Regions too small to be meant."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.regions.connected import moved, tight
from app.document.stroke import Box, Region

_Numbers = NDArray[np.integer]


class _Components(NamedTuple):
    """The connected regions of a label map: each pixel's number; areas and labels by number."""

    number_HW: _Numbers
    areas_N: NDArray[np.int64]
    labels_N: NDArray[np.uint8]


def despeckled(
    labels_HW: NDArray[np.uint8], box: Box, size: tuple[int, int], minimum_area: int
) -> Edit | None:
    """Give regions of fewer pixels than `minimum_area` the label that surrounds them most.

    A region that may go on beyond the box is no speck. Specks among specks are settled from
    the outside in; where two labels surround one equally, the lower wins.

    Args:
        labels_HW: the label map inside a box.
        box: where it lies in the image.
        size: rows and columns of the image.
        minimum_area: in pixels.

    Returns:
        None if there are no specks, or nothing else.
    """
    found = _components(labels_HW)
    small = found.areas_N < minimum_area
    small[_cut_off(found.number_HW, box, size)] = False
    if small.all() or not small.any():
        return None
    result = _settled(found, small)[found.number_HW]
    changed = result != labels_HW
    if not changed.any():
        return None
    region = moved(tight(Region(Box(0, 0, *changed.shape), changed)), box)
    return Edit(region, result[changed], "remove specks")


def _components(label_map_HW: NDArray[np.uint8]) -> _Components:
    """Number the 4-connected regions (scikit-image: one walk, however many labels there are)."""
    from skimage.measure import label  # takes longer to import than the window may

    number = label(label_map_HW, background=-1, connectivity=1)
    number -= 1
    areas = np.bincount(number.ravel())
    labels = np.empty(len(areas), dtype=np.uint8)
    labels[number] = label_map_HW  # any pixel of a region has its label
    return _Components(number, areas, labels)


def _cut_off(number_HW: _Numbers, box: Box, size: tuple[int, int]) -> _Numbers:
    """Return the regions that may go on beyond the box."""
    height, width = size
    edges = (
        (box.top > 0, number_HW[0]),
        (box.left > 0, number_HW[:, 0]),
        (box.bottom < height, number_HW[-1]),
        (box.right < width, number_HW[:, -1]),
    )
    return np.unique(np.concatenate([np.zeros(0, np.intp), *(e for cut, e in edges if cut)]))


def _settled(found: _Components, small_N: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return each region's label with the specks taken over by what surrounds them."""
    inner, outer = _neighbours(found.number_HW, small_N)
    labels, open_N = found.labels_N.copy(), small_N.copy()
    while len(inner):
        ready = ~open_N[outer]
        votes = np.bincount(
            inner[ready].astype(np.int64) * 256 + labels[outer[ready]], minlength=len(labels) * 256
        ).reshape(-1, 256)
        settled = np.flatnonzero(votes.any(axis=1))
        if not len(settled):
            break
        labels[settled] = votes[settled].argmax(axis=1)
        open_N[settled] = False
        left = open_N[inner]
        inner, outer = inner[left], outer[left]
    return labels


def _neighbours(number_HW: _Numbers, small_N: NDArray[np.bool_]) -> tuple[_Numbers, _Numbers]:
    """Return each side between a speck's pixel and another region: speck, then other."""
    height, width = number_HW.shape
    rows, columns = np.nonzero(small_N[number_HW])
    inner, outer = [], []
    for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        y, x = rows + down, columns + right
        is_inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        one = number_HW[rows[is_inside], columns[is_inside]]
        other = number_HW[y[is_inside], x[is_inside]]
        inner.append(one[one != other])
        outer.append(other[one != other])
    return np.concatenate(inner), np.concatenate(outer)
