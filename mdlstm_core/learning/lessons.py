"""Corrected images as a network learns from them: what to learn, what to keep, and views."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError
from mdlstm_core.learning.live import LabeledCells, labeled_cells, labeled_places
from mdlstm_core.learning.set_aside import Split, Strokes, split_all, strokes_of
from mdlstm_core.learning.targets import OutputLabels, label_masses
from mdlstm_core.losses import class_shares
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.prediction import network_input

_SIDE, _VIEWS = 128, 4
"""Pixels a side of a view, and views of an image a step."""

_SCALES = (0.8, 1.25)
"""Least and most that a view is enlarged by."""


@dataclass(frozen=True)
class CorrectedImage:
    """An image and what a person said of it.

    Attributes:
        image: H×W×3 RGB, 0 to 255.
        corrections: class index of each pixel H×W, `IGNORE_INDEX` where nobody set one; of
            merged classes any one.
        name: tells it from others: which strokes are set aside hangs on it.
    """

    image: NDArray[np.uint8]
    corrections: NDArray[np.uint8]
    name: str = ""


@dataclass(frozen=True)
class Lesson:
    """One image at the network's working size; K labels, as many as classes if none are merged.

    Attributes:
        labels: what the network's outputs stand for.
        image_13HW: as the network sees it.
        split: the corrections to learn and those to measure on.
        cells: the features of the learned cells (see `live.refit`).
        stroke_N: which stroke each of these belongs to.
        before_Khw: the probabilities before learning, of the output cells.
        kept_hw: 1 where a cell is held to them.
        said_HW: the most probable label before.
        seconds: that the network took to look at it.
    """

    labels: OutputLabels
    image_13HW: Tensor
    split: Split
    cells: LabeledCells
    stroke_N: NDArray[np.int32]
    before_Khw: Tensor
    kept_hw: Tensor
    said_HW: NDArray[np.uint8]
    seconds: float


@dataclass(frozen=True)
class Views:
    """What is learned in one step: B views of one image.

    Attributes:
        images_B3HW: what the network sees.
        labels_BHW: the label of each pixel, `IGNORE_INDEX` where there is none.
        before_BKhw: the probabilities that cells are held to.
        kept_Bhw: where they are.
    """

    images_B3HW: Tensor
    labels_BHW: Tensor
    before_BKhw: Tensor
    kept_Bhw: Tensor


@dataclass(frozen=True)
class _Looked:
    """An image that the network has seen, before it is known which strokes are set aside."""

    image_13HW: Tensor
    strokes: Strokes
    cells: LabeledCells
    stroke_N: NDArray[np.int32]
    before_Khw: Tensor
    said_HW: NDArray[np.uint8]
    seconds: float


class Preparation:
    """Turns corrected images into lessons; only their reduced size stays in memory.

    Args:
        network: the one that is to learn.
        share: of the pixels that the network usually looks at (see `network_input`).
        labels: what the network's outputs stand for; each for its own if None.
    """

    def __init__(
        self, network: LabelingNetwork, share: float, labels: OutputLabels | None = None
    ) -> None:
        self._network, self._share = network, share
        self._labels = labels or OutputLabels(range(network.config.classes))
        self._looked: list[_Looked] = []

    def __len__(self) -> int:
        return len(self._looked)

    @torch.no_grad()
    def add(self, sample: CorrectedImage) -> None:
        """Look at an image; one without corrections is left out.

        Raises:
            InputError: the corrections have a class that the network lacks.
        """
        network, classes = self._network, self._network.config.classes
        given = sample.corrections[sample.corrections != IGNORE_INDEX]
        if given.size and int(given.max()) >= classes:
            raise InputError(f"The corrections have a class that the model's {classes} lack.")
        corrections = self._labels.label_map(sample.corrections)
        known = np.bincount(corrections.ravel(), minlength=256)[:IGNORE_INDEX].nonzero()[0]
        if not len(known):
            return
        image = network_input(sample.image, network, self._share)
        masses = label_masses(corrections, known.tolist(), *image.shape[2:])
        labels = known[masses.argmax(axis=0)].astype(np.uint8)
        labels[masses.max(axis=0) <= 0] = IGNORE_INDEX
        strokes = strokes_of(labels, sample.name)
        start = time.monotonic()
        features = network.features(image)
        logits = network.classify(features)
        said = network.enlarge(logits, *image.shape[2:])[0].argmax(dim=0).cpu().numpy()
        seconds = time.monotonic() - start
        targets = torch.from_numpy(labels).to(image.device).unsqueeze(0)
        shares, area = class_shares(targets, len(self._labels), network.output_stride)
        # The features may reach beyond, over the padding.
        shares, area = (_padded(t, logits.shape[2:]) for t in (shares, area))
        self._looked.append(
            _Looked(
                image,
                strokes,
                labeled_cells(features, shares, area),
                self._stroke_of_cells(strokes.numbers, area),
                self._labels.logits(logits).softmax(dim=1)[0],
                self._labels.label_map(said.astype(np.uint8)),
                seconds,
            )
        )

    def lessons(self) -> list[Lesson]:
        """Set strokes aside, and return the lessons of all images."""
        splits = split_all([looked.strokes for looked in self._looked])
        first, *others = (looked.seconds for looked in self._looked)
        if others:  # the first look readies torch, which is no measure of the next ones
            usual = min(first, max(others))
            self._looked[0] = dataclasses.replace(self._looked[0], seconds=usual)
        knows = has_weights(self._network)
        return [
            self._lesson(looked, split, knows)
            for looked, split in zip(self._looked, splits, strict=True)
        ]

    def _lesson(self, looked: _Looked, split: Split, knows: Tensor) -> Lesson:
        size = looked.before_Khw.shape[1:]
        labels = torch.from_numpy(looked.strokes.labels).to(looked.before_Khw.device)[None]
        stride = self._network.output_stride
        shares, area = class_shares(labels, len(self._labels), stride)
        shares, area = (_padded(t, size) for t in (shares, area))
        kept = (area == 0) & ~_overruled(shares, area, looked.before_Khw[None])
        # A model that knows none of the classes has nothing to keep.
        kept &= knows.any()
        is_learned = np.array([False, *_learned(looked.strokes, split)])[looked.stroke_N]
        cells, mask = looked.cells, torch.from_numpy(is_learned).to(looked.before_Khw.device)
        return Lesson(
            self._labels,
            looked.image_13HW,
            split,
            LabeledCells(
                cells.labeled_NF[mask], cells.shares_NK[mask], cells.area_N[mask], cells.sampled_MF
            ),
            looked.stroke_N[is_learned],
            looked.before_Khw,
            kept[0].float(),
            looked.said_HW,
            looked.seconds,
        )

    def _stroke_of_cells(
        self, numbers_HW: NDArray[np.int32], area_1hw: Tensor
    ) -> NDArray[np.int32]:
        """Return the stroke of each labeled cell, in the order of `labeled_cells`."""
        stride = self._network.output_stride
        pooled = functional.max_pool2d(
            torch.from_numpy(numbers_HW).float()[None, None], stride, ceil_mode=True
        )[0]
        cells = _padded(pooled, area_1hw.shape[1:])[0].flatten()
        return cells[labeled_places(area_1hw).cpu()].numpy().astype(np.int32)


@torch.no_grad()
def label_map_of(network: LabelingNetwork, lesson: Lesson) -> NDArray[np.uint8]:
    """Return the labels that a network gives a lesson's image at its working size, H×W."""
    logits = network.enlarge(network(lesson.image_13HW), *lesson.image_13HW.shape[2:])
    return lesson.labels.label_map(logits[0].argmax(dim=0).cpu().numpy().astype(np.uint8))


