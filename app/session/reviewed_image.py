"""What changed on one image, and what became of it; see `app.session.change_review`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.document.changes import ChangedRegion, Changes, is_open
from app.document.label_map import LabelMap
from app.document.stroke import Box
from app.inference.survey_worker import Look
from mdlstm_core.config import IGNORE_INDEX

Maps = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
"""The label maps of the models before and after, and the corrections."""


@dataclass
class ReviewedImage:
    """What changed on an image, and which of its regions the user settled.

    Attributes:
        changes: what changed; the counts follow the corrections, the regions stay.
        revision: of the corrections that are counted (see `Project.revision`).
        looks: what the models before and after said.
        accepted: places of regions in `changes.regions`.
        painted: places of those that a person set all of.
        are_specks_accepted: whether what is in no region, being too small, is accepted too.
    """

    changes: Changes
    revision: object
    looks: tuple[Look, Look]
    accepted: set[int] = field(default_factory=set)
    painted: set[int] = field(default_factory=set)
    are_specks_accepted: bool = False

    @property
    def open(self) -> list[tuple[int, ChangedRegion]]:
        """The regions that are not settled, with their places."""
        settled = self.accepted | self.painted
        return [(at, r) for at, r in enumerate(self.changes.regions) if at not in settled]

    def accept_all(self) -> None:
        """Accept what is open."""
        self.accepted.update(at for at, _ in self.open)
        self.are_specks_accepted = True

    def open_mask(self, changed_HW: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of the changed pixels nobody accepted."""
        kept = np.full(changed_HW.shape, self.are_specks_accepted)
        for at, (region, *_) in enumerate(self.changes.regions):
            kept[region.box.slices][region.mask] = at in self.accepted
        return changed_HW & ~kept

    def refresh(self, corrections: LabelMap, box: Box) -> bool:
        """Note which regions are painted after a change in a box; return whether others are."""
        before = frozenset(self.painted)
        for at, region in enumerate(self.changes.regions):
            if not region.region.box.common(box).is_empty:
                is_painted = not is_open(region, corrections.values)
                (self.painted.add if is_painted else self.painted.discard)(at)
        return before != self.painted


def maps_of(
    looks: tuple[Look, Look],
    labels: Sequence[tuple[int, ...]],
    corrections: Callable[[], NDArray[np.uint8]],
) -> Maps:
    """Return label maps and corrections, as many pixels without a label if there are none.

    Args:
        looks: what the models before and after said.
        labels: those of each one's classes.
        corrections: gives what a person set.
    """
    before, after = (look.label_map(found) for look, found in zip(looks, labels, strict=True))
    set_HW = corrections()
    if set_HW.shape != before.shape:
        set_HW = np.full(before.shape, IGNORE_INDEX, dtype=np.uint8)
    return before, after, set_HW
