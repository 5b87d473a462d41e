"""What a label map becomes through changes that are not on disk yet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.document.patch import Patch
from app.document.steps import Do, Redo, Step, Undo
from app.document.undo_stack import StepSource
from app.storage.changes import Change
from mdlstm_core.config import IGNORE_INDEX


def replay(
    changes: Iterable[Change],
    image: Path,
    stored_HW: NDArray[np.uint8] | None,
    source: StepSource,
) -> NDArray[np.uint8] | None:
    """Return an image's label map after changes, None if there is none.

    Args:
        changes: in their order; none of them is on disk.
        image: whose label map it is.
        stored_HW: as it is on disk; it may be changed.
        source: reads what a step on disk did that gave a class another label everywhere.

    Raises:
        InputError: a step cannot be read.
    """
    labels = stored_HW
    for change in changes:
        if not isinstance(change, Do | Undo | Redo):
            continue
        step, is_forward = change.step, not isinstance(change, Undo)
        if labels is None:
            labels = _empty(step, image)
        if labels is None:
            continue
        if isinstance(change, Do) and step.classes and step.classes.relabeled:
            source_label, target = step.classes.relabeled
            labels[labels == source_label] = target
            continue
        patches: list[Patch] = [p.patch for p in step.patches if p.image == image]
        if step.relabels:
            patches = source.load_patches(step.number, image)
        for patch in patches:
            patch.write(labels, forward=is_forward)
    return labels


def _empty(step: Step, image: Path) -> NDArray[np.uint8] | None:
    """Return a label map without labels if a step is the first on an image."""
    for found in step.patches:
        if found.image == image:
            return np.full(found.size, IGNORE_INDEX, dtype=np.uint8)
    return None
