"""The change of some pixels of a label map, kept so that it can be undone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.document.stroke import Box


@dataclass(frozen=True, eq=False)
class Patch:
    """One change of a label map: where, what stood there, and what was set.

    Attributes:
        box: around all pixels that change.
        mask: which pixels of the box change; of the box's size.
        before: the labels of these pixels before, in row-major order.
        after: the label of all of them afterwards, or of each, in row-major order.
    """

    box: Box
    mask: NDArray[np.bool_]
    before: NDArray[np.uint8]
    after: int | NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Freeze the arrays: other threads read them."""
        for array in (self.mask, self.before, self.after):
            if isinstance(array, np.ndarray):
                array.setflags(write=False)

    @property
    def nbytes(self) -> int:
        """Memory that the patch holds."""
        after = 0 if isinstance(self.after, int) else self.after.nbytes
        return self.mask.nbytes + self.before.nbytes + after

    def write(self, values_HW: NDArray[np.uint8], *, forward: bool) -> None:
        """Set on a label map what the patch sets, or set back what stood there."""
        values_HW[self.box.slices][self.mask] = self.after if forward else self.before