def learned_strokes(lessons: Sequence[Lesson]) -> int:
    """Return how many strokes are learned, of all lessons together."""
    return sum(lesson.split.learned_strokes for lesson in lessons)


def has_weights(network: LabelingNetwork) -> Tensor:
    """Return which classes the network knows; a new one has no weights (see `with_classes`)."""
    rows = torch.cat([layer.weight.flatten(1) for layer in network.class_layers], dim=1)
    return rows.any(dim=1)


def views_of(lesson: Lesson, stride: int, window: int, generator: Generator) -> Views:
    """Return random views around an image's learned strokes; the whole of a small one.

    Mirrored, recoloured a little, and, of larger images, scaled by 0.8 to 1.25.

    Args:
        lesson: the image.
        stride: pixels a side of an output cell.
        window: what a view's sides are multiples of.
        generator: of random numbers.
    """
    height, width = lesson.image_13HW.shape[2:]
    if min(height, width) < _SIDE * _SCALES[1] / _SCALES[0]:
        return whole_view(lesson, generator)
    side = _SIDE // window * window
    return _joined([_view(lesson, side, stride, generator) for _ in range(_VIEWS)])


def whole_view(lesson: Lesson, generator: Generator) -> Views:
    """Return the whole image, mirrored or not, and recoloured a little."""
    labels = torch.from_numpy(lesson.split.learned).to(lesson.image_13HW.device)
    view = Views(lesson.image_13HW, labels[None], lesson.before_Khw[None], lesson.kept_hw[None])
    # Cells that reach over the right border would not meet those of the mirror image.
    cells = lesson.before_Khw.shape[2]
    fits = lesson.image_13HW.shape[3] % cells == 0
    return _varied(view, generator, mirrors=fits)


