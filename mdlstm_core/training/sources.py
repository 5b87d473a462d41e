"""What a network is trained on: one dataset, or several that share all but the last layer.

Each dataset has a head, that is its own slice of the network's logits. An image teaches
its own head, and the others what their class lists have in common with its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.augmentation import random_view
from mdlstm_core.data.dataset import LabeledFolder, check_all
from mdlstm_core.errors import InputError
from mdlstm_core.training.processes import ALONE, Processes

_AHEAD = 2
"""Batches that are prepared while one is learned from."""


@dataclass(frozen=True)
class Source:
    """A dataset to learn from.

    Attributes:
        train: images to learn from.
        validation: images to measure on.
        out: where the checkpoint with this dataset's classes goes.
        same: names of this dataset's classes and what the first dataset calls them;
            equal names need not be listed.

    Raises:
        InputError: the two have different classes, or `out` is a folder.
    """

    train: LabeledFolder
    validation: LabeledFolder
    out: Path
    same: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        if self.train.classes != self.validation.classes:
            raise InputError(f"The classes of {self.train.root} differ from those to measure on.")
        if self.out.is_dir():
            raise InputError(f"{self.out} is a folder; name the checkpoint's file.")
        names = {c.name for c in self.train.classes}
        if unknown := sorted(self.same.keys() - names):
            raise InputError(f"{self.train.root} has no class {unknown[0]!r}.")

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The dataset's classes, in the order of its head's logits."""
        return self.train.classes


class Batch(NamedTuple):
    """Views to learn from: images B×H×W×3 (0 to 255) and, for each head, labels B×H×W."""

    images: Tensor
    labels: tuple[Tensor, ...]


class _View(NamedTuple):
    """One view, H×W×3, and its labels for each head, H×W."""

    image: NDArray[np.uint8]
    labels: list[NDArray[np.uint8]]


def _stacked(views: list[_View]) -> Batch:
    heads = zip(*(view.labels for view in views), strict=True)
    return Batch(
        torch.from_numpy(np.stack([view.image for view in views])),
        tuple(torch.from_numpy(np.stack(head)) for head in heads),
    )


class Sources:
    """The datasets of a run, and the order in which their images come.

    Args:
        sources: the datasets; what counts most comes first.
        first_share: share of an epoch's views that come from the first one, if there are
            several. An epoch shows every image of the others once.
        view: height and width of the views.
        seed: of order and views.
        zoom: at most 1; how much smaller the views are, and all that they show.
    """

    def __init__(
        self,
        sources: tuple[Source, ...],
        first_share: float,
        view: tuple[int, int],
        seed: int,
        zoom: float = 1.0,
    ) -> None:
        self.sources, self._seed, self._zoom = sources, seed, zoom
        self._view = max(1, round(view[0] * zoom)), max(1, round(view[1] * zoom))
        others = sum(len(source.train) for source in sources[1:])
        first = len(sources[0].train)
        if others:
            first = max(1, round(others * first_share / (1 - first_share)))
        self._first, self.views_an_epoch = first, first + others
        self._lookups = [[_lookup(of, to) for to in sources] for of in sources]

    def batches(
        self, epoch: int, batch: int, processes: Processes = ALONE, workers: int = 1
    ) -> Iterator[Batch]:
        """Yield this process's part of the epoch's batches, later ones prepared meanwhile.

        Args:
            epoch: from 0.
            batch: views a step, of all processes together.
            processes: who shares the work; each takes its views of every batch.
            workers: threads that prepare views; the views do not depend on them.
        """
        order = self._order(epoch)
        # A set smaller than a batch is repeated within it.
        order = np.resize(order, (max(len(order), batch), 2))
        groups = [order[i * batch : (i + 1) * batch] for i in range(len(order) // batch)]
        with ThreadPoolExecutor(max_workers=workers) as pool:
            coming: deque[list[Future[_View]]] = deque()
            for group in [*groups, *[None] * _AHEAD]:
                if group is not None:
                    mine = list(enumerate(group.tolist()))[processes.rank :: processes.count]
                    coming.append([pool.submit(self._view_of, epoch, *one) for one in mine])
                if group is None or len(coming) > _AHEAD:
                    if not coming:
                        return
                    yield _stacked([view.result() for view in coming.popleft()])

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Return the epoch's images as pairs of source and index, shuffled."""
        generator = np.random.default_rng((self._seed, epoch))
        pairs = []
        for number, source in enumerate(self.sources):
            count = len(source.train)
            wanted = count if number else self._first
            rounds = [generator.permutation(count) for _ in range(-(-wanted // count))]
            chosen = np.concatenate(rounds)[:wanted]
            pairs.append(np.stack([np.full(wanted, number), chosen], axis=1))
        return generator.permutation(np.concatenate(pairs))

    def _view_of(self, epoch: int, place: int, image: tuple[int, int]) -> _View:
        number, index = image
        seed = (self._seed, epoch, number, index, place)
        sample = self.sources[number].train.load(index)
        view = random_view(sample, *self._view, np.random.default_rng(seed), self._zoom)
        return _View(view.image, [lookup[view.labels] for lookup in self._lookups[number]])

    def check(self, on_checked: Callable[[int, int], None]) -> None:
        """Read all images and labels once, so that nothing unreadable ends the run later.

        That is as much reading as an epoch takes.

        Args:
            on_checked: called with the number of images done, and of all.

        Raises:
            InputError: some cannot be used; the sentence names up to ten.
        """
        places = {
            folder.image_path(index): (folder, index)
            for source in self.sources
            for folder in (source.train, source.validation)
            for index in range(len(folder))
        }

        def read(place: tuple[LabeledFolder, int]) -> None:
            folder, index = place
            folder.load(index)

        check_all(read, list(places.values()), lambda done: on_checked(done, len(places)))

    def class_weights(self, balance: float) -> list[Tensor]:
        """Return each head's weight of each class: its pixel count to the power of -balance.

        At most 5, and 1 on the average pixel; all are 1 if `balance` is 0.
        """
        return [_class_weights(source.train, balance) for source in self.sources]


def _lookup(of: Source, to: Source) -> NDArray[np.uint8]:
    """Return for each label of one dataset the label of another, or the ignore index."""
    lookup = np.full(256, IGNORE_INDEX, dtype=np.uint8)
    names = [c.name for c in to.classes]
    for index, label_class in enumerate(of.classes):
        name = label_class.name if of is to else of.same.get(label_class.name, label_class.name)
        if name in names:
            lookup[index] = names.index(name)
    return lookup


def class_shares_of(folder: LabeledFolder) -> NDArray[np.float64]:
    """Return which share of a dataset's labeled pixels each class has.

    Raises:
        InputError: labels cannot be read.
    """
    classes = len(folder.classes)
    counts = np.zeros(256)
    for index in range(len(folder)):
        counts += np.bincount(folder.load_labels(index).ravel(), minlength=256)
    shares: NDArray[np.float64] = counts[:classes] / max(1.0, counts[:classes].sum())
    return shares


def _class_weights(folder: LabeledFolder, balance: float) -> Tensor:
    classes = len(folder.classes)
    if balance == 0:
        return torch.ones(classes)
    shares = class_shares_of(folder)
    weights = np.minimum((np.maximum(shares, 1e-9) * classes) ** -balance, 5.0)
    return torch.from_numpy(weights / (weights * shares).sum()).float()
