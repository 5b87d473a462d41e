"""Fine-tuning a model on the pixels that a person labeled.

Learning always starts from the checkpoint it is given: taking strokes back and learning
again gives what never having made them gives. Pixels that nobody touched are held to what
the model said before, so that it does not forget; except those it gave a class that the
person took back elsewhere on the same image, for there it is likely to be wrong too.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mdlstm_core.checkpoint import Checkpoint, checkpoint_of
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError
from mdlstm_core.kernels import NotFiniteError, select_kernel
from mdlstm_core.learning.figures import Figures
from mdlstm_core.learning.live import LiveOptions, labeled_cells, refit
from mdlstm_core.learning.targets import cell_targets
from mdlstm_core.losses import balanced_weights, soft_cross_entropy
from mdlstm_core.memory import Attempt, first_that_fits
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.prediction import finite_weights, network_input


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
    """

    steps: int = 60
    seconds: float = 20.0
    learning_rate: float = 5e-4
    keep: float = 1.0
    enough: float = 0.03


@dataclass(frozen=True)
class LearningProgress:
    """A step of learning.

    Attributes:
        step: its number; it begins anew at 1 if the GPU's memory does not suffice.
        steps: at most so many.
        loss: on the corrections.
        notice: why it is not done as usual, for the user; empty if it is.
        seconds: since learning began.
        held_out: pixel accuracy, 0 to 1, on the strokes that were set aside; None where it
            was not measured.
    """

    step: int
    steps: int
    loss: float
    notice: str = ""
    seconds: float = 0.0
    held_out: float | None = None


@dataclass(frozen=True)
class LearningResult:
    """What learning led to.

    Attributes:
        checkpoint: the model.
        strokes: number of strokes that were learned.
        before: figures of the model before, on the strokes that were set aside; None if
            none were.
        figures: of the new one, on the same.
        overfits: why it may do so, in one sentence; empty if it does not.
    """

    checkpoint: Checkpoint
    strokes: int = 0
    before: Figures | None = None
    figures: Figures | None = None
    overfits: str = ""


@dataclass(frozen=True)
class _Lesson:
    """One image as the network sees it, with what to learn and what to keep.

    Attributes:
        image_13HW: the image at the network's working size.
        shares_1Khw: what share of each output cell's corrections each class has.
        learned_1hw: how much each cell's corrections count.
        before_1Khw: the probabilities before learning.
        kept_1hw: 1 where a cell is held to them.
    """

    image_13HW: Tensor
    shares_1Khw: Tensor
    learned_1hw: Tensor
    before_1Khw: Tensor
    kept_1hw: Tensor


def fine_tune(
    checkpoint: Checkpoint,
    corrected: Callable[[], Iterable[CorrectedImage]],
    options: LearningOptions,
    device: torch.device,
    on_progress: Callable[[LearningProgress], None],
    stop: threading.Event,
    on_improved: Callable[[Checkpoint], None] = lambda _checkpoint: None,
) -> LearningResult:
    """Return what learning led to (see `Predictor.learn`)."""
    # One for all attempts: the time is what the user gave.
    start = time.monotonic()

    def learn(attempt: Attempt) -> LearningResult:
        network = checkpoint.network().to(attempt.device)
        # All steps with one kernel: learning again gives the same to the last bit.
        select_kernel(device=attempt.device, wait=True)
        with finite_weights():
            lessons = _lessons(network, corrected(), attempt.share, stop)
            if _has_new_class(network):
                network = _refitted(network, lessons)
        on_improved(checkpoint_of(network, checkpoint))

        def report(step: int, loss: float) -> bool:
            seconds = time.monotonic() - start
            on_progress(LearningProgress(step, options.steps, loss, attempt.notice, seconds))
            return stop.is_set() or seconds > options.seconds

        _learn(network, lessons, options, report)
        return LearningResult(checkpoint_of(network, checkpoint))

    return first_that_fits(device, learn)


def _learn(
    network: LabelingNetwork,
    lessons: list[_Lesson],
    options: LearningOptions,
    report: Callable[[int, float], bool],
) -> None:
    """Learn from one lesson after the other until they are learned or `report` says to end."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=0.0)
    losses: list[float] = []
    for step in range(options.steps):
        # In evaluation mode: no dropout, the network learns as it predicts.
        loss = _step(network, lessons[step % len(lessons)], optimizer, options.keep)
        if not math.isfinite(loss):
            raise InputError("Learning failed, its loss is not a number; the model before stays.")
        losses.append(loss)
        is_over = report(step + 1, loss)
        each_once = losses[-len(lessons) :]
        learned = len(each_once) == len(lessons) and max(each_once) < options.enough
        if is_over or learned:
            break


@torch.no_grad()
def _lessons(
    network: LabelingNetwork,
    corrected: Iterable[CorrectedImage],
    share: float,
    stop: threading.Event,
) -> list[_Lesson]:
    """Prepare the images that have corrections; only their reduced size stays in memory."""
    classes = network.config.classes
    lessons = []
    for sample in corrected:
        if stop.is_set():
            break
        known = sample.corrections != IGNORE_INDEX
        if not known.any():
            continue
        if int(sample.corrections[known].max()) >= classes:
            raise InputError(f"The corrections have a class that the model's {classes} lack.")
        image = network_input(sample.image, network, share)
        shares, area = cell_targets(sample.corrections, range(classes), image, network)
        before = network(image).softmax(dim=1)
        kept = (area == 0) & ~_overruled(shares, area, before)
        lessons.append(_Lesson(image, shares, balanced_weights(shares, area), before, kept.float()))
    if not lessons:
        raise InputError("There is nothing to learn from: paint a correction first.")
    return lessons


def _has_new_class(network: LabelingNetwork) -> bool:
    """Return whether a class has no weights yet (see `network.with_classes`)."""
    rows = torch.cat([layer.weight.flatten(1) for layer in network.class_layers], dim=1)
    return not bool(rows.any(dim=1).all())


@torch.no_grad()
def _refitted(network: LabelingNetwork, lessons: list[_Lesson]) -> LabelingNetwork:
    """Give new classes their first weights: from where they start, gradients take long."""
    cells = [
        # These weights are the cells' areas, but for a factor a class.
        labeled_cells(network.features(found.image_13HW), found.shares_1Khw, found.learned_1hw)
        for found in lessons
    ]
    with torch.enable_grad():
        return refit(network, cells, LiveOptions())


def _step(
    network: LabelingNetwork,
    lesson: _Lesson,
    optimizer: torch.optim.Optimizer,
    keep: float,
) -> float:
    """Learn from one image and return the loss on its corrections."""
    try:
        logits = network(lesson.image_13HW)
    except NotFiniteError:
        return math.nan
    loss = soft_cross_entropy(logits, lesson.shares_1Khw, lesson.learned_1hw)
    kept = soft_cross_entropy(logits, lesson.before_1Khw, lesson.kept_1hw)
    optimizer.zero_grad()
    (loss + keep * kept).backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _overruled(shares_1Khw: Tensor, area_1hw: Tensor, before_1Khw: Tensor) -> Tensor:
    """Return the mask (1×h×w) of cells whose class before was taken back somewhere."""
    said, corrected = before_1Khw.argmax(dim=1), shares_1Khw.argmax(dim=1)
    taken_back = said[(area_1hw > 0) & (said != corrected)].unique()
    return torch.isin(said, taken_back)
