"""Pixels that changed their label, compressed: kept for each image, and stored once accepted."""

from __future__ import annotations

import base64
import json
import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.document.changes import ChangedRegion
from app.document.packed_patch import pack_mask, unpack_mask
from app.document.stroke import Box, Region

_log = logging.getLogger(__name__)


class PackedChange(NamedTuple):
    """Pixels that went from one label to another.

    Attributes:
        before, after: the labels, `IGNORE_INDEX` for none.
        box: around all of them.
        mask: a bit a pixel of the box, compressed.
    """

    before: int
    after: int
    box: Box
    mask: bytes

    @classmethod
    def of(cls, change: ChangedRegion) -> PackedChange:
        """Compress the pixels."""
        return cls(change.before, change.after, change.region.box, pack_mask(change.region.mask))

    def unpack(self) -> ChangedRegion:
        """Return the pixels."""
        mask = unpack_mask(self.mask, self.box.shape)
        return ChangedRegion(Region(self.box, mask), self.before, self.after, int(mask.sum()))


def mask_of(
    changes: Iterable[PackedChange], before_HW: NDArray[np.uint8], after_HW: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Return which pixels go from one of two label maps to the other as in these changes."""
    found = np.zeros(before_HW.shape, dtype=bool)
    for change in changes:
        at = change.box.slices
        is_same = (before_HW[at] == change.before) & (after_HW[at] == change.after)
        found[at] |= is_same & unpack_mask(change.mask, change.box.shape)
    return found


def relabeled(changes: Iterable[PackedChange], labels: Mapping[int, int]) -> Iterator[PackedChange]:
    """Give the changes as they are with other labels for some: of classes that were merged."""
    for change in changes:
        before, after = (labels.get(each, each) for each in change[:2])
        yield change._replace(before=before, after=after)


def changes_to_json(changes: Iterable[PackedChange]) -> str:
    """Return changes as text."""
    return json.dumps([[*c[:2], *c.box, base64.b64encode(c.mask).decode()] for c in changes])


def changes_from_json(text: str, shape: tuple[int, int]) -> tuple[PackedChange, ...]:
    """Return the changes that `changes_to_json` wrote of an image of this height and width.

    Those of a damaged text, or of an image of another size, are done without: they are asked
    for once more.
    """
    found = []
    try:
        for before, after, top, left, bottom, right, mask in json.loads(text):
            box = Box(int(top), int(left), int(bottom), int(right))
            change = PackedChange(int(before), int(after), box, base64.b64decode(mask))
            if box.clipped(*shape) == box and not box.is_empty:
                unpack_mask(change.mask, box.shape)
                found.append(change)
    except (ValueError, TypeError, zlib.error) as error:
        _log.warning("damaged accepted changes: %s", error)
        return ()
    return tuple(found)
