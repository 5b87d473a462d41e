"""Cuts an edit into what it touches: a stroke round the image must not cost all of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.stroke import Box, Region

_SIDE = 256
"""Rows of a piece, and columns without a pixel that end one; as the stored tiles."""


def pieces(edit: Edit) -> Iterator[Edit]:
    """Yield the same edit in pieces, each with a mask of its own, none of them empty.

    A long thin stroke covers a large box of which it sets little: to write, undo and store it
    box by box would take as long as to fill all of it.
    """
    box, mask = edit.region
    top, first = box.top, 0
    while top < box.bottom:
        bottom = min((top // _SIDE + 1) * _SIDE, box.bottom)
        rows = mask[top - box.top : bottom - box.top]
        runs = _runs(rows)
        if runs:
            labels: int | NDArray[np.uint8] = edit.labels
            if isinstance(labels, np.ndarray):
                count = int(np.count_nonzero(rows))
                labels, first = labels[first : first + count], first + count
            for left, right in runs:
                part = rows[:, left:right].copy()
                place = Box(top, box.left + left, bottom, box.left + right)
                yield Edit(Region(place, part), _labels_in(labels, rows, left, right), edit.text)
        top = bottom


def _runs(rows: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return from and to which columns there are pixels, but for small gaps."""
    filled = np.flatnonzero(rows.view(np.uint8).max(axis=0)) if rows.size else rows.nonzero()[0]
    if not len(filled):
        return []
    gaps = np.flatnonzero(np.diff(filled) > _SIDE)
    starts = [filled[0], *filled[gaps + 1]]
    ends = [*filled[gaps], filled[-1]]
    return [(int(start), int(end) + 1) for start, end in zip(starts, ends, strict=True)]


def _labels_in(
    labels: int | NDArray[np.uint8], rows: NDArray[np.bool_], left: int, right: int
) -> int | NDArray[np.uint8]:
    """Return the labels of the pixels in some columns; `labels` are those of all in `rows`."""
    if not isinstance(labels, np.ndarray):
        return labels
    plane = np.empty(rows.shape, dtype=np.uint8)
    plane[rows] = labels
    return plane[:, left:right][rows[:, left:right]]