def _view(lesson: Lesson, side: int, stride: int, generator: Generator) -> Views:
    low, high = np.log(_SCALES)
    wanted = side / np.exp(generator.uniform(low, high))
    size = max(1, round(wanted / stride)) * stride
    labels = lesson.split.learned
    present = np.unique(labels[labels != IGNORE_INDEX])
    height, width = labels.shape
    top, left = (int(generator.integers(length)) for length in (height, width))
    if len(present):
        # Each class as often as another, however short its strokes.
        places = np.argwhere(labels == present[generator.integers(len(present))])
        top, left = places[generator.integers(len(places))] - generator.integers(0, size, 2)
    top, left = (
        int(np.clip(place, 0, length - size)) // stride * stride
        for place, length in ((top, height), (left, width))
    )
    at = slice(top, top + size), slice(left, left + size)
    cells = tuple(slice(s.start // stride, s.stop // stride) for s in at)
    given = torch.from_numpy(labels[at]).to(lesson.image_13HW.device)[None, None].float()
    view = Views(
        functional.interpolate(lesson.image_13HW[:, :, *at], size=side, mode="bilinear"),
        functional.interpolate(given, size=side, mode="nearest")[0].to(torch.uint8),
        functional.interpolate(
            lesson.before_Khw[None, :, *cells], size=side // stride, mode="bilinear"
        ),
        functional.interpolate(
            lesson.kept_hw[None, None, *cells], size=side // stride, mode="nearest"
        )[0],
    )
    return _varied(view, generator, mirrors=True)


def _varied(view: Views, generator: Generator, *, mirrors: bool) -> Views:
    contrast = float(np.exp(generator.normal(0.0, 0.08)))
    balance = torch.from_numpy(generator.normal(0.0, 0.02, (3, 1, 1)).astype(np.float32))
    image = (view.images_B3HW - 0.45) * contrast + 0.45 + balance.to(view.images_B3HW.device)
    view = Views(image.clamp(0, 1), view.labels_BHW, view.before_BKhw, view.kept_Bhw)
    if mirrors and generator.random() < 0.5:
        return Views(*(tensor.flip(-1) for tensor in vars(view).values()))
    return view


def _joined(views: Sequence[Views]) -> Views:
    return Views(*(torch.cat(t) for t in zip(*(vars(v).values() for v in views), strict=True)))


def _learned(strokes: Strokes, split: Split) -> list[bool]:
    """Return which strokes are learned, in their order."""
    learned = np.zeros(len(strokes.strokes) + 1, dtype=bool)
    learned[np.unique(strokes.numbers[split.learned != IGNORE_INDEX])] = True
    return learned[1:].tolist()


def _padded(grid: Tensor, size: Sequence[int]) -> Tensor:
    """Add rows and columns of zeros until the grid has a size."""
    rows, columns = grid.shape[-2:]
    return functional.pad(grid, (0, size[1] - columns, 0, size[0] - rows))


def _overruled(shares_1Khw: Tensor, area_1hw: Tensor, before_1Khw: Tensor) -> Tensor:
    """Return the mask (1×h×w) of cells whose class before was taken back somewhere."""
    said, corrected = before_1Khw.argmax(dim=1), shares_1Khw.argmax(dim=1)
    taken_back = said[(area_1hw > 0) & (said != corrected)].unique()
    return torch.isin(said, taken_back)
