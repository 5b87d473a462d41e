"""What no edit may change: locked classes, and all but what "paint only on" names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit
from app.document.stroke import Box, Region


@dataclass(frozen=True)
class EditFilter:
    """Which pixels an edit may change, by the label that they show.

    Attributes:
        locked: labels whose pixels stay.
        only: the only labels (`IGNORE_INDEX` for no label) whose pixels change; None for all.
    """

    locked: frozenset[int] = frozenset()
    only: frozenset[int] | None = None

    def narrow(self, edit: Edit, shown: Callable[[Box], NDArray[np.uint8]]) -> Edit | None:
        """Return the part of an edit that is allowed, None if that is nothing.

        Args:
            edit: on an image.
            shown: gives the labels that the image shows in a box, a person's or the model's.
        """
        if not self.locked and self.only is None:
            return edit
        allowed = np.full(256, self.only is None)
        allowed[list(self.only or ())] = True
        allowed[list(self.locked)] = False
        box, mask = edit.region
        may_change = allowed[shown(box)[mask]]
        if not may_change.any():
            return None
        narrowed = mask.copy()
        narrowed[mask] = may_change
        labels = edit.labels if isinstance(edit.labels, int) else edit.labels[may_change]
        return Edit(Region(box, narrowed), labels, edit.text)
