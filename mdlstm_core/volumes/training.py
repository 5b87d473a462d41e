"""Training a PyraMiD-LSTM on labeled volumes."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mdlstm_core.checkpoint import Checkpoint, checkpoint_of
from mdlstm_core.config import IGNORE_INDEX, LabelClass, NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.kernels.threads import one_thread
from mdlstm_core.memory import SMALLER_PARTS, Attempt, first_that_fits
from mdlstm_core.presets import preset
from mdlstm_core.volumes.pyramid_network import PyramidNetwork
from mdlstm_core.volumes.stacks import piece_size, volume_input


@dataclass(frozen=True)
class LabeledVolume:
    """A volume and the true class of its voxels.

    Attributes:
        volume: D×H×W×C of any number type.
        labels: class index of each voxel, D×H×W; `IGNORE_INDEX` where there is none.
        name: of the volume, for the sentences of what cannot be used.
        labels_name: of the labels, likewise.
    """

    volume: NDArray[np.generic]
    labels: NDArray[np.uint8]
    name: str = "The volume"
    labels_name: str = "the label stack"


@dataclass(frozen=True)
class VolumeOptions:
    """How to train on volumes.

    Attributes:
        steps: how many, a crop each; the learning rate falls over all of them.
        seconds: at most this long; a run that this cuts off cannot be repeated.
        learning_rate: the highest of the cycle.
        crop: slices, rows and columns of the random crops.
        turn: whether crops are mirrored and turned; not where up or left matters.
        seed: of weights and crops.
    """

    steps: int = 400
    seconds: float = 3600.0
    learning_rate: float = 1e-2
    crop: tuple[int, int, int] = (6, 48, 48)
    turn: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what cannot be trained with.

        Raises:
            InputError: a number is out of its range.
        """
        if not 0 < self.learning_rate < math.inf:
            raise InputError("The learning rate must be positive, and finite.")
        if min(self.steps, *self.crop) < 1 or not self.seconds > 0 or self.seed < 0:
            raise InputError("Steps, seconds and crop must be positive, and the seed not negative.")


def train_volume(
    samples: Sequence[LabeledVolume],
    classes: Sequence[LabelClass],
    options: VolumeOptions | None = None,
    config: NetworkConfig | None = None,
    device: torch.device | None = None,
    on_progress: Callable[[int, float], None] = lambda _step, _loss: None,
    stop: threading.Event | None = None,
    on_notice: Callable[[str], None] = lambda _notice: None,
) -> Checkpoint:
    """Train a network from random weights on random crops of labeled volumes.

    Once the GPU's memory does not suffice, training goes on with crops half as large, and then
    on the CPU.

    Args:
        samples: volumes with as many channels each; those without a label are left out.
        classes: name and colour of each class, in the order of the labels' indices.
        options: how long and on what crops.
        config: the network; the preset "pyramid" for these classes and channels unless told.
        device: where to compute; the CPU unless told.
        on_progress: called after each step with its number, from 1, and its loss.
        stop: set it to end after the step under way; what was learned is kept.
        on_notice: called with a sentence for the user when training goes on in another way.

    Raises:
        InputError: shapes, channels or classes do not fit, nothing has a label, or the loss
            is not finite.
        MemoryError: the computer's own memory does not suffice.
    """
    options = options or VolumeOptions()
    tensors = _prepared(samples, len(classes))
    channels = tensors[0][0].shape[0]
    config = config or preset("pyramid", len(classes))
    config = dataclasses.replace(config, classes=len(classes), channels=(channels,))
    torch.manual_seed(options.seed)
    network = PyramidNetwork(config).train()
    run = _Run(network, tensors, options, stop or threading.Event())

    def go_on(attempt: Attempt) -> None:
        if attempt.notice:
            on_notice(attempt.notice)
        run.go_on(attempt, on_progress)

    first_that_fits(device or torch.device("cpu"), go_on, SMALLER_PARTS)
    return checkpoint_of(network, Checkpoint(config, tuple(classes), weights={}))


