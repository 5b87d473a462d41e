"""A label map that can be painted on, and the patches that undo it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from app.document.stroke import Region
from mdlstm_core.config import IGNORE_INDEX


@dataclass(frozen=True)
class Patch:
    """One change of a label map: where, what stood there, and what was set."""

    region: Region
    before: NDArray[np.uint8]
    after: int


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

    def snapshot(self) -> NDArray[np.uint8]:
        """Return an immutable copy of the labels."""
        copy = self._values.copy()
        copy.setflags(write=False)
        return copy

    def patch(self, region: Region, label: int) -> Patch | None:
        """Return the change that sets `label` in a region, None if nothing would change."""
        before = self._values[region.box.slices]
        if not (before[region.mask] != label).any():
            return None
        return Patch(region, before.copy(), label)

    def apply(self, patch: Patch) -> None:
        """Set what the patch sets."""
        self._values[patch.region.box.slices][patch.region.mask] = patch.after
        self.changed.emit(patch.region.box)

    def revert(self, patch: Patch) -> None:
        """Set what stood there before the patch."""
        mask = patch.region.mask
        self._values[patch.region.box.slices][mask] = patch.before[mask]
        self.changed.emit(patch.region.box)
