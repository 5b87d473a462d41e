"""A network that follows a person's strokes: a classifier on its features, fitted at each."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError
from mdlstm_core.learning.experts import ClassifierOptions
from mdlstm_core.learning.live import class_weights
from mdlstm_core.learning.local_features import FILTERS, local_features
from mdlstm_core.learning.pixel_classifier import PixelClassifier, features_at, fit
from mdlstm_core.learning.rows import PixelRows
from mdlstm_core.learning.set_aside import strokes_of
from mdlstm_core.learning.targets import label_masses, shares_of_outputs
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

_log = logging.getLogger(__name__)

_MOST_BYTES = 256 << 20
"""Features kept of images, at most; those of one image of 480×360 pixels take 46 MB."""

_MOST_PIXELS = 512 * 512
"""Larger images are labeled at a reduced size, and the answer is enlarged along their edges."""

_MOST_LABELED, _MOST_SAMPLED = 2000, 1000
"""Pixels of one image that are learned from, and that its features are scaled by, at most."""


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
    """What the network and the filters saw of an image, on the CPU: the classifier is small.

    `size` is the image's own, height and width.
    """

    size: tuple[int, int]
    features: tuple[Tensor, ...]
    working_13HW: Tensor
    local_GHW: Tensor
    share: float
    notice: str

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in (*self.features, self.working_13HW, self.local_GHW))

    @property
    def working(self) -> tuple[int, int]:
        height, width = self.working_13HW.shape[2:]
        return height, width


@dataclass(frozen=True)
class _Rows:
    """Pixels of an image at a revision of its corrections, with shares of `labels` alone.

    None if there are no strokes on it, or it cannot be read.
    """

    revision: Hashable
    labels: tuple[int, ...] = ()
    pixels: PixelRows | None = None


@dataclass(frozen=True)
class _Fitted:
    """A classifier, None where nothing is painted, what it was fitted to, and its labels there."""

    to: Hashable
    sources: tuple[int | None, ...]
    network: LabelingNetwork
    labels: tuple[int, ...]
    classifier: PixelClassifier | None
    painted: frozenset[int]


class LiveLearner:
    """Labels images by a network's features with a classifier that fits a person's strokes.

    Features are kept for the images labeled last, as far as there is room; of the other
    images only the rows of labeled pixels.

    Args:
        network: gives the features; it stays as it is.
        options: how to fit.
        most_bytes: of features to keep; those of the image shown always are.

    Attributes:
        network: the same.
    """

    def __init__(
        self,
        network: LabelingNetwork,
        options: ClassifierOptions | None = None,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self.network, self._options = network, options or ClassifierOptions()
        self._on_cpu = on_device(network, torch.device("cpu"))
        self._most_bytes = most_bytes
        self._looks: OrderedDict[Hashable, _Look] = OrderedDict()
        self._rows: dict[Hashable, _Rows] = {}
        self._fitted: _Fitted | None = None

    @property
    def nbytes(self) -> int:
        """Memory that the features take."""
        return sum(look.nbytes for look in self._looks.values())

    @property
    def painted(self) -> frozenset[int]:
        """The labels of the strokes that were fitted last."""
        return self._fitted.painted if self._fitted is not None else frozenset()

    def predict(
        self,
        shown: LiveImage,
        others: Sequence[LiveImage],
        sources: Sequence[int | None],
        labels: Sequence[int],
    ) -> Prediction:
        """Label an image as the strokes on it and on others say (see `fit` and `label`)."""
        self.fit([shown, *others], sources, labels)
        return self.label(shown)

    def read(self, images: Sequence[LiveImage], seconds: float) -> int:
        """Read the strokes of some images, as `fit` does, but no longer than a caller can wait.

        Args:
            images: as for `fit`.
            seconds: after these, no further image is read; but one at least is, unless it is 0.

        Returns:
            how many images were not come to; the next call goes on with them.

        Raises:
            InputError, MemoryError: as `fit`.
        """
        first, *others = images
        end, may_read = time.monotonic() + seconds, seconds > 0
        rows = self._kept(first)
        if rows is None or rows.pixels is None:
            rows = _rows_of(first, first.corrections(), self._look(first))
        found = {first.name: rows}
        for image in others:
            rows = self._kept(image)
            if rows is None and may_read:
                rows = self._rows_if_any(image)
                may_read = time.monotonic() < end
            if rows is not None:
                found[image.name] = rows
        self._rows = found
        return len(images) - len(found)

    def fit(
        self, images: Sequence[LiveImage], sources: Sequence[int | None], labels: Sequence[int]
    ) -> None:
        """Fit the strokes of some images; nothing is done if they were fitted last.

        Args:
            images: whose strokes count. The first is the one that is shown; of the others, one
                that cannot be read is left out.
            sources: the class of the network that each output starts from, None if it is new.
            labels: the label of each output; two may share one. It stands in the label map.

        Raises:
            InputError: the network gives no finite numbers, or the first image cannot be read.
            MemoryError: the computer's own memory does not suffice.
        """
        to = tuple((i.name, i.revision) for i in images), tuple(sources), tuple(labels)
        if self._fitted is not None and self._fitted.to == to:
            return
        self.read(images, math.inf)
        read = [self._rows[i.name] for i in images]
        rows = [_for_outputs(r.pixels, r.labels, labels) for r in read if r.pixels is not None]
        network = self._with_outputs(tuple(sources))
        classifier = None
        if any(len(r.area_N) for r in rows):
            # Images without a stroke say what features look like, but not at any price.
            classifier = fit(rows, class_weights(network), self._options, FILTERS)
        outputs = {int(k) for r in rows for k in r.shares_NK.any(dim=0).nonzero()}
        painted = frozenset(labels[k] for k in outputs)
        self._fitted = _Fitted(to, tuple(sources), network, tuple(labels), classifier, painted)

    def _with_outputs(self, sources: tuple[int | None, ...]) -> LabelingNetwork:
        """Return the network with these outputs, that of the last fit if it has them."""
        last = self._fitted
        if last is not None and last.sources == sources:
            return last.network
        return with_classes(self._on_cpu, sources)

    @torch.no_grad()
    def label(self, image: LiveImage) -> Prediction:
        """Label an image as the strokes that were fitted last say; without any, the network.

        Raises:
            InputError: the network gives no finite numbers, or the image cannot be read.
            MemoryError: the computer's own memory does not suffice.
            ValueError: nothing was fitted.
        """
        fitted = self._fitted
        if fitted is None:
            raise ValueError("fit: expected before label")
        look = self._look(image)
        if fitted.classifier is None:  # nothing is painted: what the model says itself
            seen = looks(fitted.network, image.image(), look.share)
        else:
            seen = fitted.classifier.logits(look.features, look.local_GHW, look.working)[None]
        found = labels_of_looks(seen, image.image())
        named = np.array(fitted.labels, dtype=np.uint8)[found.label_map]
        return dataclasses.replace(found, label_map=named, notice=look.notice)

    def _look(self, image: LiveImage) -> _Look:
        """Return the features of an image, worked out if they are not kept."""
        found = self._looks.pop(image.name, None)
        self._looks[image.name] = found or self._looked(image.image())
        while self.nbytes > self._most_bytes and len(self._looks) > 1:
            self._looks.popitem(last=False)
        return self._looks[image.name]

    @torch.no_grad()
    def _looked(self, image_HW3: NDArray[np.uint8]) -> _Look:
        size = image_HW3.shape[0], image_HW3.shape[1]
        local_GHW = torch.from_numpy(local_features(_reduced(image_HW3)))

        def look(attempt: Attempt) -> _Look:
            network = on_device(self.network, attempt.device)
            working = network_input(image_HW3, network, attempt.share)
            with finite_weights():
                features = tuple(feature.float().cpu() for feature in network.features(working))
            return _Look(size, features, working.cpu(), local_GHW, attempt.share, attempt.notice)

        return first_that_fits(device_of(self.network), look)

    def _kept(self, image: LiveImage) -> _Rows | None:
        kept = self._rows.get(image.name)
        return kept if kept is not None and kept.revision == image.revision else None

    def _rows_if_any(self, image: LiveImage) -> _Rows:
        """Return the rows of an image that is not shown; its features are not worth keeping."""
        try:
            corrections = image.corrections()
            if (corrections != IGNORE_INDEX).any():
                look = self._looks.get(image.name) or self._looked(image.image())
                return _rows_of(image, corrections, look)
        except (InputError, MemoryError):
            _log.warning("the strokes on %s are not followed", image.name, exc_info=True)
        return _Rows(image.revision)


def _rows_of(image: LiveImage, corrections: NDArray[np.uint8], look: _Look) -> _Rows:
    if corrections.shape != look.size:
        raise InputError("The image has another size than its strokes.")
    present = np.bincount(corrections.ravel(), minlength=256)[:IGNORE_INDEX].nonzero()[0]
    labels = tuple(int(label) for label in present) or (0,)
    masses_KHW = torch.from_numpy(label_masses(corrections, labels, *look.local_GHW.shape[1:]))
    return _Rows(image.revision, labels, _picked(look, masses_KHW))


@torch.no_grad()
def _picked(look: _Look, masses_KHW: Tensor) -> PixelRows:
    """Return the rows of an image's labeled pixels, and of a sample of all."""
    area_P = masses_KHW.sum(dim=0).flatten()
    painted = area_P.nonzero().flatten()
    labeled = _spread(painted, _MOST_LABELED)
    sampled = _spread(torch.arange(len(area_P)), _MOST_SAMPLED)
    both = torch.cat([labeled, sampled])
    size = look.local_GHW.shape[1:]
    deep_BF = features_at(look.features, look.working, both, (int(size[0]), int(size[1])))
    local_BG = look.local_GHW.flatten(1)[:, both].T
    shares_NK = masses_KHW.flatten(1)[:, labeled].T / area_P[labeled].unsqueeze(1)
    label_P = torch.full_like(area_P, IGNORE_INDEX, dtype=torch.uint8)
    label_P[painted] = masses_KHW.flatten(1)[:, painted].argmax(dim=0).to(torch.uint8)
    numbers = strokes_of(label_P.view(size).numpy()).numbers
    count = len(labeled)
    return PixelRows(
        deep_BF[:count],
        local_BG[:count],
        shares_NK,
        area_P[labeled],
        torch.from_numpy(numbers).flatten()[labeled].long(),
        deep_BF[count:],
        local_BG[count:],
    )


def _for_outputs(pixels: PixelRows, painted: Sequence[int], labels: Sequence[int]) -> PixelRows:
    """Return the pixels with the shares of a network's outputs; of other labels there are none."""
    shares = shares_of_outputs(pixels.shares_NK, painted, labels)
    known = shares.sum(dim=1) > 0
    return dataclasses.replace(
        pixels,
        deep_NF=pixels.deep_NF[known],
        local_NG=pixels.local_NG[known],
        shares_NK=shares[known],
        area_N=pixels.area_N[known],
        stroke_N=pixels.stroke_N[known],
    )


def _reduced(image_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale a large image down."""
    height, width = image_HW3.shape[:2]
    scale = math.sqrt(_MOST_PIXELS / (height * width))
    if scale >= 1:
        return image_HW3
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _spread(indices: Tensor, most: int) -> Tensor:
    """Return at most so many of some indices, evenly spread."""
    if len(indices) <= most:
        return indices
    return indices[torch.linspace(0, len(indices) - 1, most).round().long()]
