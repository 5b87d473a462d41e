"""What a training changed: pixels that one label map gives another class than the one before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.regions.connected import moved, tight
from app.document.stroke import Box, Region
from mdlstm_core.config import IGNORE_INDEX

MOST_REGIONS = 200
"""Regions an image that are stepped through, the largest first."""

FEWEST_PIXELS = 8
"""Smaller regions are counted, but not stepped through."""

_STRIP_ROWS = 64


Pair = tuple[int, int]
"""A label before and one after."""


class ChangedRegion(NamedTuple):
    """Pixels that went from one label to another, mostly connected ones (4-connected).

    Attributes:
        region: which.
        before: their label before, `IGNORE_INDEX` for none.
        after: their label now.
        pixels: how many they are.
    """

    region: Region
    before: int
    after: int
    pixels: int


class Changes(NamedTuple):
    """What changed on an image.

    Attributes:
        counts: pixels by label before and after.
        regions: the largest first.
        specks: what changed and is in none of the regions, all of one pair of labels together.
    """

    counts: Mapping[Pair, int]
    regions: tuple[ChangedRegion, ...]
    specks: tuple[ChangedRegion, ...] = ()

    @property
    def pixels(self) -> int:
        """How many changed."""
        return sum(self.counts.values())


def find_changes(
    before_HW: NDArray[np.uint8], after_HW: NDArray[np.uint8], corrections_HW: NDArray[np.uint8]
) -> Changes:
    """Return where two label maps differ, but where a person set a label.

    Raises:
        ValueError: the maps differ in size.
    """
    if not before_HW.shape == after_HW.shape == corrections_HW.shape:
        raise ValueError(f"expected {before_HW.shape} three times")
    differs = changed_mask(before_HW, after_HW, corrections_HW)
    if not differs.any():
        return Changes({}, ())
    box, mask = tight(Region(Box(0, 0, *differs.shape), differs))
    pairs = before_HW[box.slices].astype(np.int32) * 256 + after_HW[box.slices]
    pairs[~mask] = -1
    counts = _counts(pairs[mask])
    codes = [before * 256 + after for before, after in counts]
    found = [r for code in codes for r in _regions_of(code, pairs == code, box)]
    found.sort(key=lambda region: (-region.pixels, region.region.box))
    regions = tuple(found[:MOST_REGIONS])
    for (inner, inside), *_ in regions:
        pairs[inner.slices_in(box)][inside] = -1
    return Changes(counts, regions, tuple(_specks(pairs, box)))


def count_changes(
    before_HW: NDArray[np.uint8], after_HW: NDArray[np.uint8], corrections_HW: NDArray[np.uint8]
) -> Mapping[Pair, int]:
    """Return the `counts` of `find_changes` alone."""
    mask = changed_mask(before_HW, after_HW, corrections_HW)
    return _counts(before_HW[mask].astype(np.int32) * 256 + after_HW[mask])


def changed_mask(
    before_HW: NDArray[np.uint8], after_HW: NDArray[np.uint8], corrections_HW: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Return where two label maps differ and no person set a label."""
    return (before_HW != after_HW) & (corrections_HW == IGNORE_INDEX)


def is_open(change: ChangedRegion, corrections_HW: NDArray[np.uint8]) -> bool:
    """Return whether a region still has a pixel without a label of a person."""
    box, mask = change.region
    labels = corrections_HW[box.slices]
    # In strips: the first one with an open pixel settles it, mostly the very first.
    for top in range(0, len(mask), _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        if (mask[rows] & (labels[rows] == IGNORE_INDEX)).any():
            return True
    return False


def refused(change: ChangedRegion, corrections_HW: NDArray[np.uint8]) -> Edit | None:
    """Return the edit that gives a region its label before, as the person's own.

    None if the model before had no label there, or a person set all of it.
    """
    box, mask = change.region
    free = mask & (corrections_HW[box.slices] == IGNORE_INDEX)
    if change.before == IGNORE_INDEX or not free.any():
        return None
    smallest = tight(Region(Box(0, 0, *free.shape), free))
    return Edit(moved(smallest, box), change.before, "refuse a change")


def all_refused(before_HW: NDArray[np.uint8], open_HW: NDArray[np.bool_]) -> Edit | None:
    """Return the edit that gives all changed pixels that are open their labels before.

    None if there is nothing to set back.
    """
    mask = open_HW & (before_HW != IGNORE_INDEX)
    if not mask.any():
        return None
    region = tight(Region(Box(0, 0, *mask.shape), mask))
    labels = before_HW[region.box.slices][region.mask]
    return Edit(region, labels, "refuse all changes")


def _counts(pairs: NDArray[np.int32]) -> dict[Pair, int]:
    codes, pixels = np.unique(pairs, return_counts=True)
    return {divmod(int(c), 256): int(n) for c, n in zip(codes, pixels, strict=True)}


def _specks(pairs: NDArray[np.int32], box: Box) -> Iterator[ChangedRegion]:
    """Yield the pixels of each pair of labels that are left in a box; -1 where none are."""
    for (before, after), pixels in _counts(pairs[pairs >= 0]).items():
        mask = pairs == before * 256 + after
        region = tight(Region(Box(0, 0, *mask.shape), mask))
        yield ChangedRegion(moved(region, box), before, after, pixels)


def _regions_of(code: int, mask: NDArray[np.bool_], box: Box) -> Iterator[ChangedRegion]:
    """Yield the connected regions of a mask, which lies in a box, that are not too small."""
    count, number, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    before, after = divmod(code, 256)
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = 1 + np.argsort(-areas, kind="stable")[:MOST_REGIONS]
    for index in largest[:count].tolist():
        left, top, width, height, pixels = stats[index].tolist()
        if pixels >= FEWEST_PIXELS:
            inner = Box(top, left, top + height, left + width)
            region = moved(Region(inner, number[inner.slices] == index), box)
            yield ChangedRegion(region, before, after, pixels)
