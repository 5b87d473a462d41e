"""The façade of a trained model: numpy in, numpy out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.config import LabelClass
from mdlstm_core.devices import DeviceChoice, select_device
from mdlstm_core.insight.context import ContextMap, gradient, occlusion
from mdlstm_core.insight.contributions import Contributions, contributions
from mdlstm_core.insight.gates import GateMap, gate_map
from mdlstm_core.insight.health import DirectionHealth, health
from mdlstm_core.insight.queries import ContextQuery, GateQuery, Pixel
from mdlstm_core.insight.recording import Recording, record
from mdlstm_core.learning.fine_tuning import (
    LearningOptions,
    LearningProgress,
    LearningResult,
    fine_tune,
)
from mdlstm_core.learning.lessons import CorrectedImage
from mdlstm_core.memory import Attempt, first_that_fits
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.prediction import Prediction, check_image, predict

__all__ = ["Predictor"]


class Predictor:
    """A model on a device.

    Each method that takes an image raises `InputError` where it is none (see `check_image`).

    Args:
        checkpoint: the trained model.
        device: "auto", "cpu" or "cuda".

    Attributes:
        checkpoint: the trained model.
        device: the one that is used, and why.
        network: the model on that device.
        notice: that the GPU had no memory left for the model, for the user; empty if it had.

    Raises:
        InputError: the device cannot be used, or the weights do not fit.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = "auto") -> None:
        self.checkpoint = checkpoint
        self.device: DeviceChoice = select_device(device)

        def place(attempt: Attempt) -> tuple[Attempt, LabelingNetwork]:
            return attempt, checkpoint.network().to(attempt.device)

        placed, self.network = first_that_fits(self.device.device, place, smaller=None)
        self.notice = placed.notice
        if self.notice:
            self.device = DeviceChoice(placed.device, "the GPU has too little free memory")

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The model's classes, in the order of the label map's indices."""
        return self.checkpoint.classes

    @property
    def layer_units(self) -> tuple[int, ...]:
        """Hidden units a direction of each 2D-LSTM layer."""
        return self.checkpoint.config.lstm_units

    def predict(self, image_HW3: NDArray[np.uint8], *, exact: bool = False) -> Prediction:
        """Label every pixel of an RGB image H×W×3, 0 to 255, of any size.

        Args:
            image_HW3: the image.
            exact: never take a coarser look, even if the GPU's memory does not suffice.

        Raises:
            InputError: the weights give no finite numbers.
            MemoryError: the computer's own memory does not suffice.
        """
        check_image(image_HW3)
        return predict(self.network, image_HW3, exact=exact)

    def gate_map(self, image_HW3: NDArray[np.uint8], query: GateQuery) -> GateMap:
        """Return one gate of one layer and direction as a map over the image.

        Raises:
            InputError: layer, direction, gate or unit is out of range, or see `record`.
            MemoryError: the computer's own memory does not suffice.
        """
        check_image(image_HW3)
        return gate_map(record(self.network, image_HW3, [query.layer], logits=False), query)

    def record(
        self,
        image_HW3: NDArray[np.uint8],
        layers: Sequence[int] | None = None,
        *,
        logits: bool = True,
    ) -> Recording:
        """Run the model over an image once, so that many questions are answered at once.

        `insight.gates.gate_map`, `insight.contributions.contributions` and
        `insight.health.health` take what this returns.

        Args:
            image_HW3: the image, RGB, 0 to 255.
            layers: 2D-LSTM layers to look into, from 0; None for all.
            logits: also keep what `insight.contributions.contributions` needs.

        Raises:
            InputError: the model has no 2D-LSTM layers or not those, what is asked for would
                not fit into the memory, or the weights give no finite numbers.
            MemoryError: the computer's own memory does not suffice.
        """
        check_image(image_HW3)
        return record(self.network, image_HW3, layers, logits=logits)

    def contributions(self, image_HW3: NDArray[np.uint8], pixel: Pixel) -> Contributions:
        """Split each class's logit at a pixel by direction and unit of the last layer.

        Raises:
            InputError: the pixel lies outside the image, or see `record`.
            MemoryError: the computer's own memory does not suffice.
        """
        check_image(image_HW3)
        return contributions(record(self.network, image_HW3, []), pixel)

    def gradient(self, image_HW3: NDArray[np.uint8], query: ContextQuery) -> ContextMap:
        """Return how much a pixel's logit depends on each pixel of the image.

        Raises:
            InputError: pixel or class does not exist, or it would not fit into the memory.
            MemoryError: the computer's own memory does not suffice.
        """
        check_image(image_HW3)
        return gradient(self.network, image_HW3, query)

    def occlusion(
        self,
        image_HW3: NDArray[np.uint8],
        query: ContextQuery,
        on_progress: Callable[[ContextMap], None] = lambda _so_far: None,
        stop: threading.Event | None = None,
    ) -> ContextMap:
        """Return by how much a pixel's logit falls when a patch of the image is hidden.

        Args:
            image_HW3: the image.
            query: whose context, and for how long to look.
            on_progress: called with what there is so far, on the calling thread.
            stop: set it to end early.

        Raises:
            InputError: pixel or class does not exist.
            MemoryError: the computer's own memory does not suffice.
        """
        check_image(image_HW3)
        return occlusion(self.network, image_HW3, query, on_progress, stop)

    def health(self, image_HW3: NDArray[np.uint8]) -> tuple[DirectionHealth, ...]:
        """Return the saturation of the gates and the growth of the cell state on an image.

        Raises:
            InputError: see `record`.
            MemoryError: the computer's own memory does not suffice.
        """
        check_image(image_HW3)
        return health(record(self.network, image_HW3, logits=False))

    def learn(
        self,
        corrected: Callable[[], Iterable[CorrectedImage]],
        options: LearningOptions | None = None,
        on_progress: Callable[[LearningProgress], None] = lambda _progress: None,
        stop: threading.Event | None = None,
        on_improved: Callable[[Checkpoint], None] = lambda _checkpoint: None,
        labels: Sequence[int] | None = None,
    ) -> LearningResult:
        """Fine-tune a copy of the model on a person's corrections and return it.

        This predictor keeps serving its own model.

        Args:
            corrected: gives images with the labels that a person set, taken one at a time;
                called again if the GPU's memory does not suffice.
            options: how long and how strongly to learn.
            on_progress: called after each step, on the calling thread.
            stop: set it to end after the step under way; what was learned is kept.
            on_improved: called once, on the calling thread, with a model whose last layer
                fits the corrections, as soon as there is one.
            labels: of each class, of which merged classes share one: each of these is as right
                as the others. None if each class has its own.

        Raises:
            InputError: there is nothing to learn from, or the loss is not finite.
            MemoryError: the computer's own memory does not suffice.
        """
        return fine_tune(
            self.checkpoint,
            corrected,
            options or LearningOptions(),
            self.device.device,
            on_progress,
            stop or threading.Event(),
            on_improved,
            labels,
        )
