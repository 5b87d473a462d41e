"""A network that follows a person's strokes: its last layer is refitted at each of them."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.learning.live import LabeledCells, LiveOptions, labeled_cells, refit
from mdlstm_core.learning.targets import cell_targets
from mdlstm_core.memory import Attempt, first_that_fits
from mdlstm_core.network import LabelingNetwork, with_classes
from mdlstm_core.prediction import (
    Prediction,
    device_of,
    finite_weights,
    labels_of_looks,
    looks,
    network_input,
    on_device,
)

_MOST_BYTES = 128 << 20
"""Features kept of images, at most; those of one image of usual size take 7 MB."""


@dataclass(frozen=True)
class LiveImage:
    """An image, and what a person said of it.

    Attributes:
        name: stands for the image's pixels.
        revision: another value after each change of its corrections.
        image: gives it, H×W×3 RGB, 0 to 255; called only if it has to be looked at.
        corrections: gives the label of each pixel H×W, `IGNORE_INDEX` where nobody set one.
    """

    name: Hashable
    revision: Hashable
    image: Callable[[], NDArray[np.uint8]]
    corrections: Callable[[], NDArray[np.uint8]]


@dataclass(frozen=True)
class _Look:
    """What the network saw of an image, on the CPU: the last layer is small."""

    features: tuple[Tensor, ...]
    working_13HW: Tensor
    share: float
    notice: str

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in (*self.features, self.working_13HW))


@dataclass(frozen=True)
class _Rows:
    """Cells of an image at a revision of its corrections, with shares of `labels` alone."""

    revision: Hashable
    labels: tuple[int, ...]
    cells: LabeledCells


class LiveLearner:
    """Labels images with a copy of a network whose last layer fits a person's strokes.

    Features are kept for the images looked at last, as far as there is room; of the other
    images only the rows of labeled cells.

    Args:
        network: gives the features; it stays as it is.
        options: how to refit.
        most_bytes: of features to keep; those of the image shown always are.
    """

    def __init__(
        self,
        network: LabelingNetwork,
        options: LiveOptions | None = None,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._network, self._options = network, options or LiveOptions()
        self._on_cpu = on_device(network, torch.device("cpu"))
        self._most_bytes = most_bytes
        self._looks: OrderedDict[Hashable, _Look] = OrderedDict()
        self._rows: dict[Hashable, _Rows] = {}

    @property
    def nbytes(self) -> int:
        """Memory that the features take."""
        return sum(look.nbytes for look in self._looks.values())

    def predict(
        self,
        shown: LiveImage,
        others: Sequence[LiveImage],
        sources: Sequence[int | None],
        labels: Sequence[int],
    ) -> Prediction:
        """Label an image as the strokes on it and on others say.

        Args:
            shown: the image to label.
            others: images whose strokes count too.
            sources: the class of the network that each output starts from, None if it is new.
            labels: the label of each output; two may share one. It stands in the label map.

        Raises:
            InputError: the network gives no finite numbers, or an image cannot be read.
            MemoryError: the computer's own memory does not suffice.
        """
        look = self._look(shown)
        fitted = self.fitted([shown, *others], sources, labels)
        with torch.no_grad():
            if fitted is not None:
                logits = fitted.classify(look.features)
                seen = fitted.enlarge(logits, *look.working_13HW.shape[2:])
            else:  # nothing is painted: what the model says itself
                network = with_classes(self._on_cpu, sources)
                seen = looks(network, shown.image(), look.share)
        found = labels_of_looks(seen, shown.image())
        named = np.array(labels, dtype=np.uint8)[found.label_map]
        return dataclasses.replace(found, label_map=named, notice=look.notice)

    def fitted(
        self, images: Sequence[LiveImage], sources: Sequence[int | None], labels: Sequence[int]
    ) -> LabelingNetwork | None:
        """Return the network, on the CPU, with its last layer fit to the strokes on images.

        None if nothing is painted. Arguments and errors are those of `predict`.
        """
        self._rows = {i.name: self._rows_of(i) for i in images}
        cells = [_for_outputs(self._rows[i.name], labels) for i in images]
        if not any(len(c.labeled_NF) for c in cells):
            return None
        with torch.enable_grad():
            return refit(with_classes(self._on_cpu, sources), cells, self._options)

    def _look(self, image: LiveImage) -> _Look:
        """Return the network's features of an image, worked out if they are not kept."""
        found = self._looks.pop(image.name, None)
        self._looks[image.name] = found or self._looked(image.image())
        while self.nbytes > self._most_bytes and len(self._looks) > 1:
            self._looks.popitem(last=False)
        return self._looks[image.name]

    @torch.no_grad()
    def _looked(self, image_HW3: NDArray[np.uint8]) -> _Look:
        def look(attempt: Attempt) -> _Look:
            network = on_device(self._network, attempt.device)
            working = network_input(image_HW3, network, attempt.share)
            with finite_weights():
                features = tuple(feature.float().cpu() for feature in network.features(working))
            return _Look(features, working.cpu(), attempt.share, attempt.notice)

        return first_that_fits(device_of(self._network), look)

    def _rows_of(self, image: LiveImage) -> _Rows:
        kept = self._rows.get(image.name)
        if kept is not None and kept.revision == image.revision:
            return kept
        look, corrections = self._look(image), image.corrections()
        present = np.bincount(corrections.ravel(), minlength=256)[:IGNORE_INDEX].nonzero()[0]
        labels = tuple(int(label) for label in present) or (0,)
        shares, area = cell_targets(corrections, labels, look.working_13HW, self._on_cpu)
        return _Rows(image.revision, labels, labeled_cells(look.features, shares, area))


def _for_outputs(rows: _Rows, labels: Sequence[int]) -> LabeledCells:
    """Return the cells with the shares of a network's outputs; of other labels there are none.

    Of outputs that share a label the last one gets its strokes.
    """
    place = {label: index for index, label in enumerate(labels)}
    shares = rows.cells.shares_NK.new_zeros(len(rows.cells.shares_NK), len(labels))
    for index, label in enumerate(rows.labels):
        if label in place:
            shares[:, place[label]] = rows.cells.shares_NK[:, index]
    known = shares.sum(dim=1) > 0
    return LabeledCells(
        rows.cells.labeled_NF[known],
        shares[known],
        rows.cells.area_N[known],
        rows.cells.sampled_MF,
    )
