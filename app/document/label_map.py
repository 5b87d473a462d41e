"""A label map that can be painted on, and the patches that undo it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from app.document.edit import Edit
from app.document.stroke import Box, Region
from mdlstm_core.config import IGNORE_INDEX


@dataclass(frozen=True)
class Patch:
    """One change of a label map: where, what stood there, and what was set.

    Mask and labels are compressed: the history keeps them for long.
    """

    box: Box
    _after: int | bytes
    _mask: bytes
    _before: bytes

    @classmethod
    def make(
        cls, region: Region, before: NDArray[np.uint8], after: int | NDArray[np.uint8]
    ) -> Patch:
        """Return the change of a region's pixels, which had the labels `before`, to `after`."""
        mask = zlib.compress(np.packbits(region.mask).tobytes(), level=1)
        set_to = after if isinstance(after, int) else zlib.compress(after.tobytes(), level=1)
        return cls(region.box, set_to, mask, zlib.compress(before.tobytes(), level=1))

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which pixels of the box change."""
        shape = (self.box.bottom - self.box.top, self.box.right - self.box.left)
        bits = np.frombuffer(zlib.decompress(self._mask), np.uint8)
        return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape).astype(bool)

    @property
    def before(self) -> NDArray[np.uint8]:
        """The labels of these pixels before, in row-major order."""
        return np.frombuffer(zlib.decompress(self._before), np.uint8)

    @property
    def after(self) -> int | NDArray[np.uint8]:
        """The label of all these pixels afterwards, or of each, in row-major order."""
        if isinstance(self._after, int):
            return self._after
        return np.frombuffer(zlib.decompress(self._after), np.uint8)


class LabelMap(QObject):
    """Class index of each pixel, H×W; `IGNORE_INDEX` where there is none.

    Signals:
        changed(Box): pixels inside the box have other values now.
    """

    changed = Signal(object)

    def __init__(self, values_HW: NDArray[np.uint8]) -> None:
        """Take over `values_HW`, which nobody else may change from now on."""
        super().__init__()
        self._values = values_HW

    @classmethod
    def empty(cls, height: int, width: int) -> LabelMap:
        """Return a label map in which no pixel has a label."""
        return cls(np.full((height, width), IGNORE_INDEX, dtype=np.uint8))

    @property
    def values(self) -> NDArray[np.uint8]:
        """A read-only view of the labels; it changes when the map does."""
        view = self._values.view()
        view.setflags(write=False)
        return view

    @property
    def is_empty(self) -> bool:
        """Whether no pixel has a label."""
        return bool((self._values == IGNORE_INDEX).all())

    def snapshot(self) -> NDArray[np.uint8]:
        """Return an immutable copy of the labels."""
        copy = self._values.copy()
        copy.setflags(write=False)
        return copy

    def frozen(self) -> Callable[[], NDArray[np.uint8]]:
        """Return a call that gives the labels as they are now, whatever comes."""
        copy = self.snapshot()
        return lambda: copy

    def patch(self, edit: Edit) -> Patch | None:
        """Return the change that an edit makes, None if nothing would change."""
        region, labels = edit.region, edit.labels
        before = self._values[region.box.slices][region.mask]
        return Patch.make(region, before, labels) if (before != labels).any() else None

    def apply(self, patch: Patch) -> None:
        """Set what the patch sets."""
        self._values[patch.box.slices][patch.mask] = patch.after
        self.changed.emit(patch.box)

    def revert(self, patch: Patch) -> None:
        """Set what stood there before the patch."""
        self._values[patch.box.slices][patch.mask] = patch.before
        self.changed.emit(patch.box)