class _Run:
    """The steps of a training, on random crops; larger volumes give more of them.

    Args:
        network: changed in place.
        tensors: volumes C×D×H×W and their labels D×H×W.
        options: how long and on what crops.
        stop: ends it after the step under way.
    """

    def __init__(
        self,
        network: PyramidNetwork,
        tensors: list[tuple[Tensor, Tensor]],
        options: VolumeOptions,
        stop: threading.Event,
    ) -> None:
        self._network, self._tensors, self._options, self._stop = network, tensors, options, stop
        self._optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate)
        self._generator = np.random.default_rng(options.seed)
        sizes = np.array([labels.numel() for _, labels in tensors], dtype=np.float64)
        self._shares = sizes / sizes.sum()
        self._end = time.monotonic() + options.seconds
        self._step = 0

    @one_thread()
    def go_on(self, attempt: Attempt, on_progress: Callable[[int, float], None]) -> None:
        """Do the steps that are left, with what was learned in those before."""
        self._network.to(attempt.device)
        # What it has averaged comes to where the weights are.
        self._optimizer.load_state_dict(self._optimizer.state_dict())
        while self._step < self._options.steps:
            loss = self._learn(attempt)
            self._step += 1
            if not math.isfinite(loss):
                raise InputError(
                    f"The loss is not finite in step {self._step}; train with another seed or a "
                    "lower learning rate."
                )
            on_progress(self._step, loss)
            # The clock may end the run, but not change a step: the same seed gives the same.
            if self._stop.is_set() or time.monotonic() >= self._end:
                break

    def _learn(self, attempt: Attempt) -> float:
        """Learn from a random crop and return its loss."""
        options, generator = self._options, self._generator
        for group in self._optimizer.param_groups:
            group["lr"] = options.learning_rate * _cycle(self._step / options.steps)
        chosen = self._tensors[generator.choice(len(self._tensors), p=self._shares)]
        size = piece_size(chosen[1].shape, options.crop, attempt.share)
        volume, labels = _crop(*chosen, size, generator, turn=options.turn)
        device = attempt.device
        return _step(self._network, self._optimizer, volume.to(device), labels.to(device))


def _prepared(samples: Sequence[LabeledVolume], classes: int) -> list[tuple[Tensor, Tensor]]:
    """Return the volumes (C×D×H×W) that have labels (D×H×W), checked."""
    found = []
    for sample in samples:
        volume = volume_input(sample.volume, sample.name)[0]
        if tuple(volume.shape[1:]) != sample.labels.shape:
            raise InputError(
                f"{sample.name} of {_size(volume.shape[1:])} voxels has labels of "
                f"{_size(sample.labels.shape)} ({sample.labels_name}); they must be the same."
            )
        known = sample.labels[sample.labels != IGNORE_INDEX]
        if known.size and int(known.max()) >= classes:
            raise InputError(
                f"In {sample.labels_name} there is a class {known.max()}, but there are {classes} "
                f"(0 to {classes - 1}); name more classes, or give these voxels {IGNORE_INDEX}."
            )
        if known.size:
            found.append((volume, torch.from_numpy(sample.labels.astype(np.int64))))
    if not found:
        raise InputError("There is nothing to learn from: no voxel has a label.")
    if len({volume.shape[0] for volume, _ in found}) > 1:
        raise InputError("The volumes do not all have the same number of channels.")
    return found


def _crop(
    volume_CDHW: Tensor,
    labels_DHW: Tensor,
    size: tuple[int, int, int],
    generator: Generator,
    *,
    turn: bool,
) -> tuple[Tensor, Tensor]:
    """Cut out a random place of a size around a labeled voxel, and turn it if asked to."""
    known = (labels_DHW != IGNORE_INDEX).flatten().nonzero().flatten()
    index = int(known[generator.integers(len(known))])
    place = []
    for at, whole, part in zip(
        np.unravel_index(index, tuple(labels_DHW.shape)),
        labels_DHW.shape,
        size,
        strict=True,
    ):
        low, high = max(0, int(at) - part + 1), min(int(at), whole - part)
        start = int(generator.integers(low, high + 1))
        place.append(slice(start, start + part))
    volume, labels = volume_CDHW[:, *place], labels_DHW[tuple(place)]
    if turn:
        axes = [axis for axis in range(3) if generator.random() < 0.5]
        volume, labels = volume.flip([axis + 1 for axis in axes]), labels.flip(axes)
        if generator.random() < 0.5:
            volume, labels = volume.transpose(2, 3), labels.transpose(1, 2)
    return volume.contiguous(), labels.contiguous()


def _step(
    network: PyramidNetwork, optimizer: torch.optim.Optimizer, volume_CDHW: Tensor, labels: Tensor
) -> float:
    """Learn from one crop and return its loss; NaN, and nothing learned, if it is not finite."""
    logits = network(volume_CDHW.unsqueeze(0))
    loss = functional.cross_entropy(logits, labels.unsqueeze(0), ignore_index=IGNORE_INDEX)
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    if not norm.isfinite():
        return math.nan
    optimizer.step()
    return loss.item()


def _cycle(share: float) -> float:
    """Return the learning rate at a share of the run: a short rise, then half a cosine."""
    return min(1.0, 0.1 + share / 0.05) * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-4


def _size(shape: Sequence[int]) -> str:
    return "×".join(str(length) for length in shape)
