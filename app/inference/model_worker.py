"""The objects that live in the model's threads."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import QObject, Signal, Slot

from app.garbage import long_lived
from app.inference.insight_handler import InsightHandler
from app.inference.insight_messages import InsightAnswer, InsightRequest
from app.inference.live_follower import LiveFollower
from app.inference.loading import load_model
from app.inference.messages import (
    Behind,
    CatchUpRequest,
    Improved,
    Learned,
    LearnRequest,
    LoadRequest,
    ModelInfo,
    NotLoaded,
    Prediction,
    PredictRequest,
    Progress,
)
from mdlstm_core.data.images import read_image
from mdlstm_core.errors import InputError
from mdlstm_core.freed_memory import give_back
from mdlstm_core.insight.look import explained_look

if TYPE_CHECKING:
    from app.document.project_classes import Outputs
    from mdlstm_core.checkpoint import Checkpoint
    from mdlstm_core.learning.fine_tuning import LearningProgress
    from mdlstm_core.learning.lessons import CorrectedImage
    from mdlstm_core.predictor import Predictor

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

CANCELLED = "Learning was cancelled; the model before stays."

_LEAST_SECONDS = 0.01
"""To learn in, where loading the model took longer than the user gave: a single look."""


class ModelWorker(QObject):
    """Answers requests with the model that serves; one answer for each request.

    Signals:
        answered(object): a `ModelInfo`, `NotLoaded`, `Prediction`, `Behind` or `InsightAnswer`.
        failed(str): why the request could not be answered, in one sentence.
    """

    answered = Signal(object)
    failed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._predictor: Predictor | None = None
        self._served_by = ""
        self._follower = LiveFollower()
        self._insight = InsightHandler()

    @Slot(object)
    def handle(self, request: LoadRequest | PredictRequest | InsightRequest) -> None:
        """Answer one request."""
        answer = guarded(self.failed.emit, lambda: self._answer(request))
        if answer is not None:
            self.answered.emit(answer)

    @Slot()
    def finish(self) -> None:
        """End the thread, after the requests that came before."""
        self.thread().quit()

    def kernel_is_ready(self) -> bool | None:
        """Whether another kernel than the provisional one serves now; None if that is open.

        Any thread may ask, at any time.
        """
        from mdlstm_core.kernels import select_kernel

        if self._predictor is None:
            return None
        choice = select_kernel(device=self._predictor.device.device)
        return None if choice.is_provisional else choice.name != self._served_by

    def _answer(
        self, request: LoadRequest | PredictRequest | InsightRequest
    ) -> ModelInfo | NotLoaded | Prediction | Behind | InsightAnswer:
        if isinstance(request, LoadRequest):
            return self._load(request)
        if not isinstance(request, PredictRequest):
            return self._insight.answer(request, self._predictor)
        if self._predictor is None:
            raise InputError("No model is loaded yet.")
        return self._predict(request, self._predictor)

    def _load(self, request: LoadRequest) -> ModelInfo | NotLoaded:
        with long_lived():
            from mdlstm_core.predictor import Predictor

        warning, asked = "", request.model
        try:
            source = asked() if callable(asked) else asked
            predictor = Predictor(load_model(source, request.pixels), request.device)
        except (InputError, MemoryError) as error:
            if request.fallback is None:
                _log.warning("a model that was asked for", exc_info=True)
                short = "There is not enough memory for this model."
                return NotLoaded(asked, str(error) if isinstance(error, InputError) else short)
            if isinstance(error, MemoryError):
                raise
            warning, source = f"{error} Its base model serves.", request.fallback
            predictor = Predictor(load_model(source, request.pixels), request.device)
        self._predictor = predictor
        self._follower.use(predictor, request.base)
        return ModelInfo(
            preset=predictor.checkpoint.config.preset,
            classes=predictor.classes,
            layer_units=predictor.layer_units,
            look=explained_look(predictor.checkpoint.config),
            pixels=predictor.checkpoint.config.working_pixels,
            device=str(predictor.device.device),
            reason=predictor.device.reason,
            warning=warning,
            notice=predictor.notice,
            source=source,
        )

    def _predict(self, request: PredictRequest, predictor: Predictor) -> Prediction | Behind:
        from mdlstm_core.kernels import select_kernel

        strokes, kernel = request.strokes, select_kernel(device=predictor.device.device)
        if strokes is None or kernel.name != self._served_by:
            self._follower.forget()  # its features take memory, or are the other kernel's
        self._served_by = kernel.name
        if strokes is None:
            with long_lived():  # the first time, more is imported
                found = predictor.predict(request.image)
        else:
            followed = self._follower.follow(strokes, catch_up=isinstance(request, CatchUpRequest))
            if isinstance(followed, int):
                return Behind(followed)
            found = followed
        for array in (found.label_map, found.confidence, found.uncertainty, found.entropy):
            array.setflags(write=False)
        return Prediction(
            request.image_path,
            found.label_map,
            found.confidence,
            found.uncertainty,
            found.entropy,
            found.notice,
            is_live=strokes is not None,
            is_provisional=kernel.is_provisional,
        )


class LearningWorker(QObject):
    """Learns from corrections, in a thread of its own, so that the model goes on serving.

    Signals:
        progressed(Progress): a step is done.
        improved(Improved): learning goes on, but has something better to show already.
        learned(Learned): the new model.
        failed(str): why nothing was learned, in one sentence.
    """

    progressed = Signal(object)
    improved = Signal(object)
    learned = Signal(object)
    failed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        # An event and not a slot: this thread's event loop is busy while it learns.
        self.stop = threading.Event()
        self.cancel = threading.Event()

    @Slot()
    def prepare(self) -> None:
        """Import what learning needs, before anyone waits for it.

        torch's optimisers bring a thousand modules, when the first of them is made: seconds.
        """
        with long_lived():
            import torch

            import mdlstm_core.learning.fine_tuning  # noqa: F401

            torch.optim.SGD([torch.zeros(1, requires_grad=True)])

    @Slot(object)
    def learn(self, request: LearnRequest) -> None:
        """Learn; ends early with what was learned after `stop`, with nothing after `cancel`."""
        learned = guarded(self.failed.emit, lambda: self._learn(request))
        give_back()
        if learned is not None:
            self.learned.emit(learned)

    def _learn(self, request: LearnRequest) -> Learned:
        from mdlstm_core.checkpoint import checkpoint_to_bytes, with_outputs
        from mdlstm_core.learning.fine_tuning import LearningOptions
        from mdlstm_core.predictor import Predictor

        begin = time.monotonic()
        base = load_model(request.model())
        outputs = request.classes.outputs(base.classes)
        looking = base.looking_at(request.pixels)
        grown = with_outputs(looking, outputs.sources, outputs.classes)
        predictor = Predictor(grown, request.device)
        reading = _Reading(request, outputs, self._check_cancelled)

        def report(progress: LearningProgress) -> None:
            self._check_cancelled()
            self.progressed.emit(_progress(progress, predictor.notice))

        def show(checkpoint: Checkpoint) -> None:
            self._check_cancelled()
            content = checkpoint_to_bytes(checkpoint)
            self.improved.emit(Improved(request.project, content, outputs.names))

        loaded = time.monotonic()
        stored_base = checkpoint_to_bytes(base)
        # The limit holds for all of it; what was learned is stored as long as what it began with.
        spent = 2 * time.monotonic() - loaded - begin
        options = LearningOptions(seconds=max(_LEAST_SECONDS, request.seconds - spent))
        with _memory_to_learn():
            result = predictor.learn(
                reading.images, options, report, self.stop, show, outputs.labels
            )
        self._check_cancelled()
        return Learned(
            request.project,
            stored_base,
            checkpoint_to_bytes(result.checkpoint),
            outputs.names,
            result.strokes,
            reading.digest,
            result.before,
            result.figures,
            result.overfits,
            " ".join(filter(None, (reading.left_out, result.notice))),
            self.stop.is_set(),
        )

    def _check_cancelled(self) -> None:
        if self.cancel.is_set():
            raise InputError(CANCELLED)


def _progress(found: LearningProgress, notice: str) -> Progress:
    """Return a step of learning as the window takes it, with a notice if it has none."""
    return Progress(
        found.step, found.steps, found.loss, found.notice or notice, found.seconds, found.held_out
    )


@contextmanager
def _memory_to_learn() -> Iterator[None]:
    """Say what it means for learning that memory is short.

    Raises:
        InputError: in place of `MemoryError`.
    """
    try:
        yield
    except MemoryError as error:
        _log.exception("out of memory while learning")
        raise InputError(
            "There is not enough memory to learn; close other programs and try again. "
            "The model before stays."
        ) from error


class _Reading:
    """Reads the corrected images of a request; one that cannot be read is left out."""

    def __init__(self, request: LearnRequest, outputs: Outputs, check: Callable[[], None]) -> None:
        self._missing: list[InputError] = []
        self._request, self._outputs, self._check = request, outputs, check
        self._digest = hashlib.sha256()

    @property
    def left_out(self) -> str:
        """Which images could not be read, in a sentence; empty if all could."""
        if not self._missing:
            return ""
        others = f" So were {len(self._missing) - 1} more." if len(self._missing) > 1 else ""
        return f"An image was left out of learning: {self._missing[0]}{others}"

    @property
    def digest(self) -> str:
        """The hash of all corrections that were read, and of their images' names."""
        return self._digest.hexdigest()

    def images(self) -> Iterator[CorrectedImage]:
        """Yield the images, one after the other.

        Raises:
            InputError: none of them can be read.
        """
        from mdlstm_core.learning.lessons import CorrectedImage

        self._digest = hashlib.sha256()
        self._missing = []
        for file in self._request.corrected:
            self._check()
            try:
                file.check()
                image = read_image(file.image_path, file.window)
                corrections = file.corrections()
                if image.shape[:2] != corrections.shape:
                    raise InputError(f"{file.image_path} has another size than its corrections.")
            except InputError as error:
                _log.warning("left out of learning", exc_info=True)
                self._missing.append(error)
                continue
            self._digest.update(file.image_path.name.encode())
            self._digest.update(corrections.tobytes())
            yield CorrectedImage(image, self._outputs.indices_of(corrections), file.image_path.name)
        if len(self._missing) == len(self._request.corrected):
            raise self._missing[0]


def guarded(fail: Callable[[str], None], work: Callable[[], _T]) -> _T | None:
    """Do some work; on an error say one sentence, the whole of it in the log."""
    try:
        return work()
    except InputError as error:
        fail(str(error))
    except MemoryError:
        _log.exception("out of memory")
        fail("There is not enough memory for this image; close other programs and try again.")
    except Exception as error:
        _log.exception("the model's thread")
        fail(f"The model could not answer ({type(error).__name__}); the log has the details.")
    return None
