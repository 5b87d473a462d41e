"""A label map that can be painted on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from app.document.edit import Edit
from app.document.patch import Patch
from app.document.stroke import Box
from mdlstm_core.config import IGNORE_INDEX


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
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self._values.shape
        return height, width

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
        # Plain numbers: the database does not know NumPy's.
        box = Box(*map(int, edit.region.box))
        labels = edit.labels if isinstance(edit.labels, np.ndarray) else int(edit.labels)
        mask = edit.region.mask
        before = self._values[box.slices][mask]
        return Patch(box, mask, before, labels) if (before != labels).any() else None

    def apply(self, patch: Patch) -> None:
        """Set what the patch sets."""
        patch.write(self._values, forward=True)
        self.changed.emit(patch.box)

    def revert(self, patch: Patch) -> None:
        """Set what stood there before the patch."""
        patch.write(self._values, forward=False)
        self.changed.emit(patch.box)

    def relabel(self, source: int, target: int) -> None:
        """Give all pixels of one class another label."""
        self._values[self._values == source] = target
        self.changed.emit(Box(0, 0, *self.size))
