"""A network's last layer fit to a person's strokes, and nothing beside it.

What Live shows comes from a richer classifier (`live_learner`). The network fit here can be
looked into: its logits still split into the contributions of directions and units.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError
from mdlstm_core.learning.live import LabeledCells, LiveOptions, labeled_cells, refit
from mdlstm_core.learning.live_learner import LiveImage
from mdlstm_core.learning.targets import cell_targets, shares_of_outputs
from mdlstm_core.network import LabelingNetwork, with_classes
from mdlstm_core.prediction import finite_weights, network_input, on_device

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Rows:
    """Cells of an image at a revision of its corrections, with shares of `labels` alone."""

    revision: Hashable
    labels: tuple[int, ...]
    cells: LabeledCells


@dataclass(frozen=True)
class _Look:
    """What the network saw of the image of this name."""

    name: Hashable
    features: tuple[Tensor, ...]
    working_13HW: Tensor


class LastLayerFit:
    """Fits a copy of a network to strokes.

    Features are kept of the image looked at last; of the others only labeled cells.

    Args:
        network: gives the features; it stays as it is.
    """

    def __init__(self, network: LabelingNetwork) -> None:
        self._network = on_device(network, torch.device("cpu"))
        self._look: _Look | None = None
        self._rows: dict[Hashable, _Rows] = {}

    def fitted(
        self, images: Sequence[LiveImage], sources: Sequence[int | None], labels: Sequence[int]
    ) -> LabelingNetwork:
        """Return the network, on the CPU, with its last layer fit to the strokes on images.

        Args:
            images: whose strokes count; the one that is shown comes first. Another one that
                cannot be read is left out.
            sources: the class of the network that each output starts from, None if it is new.
            labels: the label of each output.

        Raises:
            InputError: the network gives no finite numbers, or the first image cannot be read.
            MemoryError: the computer's own memory does not suffice.
        """
        shown, *others = images
        # The image that is shown last, so that its features are what stays.
        found = {image.name: self._rows_if_any(image) for image in others}
        found[shown.name] = self._kept(shown) or self._rows_of(shown, shown.corrections())
        self._rows = {name: rows for name, rows in found.items() if rows is not None}
        read = (self._rows[image.name] for image in images if image.name in self._rows)
        cells = [_for_outputs(rows, labels) for rows in read]
        network = with_classes(self._network, sources)
        if not any(len(found.labeled_NF) for found in cells):
            return network
        return refit(network, cells, LiveOptions())

    def _rows_if_any(self, image: LiveImage) -> _Rows | None:
        """Return the rows of an image that is not shown, None if it has none to give."""
        if (kept := self._kept(image)) is not None:
            return kept
        try:
            corrections = image.corrections()
            if (corrections != IGNORE_INDEX).any():
                return self._rows_of(image, corrections)
        except (InputError, MemoryError):
            _log.warning("the strokes on %s do not count", image.name, exc_info=True)
        return None

    def _kept(self, image: LiveImage) -> _Rows | None:
        kept = self._rows.get(image.name)
        return kept if kept is not None and kept.revision == image.revision else None

    def _rows_of(self, image: LiveImage, corrections: NDArray[np.uint8]) -> _Rows:
        present = np.bincount(corrections.ravel(), minlength=256)[:IGNORE_INDEX].nonzero()[0]
        labels = tuple(int(label) for label in present) or (0,)
        if self._look is None or self._look.name != image.name:
            self._look = self._looked(image.name, image.image())
        shares, area = cell_targets(corrections, labels, self._look.working_13HW, self._network)
        return _Rows(image.revision, labels, labeled_cells(self._look.features, shares, area))

    @torch.no_grad()
    def _looked(self, name: Hashable, image_HW3: NDArray[np.uint8]) -> _Look:
        working = network_input(image_HW3, self._network)
        with finite_weights():
            return _Look(name, self._network.features(working), working)


def _for_outputs(rows: _Rows, labels: Sequence[int]) -> LabeledCells:
    """Return the cells with the shares of a network's outputs; of other labels there are none."""
    shares = shares_of_outputs(rows.cells.shares_NK, rows.labels, labels)
    known = shares.sum(dim=1) > 0
    return LabeledCells(
        rows.cells.labeled_NF[known],
        shares[known],
        rows.cells.area_N[known],
        rows.cells.sampled_MF,
    )
