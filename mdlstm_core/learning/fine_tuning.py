"""Fine-tuning a model on the pixels that a person labeled.

Learning always starts from the checkpoint it is given: taking strokes back and learning
again gives what never having made them gives. First the last layer is fitted, which takes
seconds, then the network learns: few strokes move its layers from the last 2D-LSTM on, by
whole images; more move all of it, by views around the strokes and, towards the end, whole
images. Pixels that nobody touched are held to what the model said before, so that it does not
forget; except those it gave a class that the person took back elsewhere on the same image,
for there it is likely to be wrong too. Gradients are followed as they are, with momentum, and
not scaled to one length for each weight as Adam does, which moves those as far that matter
for other images only.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mdlstm_core.checkpoint import Checkpoint, checkpoint_of
from mdlstm_core.config import IGNORE_INDEX, LEARNING_SECONDS
from mdlstm_core.errors import InputError
from mdlstm_core.kernels import NotFiniteError, select_kernel
from mdlstm_core.learning.figures import Figures, overfitting
from mdlstm_core.learning.lessons import (
    CorrectedImage,
    Lesson,
    Preparation,
    Views,
    has_weights,
    learned_strokes,
    views_of,
    whole_view,
)
from mdlstm_core.learning.live import LiveOptions, refit
from mdlstm_core.learning.measuring import Measuring
from mdlstm_core.learning.poor_strokes import notice_of
from mdlstm_core.learning.shrinking import checkpoint_weights, least_seconds, shrink
from mdlstm_core.learning.targets import OutputLabels
from mdlstm_core.losses import balanced_weights, class_shares, soft_cross_entropy
from mdlstm_core.memory import Attempt, first_that_fits
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.prediction import finite_weights

_PREPARING = 0.4
"""Share of the time after which no further image is prepared."""

_WHOLE = 0.7
"""Share of the run after which every other step learns from a whole image."""

_SHRINKING = 0.08
"""Share of the time that is kept for `shrink`, or as long as that takes at least."""

_STEP = 3
"""Times as long as a look at an image a step takes: there and back."""

_FEW = 60
"""Up to so many strokes, only the network's late layers learn, and that by whole images.

What is right elsewhere on an image is held best where the network sees all of it.
"""

_MOMENTUM = 0.9

_FAILED = "Learning failed, its loss is not a number; the model before stays."

_MEASURED = (0.4, 0.75)
"""Shares of the run at which it is measured, and the best is kept."""


@dataclass(frozen=True)
class LearningOptions:
    """How to learn.

    Attributes:
        steps: at most this many steps.
        seconds: at most this long, preparation and all.
        learning_rate: the highest, of gradient descent.
        keep: weight of holding untouched pixels to what the model said before.
        enough: stop early when the loss on the corrections falls below this.
        seed: of the views.
    """

    steps: int = 300
    seconds: float = LEARNING_SECONDS
    learning_rate: float = 0.03
    keep: float = 1.0
    enough: float = 0.03
    seed: int = 0


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
        notice: what is wrong with the strokes, in one sentence; empty if nothing is.
    """

    checkpoint: Checkpoint
    strokes: int = 0
    before: Figures | None = None
    figures: Figures | None = None
    overfits: str = ""
    notice: str = ""


def fine_tune(
    checkpoint: Checkpoint,
    corrected: Callable[[], Iterable[CorrectedImage]],
    options: LearningOptions,
    device: torch.device,
    on_progress: Callable[[LearningProgress], None],
    stop: threading.Event,
    on_improved: Callable[[Checkpoint], None] = lambda _checkpoint: None,
    labels: Sequence[int] | None = None,
) -> LearningResult:
    """Return what learning led to (see `Predictor.learn`)."""
    classes = OutputLabels(range(len(checkpoint.classes)) if labels is None else labels)
    names = [checkpoint.classes[output].name for output in classes.outputs]
    # One for all attempts: the time is what the user gave.
    clock = _Clock(options, stop)

    def learn(attempt: Attempt) -> LearningResult:
        network = checkpoint.network().to(attempt.device)
        # All steps with one kernel: learning again gives the same to the last bit.
        select_kernel(device=attempt.device, wait=True)
        with finite_weights():
            preparation = Preparation(network, attempt.share, classes)
            lessons, left_out = _lessons(preparation, corrected(), clock)
            fitted = refit(network, [lesson.cells for lesson in lessons], LiveOptions(), classes)
            notice = notice_of(lessons, names, classes.known(has_weights(network)))
            notice = f"{notice} {left_out}".strip()
        on_improved(checkpoint_of(fitted, checkpoint))
        run = _Run((network, fitted), lessons, options, clock, Measuring(lessons, tuple(names)))
        run.learn(on_progress, attempt.notice)
        return run.result(checkpoint, notice)

    return first_that_fits(device, learn)


