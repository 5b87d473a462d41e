"""What changed on one image, and what became of it; see `app.session.change_review`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.document.changes import ChangedRegion, Changes, changed_mask, find_changes, is_open
from app.document.label_map import LabelMap
from app.document.packed_change import PackedChange, changes_from_json, mask_of, relabeled
from app.document.stroke import Box
from app.session.difference import Difference
from mdlstm_core.config import IGNORE_INDEX

MOST_KEPT = 1000
"""Accepted changes that are kept of an image; the oldest leave first."""

Labels = Sequence[tuple[int, ...]]
"""Of the classes of the models before and after."""


@dataclass
class ReviewedImage:
    """What changed on an image, and which of its regions the user settled.

    Attributes:
        difference: of what the models before and after said.
        changes: what changed; the counts follow the corrections, the regions stay, and are
            there while the image is shown.
        revision: of the corrections that are counted (see `Project.revision`).
        packed: the regions, at their places.
        specks: what is in no region.
        accepted: places of regions that the user accepted.
        painted: places of those that a person set all of.
        kept: the last that was accepted, also before the program began (see `MOST_KEPT`).
        removed: labels of merged and deleted classes that `kept` may have, and those they became.
    """

    difference: Difference
    changes: Changes
    revision: object
    packed: tuple[PackedChange, ...]
    specks: tuple[PackedChange, ...]
    accepted: set[int] = field(default_factory=set)
    painted: set[int] = field(default_factory=set)
    kept: tuple[PackedChange, ...] = ()
    removed: Mapping[int, int] = field(default_factory=dict)

    @property
    def open_places(self) -> list[int]:
        """The places of the regions that are not settled."""
        settled = self.accepted | self.painted
        return [at for at in range(len(self.packed)) if at not in settled]

    @property
    def open(self) -> list[tuple[int, ChangedRegion]]:
        """The regions that are not settled, with their places; none while it is not shown."""
        regions = self.changes.regions
        return [(at, regions[at]) for at in self.open_places] if regions else []

    def show(self, regions: tuple[ChangedRegion, ...], corrections: LabelMap) -> None:
        """Take the regions, unpacked."""
        self.changes = self.changes._replace(regions=regions)
        self.refresh(corrections, Box(0, 0, *corrections.size))

    def hide(self) -> None:
        """Keep the regions packed alone: their masks may be larger than the image."""
        self.changes = Changes(self.changes.counts, ())

    def accept(self, at: int) -> None:
        """Accept a region."""
        self.accepted.add(at)
        self._keep(self.packed[at])

    def accept_all(self) -> None:
        """Accept what is open, and the specks."""
        self._keep(*self.specks)
        for at in self.open_places:
            self.accept(at)

    def _keep(self, *accepted: PackedChange) -> None:
        self.kept = tuple(dict.fromkeys([*self.kept, *accepted]))[-MOST_KEPT:]

    def open_changes(
        self, labels: Labels, corrections_HW: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the labels before, and which pixels changed that nobody set or accepted."""
        before, after = self.difference.maps(labels)
        changed = changed_mask(before, after, corrections_HW)
        return before, changed & ~mask_of(relabeled(self.kept, self.removed), before, after)

    def refresh(self, corrections: LabelMap, box: Box) -> bool:
        """Note which regions are painted after a change in a box; return whether others are."""
        before = frozenset(self.painted)
        for at, region in enumerate(self.changes.regions):
            if not region.region.box.common(box).is_empty:
                is_painted = not is_open(region, corrections.values)
                (self.painted.add if is_painted else self.painted.discard)(at)
        return before != self.painted


def reviewed(
    difference: Difference,
    labels: Labels,
    corrections: Callable[[], NDArray[np.uint8]],
    accepted: str,
    removed: Mapping[int, int],
    revision: object,
) -> ReviewedImage:
    """Find what changed on an image; takes a while.

    Args:
        difference: of what the models before and after said.
        labels: those of each one's classes.
        corrections: gives what a person set.
        accepted: what was accepted, as it is stored.
        removed: see `ReviewedImage`.
        revision: of the corrections.
    """
    before, after = difference.maps(labels)
    changes = find_changes(before, after, corrections_of(difference, corrections))
    kept = changes_from_json(accepted, difference.shape) if accepted else ()
    is_kept = mask_of(relabeled(kept, removed), before, after)
    places = (
        at
        for at, ((box, mask), *_) in enumerate(changes.regions)
        if is_kept[box.slices][mask].all()
    )
    return ReviewedImage(
        difference,
        changes._replace(specks=()),
        revision,
        packed=tuple(map(PackedChange.of, changes.regions)),
        specks=tuple(map(PackedChange.of, changes.specks)),
        accepted=set(places),
        kept=kept,
        removed=removed,
    )


def corrections_of(
    difference: Difference, corrections: Callable[[], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Return what a person set, as many pixels without a label if nothing was."""
    set_HW = corrections()
    if set_HW.shape != difference.shape:
        set_HW = np.full(difference.shape, IGNORE_INDEX, dtype=np.uint8)
    return set_HW
