"""Fine-tuning a model on the pixels that a person labeled.

Learning always starts from the checkpoint it is given: taking strokes back and learning
again gives what never having made them gives. Pixels that nobody touched are held to what
the model said before, so that it does not forget.
"""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mdlstm_core.checkpoint import Checkpoint, checkpoint_of
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError
from mdlstm_core.losses import class_shares, soft_cross_entropy
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.segmentation import network_input


@dataclass(frozen=True)
class CorrectedImage:
    """An image and what a person said of it.

    Attributes:
        image: H×W×3 RGB, 0 to 255.
        corrections: class index of each pixel H×W, `IGNORE_INDEX` where nobody set one.
    """

    image: NDArray[np.uint8]
    corrections: NDArray[np.uint8]


@dataclass(frozen=True)
class LearningOptions:
    """How to learn.

    Attributes:
        steps: at most this many steps.
        seconds: at most this long.
        learning_rate: of AdamW.
        keep: weight of holding untouched pixels to what the model said before.
        enough: stop early when the loss on the corrections falls below this.
        seed: of the views that are learned from.
    """

    steps: int = 60
    seconds: float = 20.0
    learning_rate: float = 1e-3
    keep: float = 1.0
    enough: float = 0.03
    seed: int = 0


@dataclass(frozen=True)
class LearningProgress:
    """A step of learning: its number from 1, of how many, and the corrections' loss."""

    step: int
    steps: int
    loss: float


@dataclass(frozen=True)
class _Lesson:
    """One image as the network sees it, with what to learn and what to keep."""

    image_13HW: Tensor
    shares_1Khw: Tensor
    area_1hw: Tensor
    before_1Khw: Tensor


def fine_tune(
    checkpoint: Checkpoint,
    corrected: Sequence[CorrectedImage],
    options: LearningOptions,
    device: torch.device,
    on_progress: Callable[[LearningProgress], None],
    stop: threading.Event,
) -> Checkpoint:
    """Return the checkpoint after learning (see `Predictor.learn`)."""
    network = checkpoint.network().to(device)
    lessons = _lessons(network, corrected)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=0.0)
    # Dropout stays off and group norm has no state: the network learns as it predicts.
    network.eval()
    generator = np.random.default_rng(options.seed)
    deadline = time.monotonic() + options.seconds
    recent: list[float] = []
    for step in range(1, options.steps + 1):
        loss = _step(network, lessons[generator.integers(len(lessons))], optimizer, generator, options)
        if not math.isfinite(loss):
            raise InputError("Learning failed, its loss is not a number; the model before stays.")
        on_progress(LearningProgress(step, options.steps, loss))
        recent = [*recent, loss][-len(lessons) - 1 :]
        learned = len(recent) > len(lessons) and max(recent) < options.enough
        if stop.is_set() or learned or time.monotonic() > deadline:
            break
    return checkpoint_of(network, checkpoint)


@torch.no_grad()
def _lessons(
    network: LabelingNetwork, corrected: Sequence[CorrectedImage]
) -> list[_Lesson]:
    """Prepare the images that have corrections."""
    classes = network.config.classes
    lessons = []
    for sample in corrected:
        known = sample.corrections != IGNORE_INDEX
        if not known.any():
            continue
        if int(sample.corrections[known].max()) >= classes:
            raise InputError(f"The corrections have a class that the model's {classes} lack.")
        image = network_input(sample.image, network)
        shares, area = _shares_at_working_size(sample.corrections, image, network)
        before = network(image).softmax(dim=1)
        lessons.append(_Lesson(image, shares, area, before))
    if not lessons:
        raise InputError("There is nothing to learn from: paint a correction first.")
    return lessons


def _shares_at_working_size(
    corrections_HW: NDArray[np.uint8], image_13HW: Tensor, network: LabelingNetwork
) -> tuple[Tensor, Tensor]:
    """Return class shares and labeled area of each output cell of the network.

    Scaled by area and not by picking pixels: a thin stroke on a large photograph must
    not fall between them.
    """
    height, width = image_13HW.shape[2:]
    classes, stride = network.config.classes, network.output_stride
    labels = torch.from_numpy(np.array(corrections_HW)).to(image_13HW.device).unsqueeze(0)
    if labels.shape[1:] == (height, width):
        return _on_padded_grid(*class_shares(labels, classes, stride), network, height, width)
    shares, area = class_shares(labels, classes, 1)
    rows, columns = -(-height // network.config.window), -(-width // network.config.window)
    cells = network.config.window // stride
    # Cells reach over the border by less than one; their grid covers the padded image.
    size = (rows * cells, columns * cells)
    mass = functional.adaptive_avg_pool2d(shares * area.unsqueeze(1), size)
    pooled = mass.sum(dim=1)
    return mass / pooled.clamp_min(1e-9).unsqueeze(1), pooled


def _on_padded_grid(
    shares_1Khw: Tensor, area_1hw: Tensor, network: LabelingNetwork, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Add the empty cells by which the network pads the image to its window."""
    window, stride = network.config.window, network.output_stride
    rows, columns = (-(-size // window) * (window // stride) for size in (height, width))
    padding = (0, columns - area_1hw.shape[2], 0, rows - area_1hw.shape[1])
    return functional.pad(shares_1Khw, padding), functional.pad(area_1hw, padding)


def _step(
    network: LabelingNetwork,
    lesson: _Lesson,
    optimizer: torch.optim.Optimizer,
    generator: np.random.Generator,
    options: LearningOptions,
) -> float:
    """Learn from one image, mirrored half of the time; return the corrections' loss."""
    image, shares, area, before = (
        lesson.image_13HW, lesson.shares_1Khw, lesson.area_1hw, lesson.before_1Khw,
    )
    logits = network(image)
    loss = soft_cross_entropy(logits, shares, _balanced(shares, area))
    kept = soft_cross_entropy(logits, before, (area == 0).float())
    optimizer.zero_grad()
    (loss + options.keep * kept).backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _balanced(shares_1Khw: Tensor, area_1hw: Tensor) -> Tensor:
    """Weigh cells so that each class that was painted counts alike, however large."""
    mass = shares_1Khw * area_1hw.unsqueeze(1)
    total = mass.sum(dim=(2, 3), keepdim=True)
    return (mass / total.clamp_min(1e-9)).sum(dim=1)