class _Clock:
    """Says how far learning is, and when it has to end."""

    def __init__(self, options: LearningOptions, stop: threading.Event) -> None:
        self._start, self._seconds, self._stop = time.monotonic(), options.seconds, stop

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def share(self) -> float:
        return self.seconds / self._seconds

    @property
    def is_stopped(self) -> bool:
        return self._stop.is_set()

    @property
    def left(self) -> float:
        return self._seconds - self.seconds

    def has_time_for(self, seconds: float) -> bool:
        return not self.is_stopped and seconds < self.left


class _Run:
    """The steps of one attempt, and the best model so far.

    Args:
        networks: the one that learns, and the same with its last layer fitted.
        lessons, options, clock, measuring: what, how, how long, and what is measured on.
    """

    def __init__(
        self,
        networks: tuple[LabelingNetwork, LabelingNetwork],
        lessons: list[Lesson],
        options: LearningOptions,
        clock: _Clock,
        measuring: Measuring,
    ) -> None:
        self._lessons, self._options, self._labels = lessons, options, lessons[0].labels
        self._clock, self._measuring = clock, measuring
        first_step = _STEP * max(lesson.seconds for lesson in lessons)
        self._has_time = clock.has_time_for(first_step + measuring.seconds + self._time_to_end)
        # From where a new class starts, gradients take long; and there may be no time for any.
        self._network, fitted = networks
        if not has_weights(self._network).all() or not self._has_time:
            self._network = fitted
        self._generator = np.random.default_rng(options.seed)
        self._losses: list[float] = []
        self._best_score = -math.inf
        self._start = self._best = checkpoint_weights(self._network)
        self._longest = 0.0

    def learn(self, report: Callable[[LearningProgress], None], notice: str) -> None:
        """Do the steps, until they are done, the time is up or the strokes are learned."""
        if not self._has_time:
            return
        options, clock = self._options, self._clock
        weights = self._weights()
        optimizer = torch.optim.SGD(weights, lr=options.learning_rate, momentum=_MOMENTUM)
        to_measure = list(_MEASURED)
        began = clock.share
        held_out = self._keep_if_best() if self._measuring.is_telling else None
        for step in range(options.steps):
            if self._losses and not clock.has_time_for(self._longest + self._time_to_end):
                break
            share = self._share(step, began)
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * _cycle(share)
            start = clock.seconds
            views = self._view(step, share)
            self._losses.append(_step(self._network, views, self._labels, optimizer, options))
            self._longest = max(self._longest, clock.seconds - start)
            if not math.isfinite(self._losses[-1]):
                raise InputError(_FAILED)
            if to_measure and share >= to_measure[0]:
                to_measure.pop(0)
                held_out = self._keep_if_best()
            loss, seconds = self._losses[-1], clock.seconds
            report(LearningProgress(step + 1, options.steps, loss, notice, seconds, held_out))
            held_out = None
            if self._is_learned():
                break
        self._keep_if_best()

    def result(self, checkpoint: Checkpoint, notice: str) -> LearningResult:
        """Return the best model, as near to the one before as it may be, with its figures."""
        self._network.load_state_dict(self._best)
        if self._losses:
            shrink(self._network, self._start, self._lessons, self._has_time_to_look)
        before, figures = self._measuring.before, self._measuring.measure(self._network)
        learned = self._measuring.learned_accuracy
        overfits = overfitting(before, figures, learned) if before and figures else ""
        learned_model = checkpoint_of(self._network, checkpoint)
        return LearningResult(learned_model, self._strokes, before, figures, overfits, notice)

    @property
    def _strokes(self) -> int:
        return learned_strokes(self._lessons)

    @property
    def _has_few(self) -> bool:
        return self._strokes <= _FEW

    def _weights(self) -> list[nn.Parameter]:
        """Return the weights that learn; the others get no gradients."""
        if not self._has_few:
            return list(self._network.parameters())
        self._network.requires_grad_(False)
        for layer in self._network.late_layers:
            layer.requires_grad_(True)
        return [weight for weight in self._network.parameters() if weight.requires_grad]

    @property
    def _time_to_end(self) -> float:
        """Seconds to keep for measuring twice and for `shrink`."""
        shrinking = max(_SHRINKING * self._options.seconds, least_seconds(self._lessons))
        return 2 * self._measuring.seconds + shrinking

    def _has_time_to_look(self, seconds: float) -> bool:
        """Return whether `shrink` may look on; also where the user ended learning."""
        return seconds + self._measuring.seconds < self._clock.left

    def _share(self, step: int, began: float) -> float:
        """Return how much of the run is over: of its steps, or of its time if that is short."""
        by_steps = step / self._options.steps
        by_time = (self._clock.share - began) / max(1e-9, 1 - began)
        # Not their maximum: where the steps count, learning again gives the same.
        return by_time if by_time > by_steps + 0.05 else by_steps

    def _view(self, step: int, share: float) -> Views:
        """Return what a step learns from: the images in turn."""
        lesson = self._lessons[step % len(self._lessons)]
        if self._has_few or (share > _WHOLE and step // len(self._lessons) % 2):
            return whole_view(lesson, self._generator)
        config = self._network.config
        return views_of(lesson, self._network.output_stride, config.window, self._generator)

    def _keep_if_best(self) -> float | None:
        """Measure the model, keep it if it is the best so far, return its held-out accuracy."""
        weights = checkpoint_weights(self._network)
        if not all(value.isfinite().all() for value in weights.values()):
            raise InputError(_FAILED)
        figures = self._measuring.measure(self._network)
        score = -float(np.mean(self._losses[-2 * len(self._lessons) :] or [math.inf]))
        if figures is not None and self._measuring.is_telling:
            score = figures.pixel_accuracy
        if score >= self._best_score:
            self._best_score, self._best = score, weights
        return None if figures is None else figures.pixel_accuracy

    def _is_learned(self) -> bool:
        each_once = self._losses[-len(self._lessons) :]
        return len(each_once) == len(self._lessons) and max(each_once) < self._options.enough


@torch.no_grad()
def _lessons(
    preparation: Preparation, corrected: Iterable[CorrectedImage], clock: _Clock
) -> tuple[list[Lesson], str]:
    """Prepare the images that have corrections; say which there was no time for."""
    short = ""
    for sample in corrected:
        if clock.is_stopped and len(preparation):
            break
        is_late = clock.share > _PREPARING and len(preparation) > 0
        if is_late and (sample.corrections != IGNORE_INDEX).any():
            # How many more there are is not counted: to read them takes time, too.
            images = "image" if len(preparation) == 1 else "images"
            sufficed = f"The time sufficed for {len(preparation)} corrected {images} only"
            short = f"{sufficed}; allow more seconds."
            break
        preparation.add(sample)
    if not len(preparation):
        raise InputError("There is nothing to learn from: paint a correction first.")
    return preparation.lessons(), short


def _step(
    network: LabelingNetwork,
    views: Views,
    labels: OutputLabels,
    optimizer: torch.optim.Optimizer,
    options: LearningOptions,
) -> float:
    """Learn from views of one image and return the loss on its corrections."""
    try:
        # In evaluation mode: no dropout, the network learns as it predicts.
        logits = labels.logits(network(views.images_B3HW))
    except NotFiniteError:
        return math.nan
    shares, area = class_shares(views.labels_BHW, len(labels), network.output_stride)
    reach = shares.shape[2:]
    seen = logits[:, :, : reach[0], : reach[1]]
    loss = soft_cross_entropy(seen, shares, balanced_weights(shares, area))
    kept = soft_cross_entropy(logits, views.before_BKhw, views.kept_Bhw)
    optimizer.zero_grad()
    (loss + options.keep * kept).backward()
    if not nn.utils.clip_grad_norm_(network.parameters(), 1.0).isfinite():
        return math.nan
    optimizer.step()
    return loss.item()


def _cycle(share: float) -> float:
    """Return the learning rate at a share of the run: a short rise, then half a cosine."""
    return min(1.0, 0.3 + share / 0.03) * (0.55 + 0.45 * math.cos(math.pi * min(1.0, share)))
