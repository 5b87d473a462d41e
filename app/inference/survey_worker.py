"""A model's look at an image that is not shown, in a thread of its own."""

from __future__ import annotations

import dataclasses
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal, Slot

from app.document.regions.uncertain import UncertainRegion, labeled_colors, uncertain_regions
from app.inference.loading import load_model
from app.inference.model_worker import guarded
from app.inference.worker_thread import WorkerThread
from mdlstm_core.config import IGNORE_INDEX

if TYPE_CHECKING:
    from mdlstm_core.predictor import Predictor

_MOST_MODELS = 3
"""Models kept in memory: the one that serves, and two that are compared."""


@dataclass(frozen=True)
class LookRequest:
    """Have a model look at an image.

    Attributes:
        key: stands for the model and how closely it looks.
        model: a shipped one's name, a file, or a checkpoint's bytes.
        image_path: the image.
        image, corrections: give immutable arrays H×W×3 and H×W (or 1×1 for none), in any
            thread.
        device: where the model is to run.
        pixels: how many of an image it is to look at (see `Checkpoint.looking_at`).
    """

    key: Hashable
    model: str | Path | bytes
    image_path: Path
    image: Callable[[], NDArray[np.uint8]]
    corrections: Callable[[], NDArray[np.uint8]]
    device: str = "auto"
    pixels: int | None = None


@dataclass(frozen=True)
class Look:
    """What a model says of an image; its label map is kept small.

    Attributes:
        key: stands for the model.
        image_path: the image.
        names: the model's classes.
        shape: height and width.
        packed: the label map, with the model's own classes.
        regions: where the model is unsure and nobody set a label, most of it first; None if
            that was not looked for.
        colors: of what a person labeled (see `labeled_colors`).
    """

    key: Hashable
    image_path: Path
    names: tuple[str, ...]
    shape: tuple[int, int]
    packed: bytes
    regions: tuple[UncertainRegion, ...] | None = None
    colors: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls,
        key: Hashable,
        image_path: Path,
        names: tuple[str, ...],
        label_map_HW: NDArray[np.uint8],
    ) -> Look:
        """Pack a label map."""
        height, width = label_map_HW.shape
        packed = zlib.compress(np.ascontiguousarray(label_map_HW).data, level=1)
        return cls(key, image_path, names, (height, width), packed)

    def label_map(self, labels: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return the label map H×W with these labels for the model's classes."""
        table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
        table[: len(labels)] = labels
        return table[np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.shape)]


class SurveyWorker(QObject):
    """Looks at one image after the other with the models that it is given.

    Signals:
        looked(Look): what was asked for.
        failed(object, str): a `LookRequest` that cannot be answered, and why.
    """

    looked = Signal(object)
    failed = Signal(object, str)

    def __init__(self) -> None:
        super().__init__()
        self._predictors: OrderedDict[Hashable, Predictor] = OrderedDict()

    @Slot(object)
    def look(self, request: LookRequest) -> None:
        """Look at an image."""
        found = guarded(
            lambda reason: self.failed.emit(request, reason), lambda: self._look(request)
        )
        if found is not None:
            self.looked.emit(found)

    def _look(self, request: LookRequest) -> Look:
        predictor = self._predictor(request)
        image = request.image()
        found = predictor.predict(image)
        corrections = request.corrections()
        if corrections.shape != found.label_map.shape:
            corrections = np.full(found.label_map.shape, IGNORE_INDEX, dtype=np.uint8)
        is_set = corrections != IGNORE_INDEX
        names = tuple(c.name for c in predictor.classes)
        return dataclasses.replace(
            Look.of(request.key, request.image_path, names, found.label_map),
            regions=uncertain_regions(found.uncertainty, is_set, image),
            colors=labeled_colors(image, corrections),
        )

    def _predictor(self, request: LookRequest) -> Predictor:
        from mdlstm_core.predictor import Predictor

        found = self._predictors.pop(request.key, None)
        if found is None:
            while len(self._predictors) >= _MOST_MODELS:
                self._predictors.popitem(last=False)
            found = Predictor(load_model(request.model, request.pixels), request.device)
        self._predictors[request.key] = found
        return found


class SurveyThread(QObject):
    """Owns the thread of a `SurveyWorker`; one request at a time is under way.

    Signals:
        looked(Look): see `SurveyWorker`.
        failed(object, str): see `SurveyWorker`.
    """

    looked = Signal(object)
    failed = Signal(object, str)
    _request = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.is_busy = self._is_closed = False
        self._thread, self._worker = WorkerThread(), SurveyWorker()
        self._worker.moveToThread(self._thread)
        self._request.connect(self._worker.look)
        self._worker.looked.connect(self._on_looked)
        self._worker.failed.connect(self._on_failed)

    def send(self, request: LookRequest) -> None:
        """Ask for a look; only while none is under way. After `close` nothing is asked."""
        assert not self.is_busy
        if self._is_closed:
            return
        if not self._thread.isRunning():
            self._thread.start(WorkerThread.Priority.LowestPriority)
        self.is_busy = True
        self._request.emit(request)

    def close(self) -> None:
        """End the thread; a look under way is waited for."""
        self._is_closed = True
        self._thread.quit()
        self._thread.wait()

    @Slot(object)
    def _on_looked(self, found: Look) -> None:
        self.is_busy = False
        self.looked.emit(found)

    @Slot(object, str)
    def _on_failed(self, request: LookRequest, reason: str) -> None:
        self.is_busy = False
        self.failed.emit(request, reason)
