"""What the model says of the image shown: as it is stored, or as it follows the strokes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal, Slot

from app.document.document import ImageDocument
from app.document.steps import HistoryChange, Prune
from app.inference.messages import (
    CatchUpRequest,
    LiveFile,
    LiveStrokes,
    ModelInfo,
    Prediction,
    PredictRequest,
)
from app.inference.model_client import ModelClient
from app.session.stored_project import StoredProject
from app.storage.fingerprint import check_file
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.data.display_window import DisplayWindow
from mdlstm_core.data.images import read_image

_MOST_IMAGES = 20
"""Images besides the one shown whose strokes the model follows: up to 75 MB, read in 4 s.

Of more, few cells of each would count, those of the image shown among them.
"""


class Labeler(QObject):
    """Has the image shown labeled, and anew after each stroke while that is wanted.

    Attributes:
        is_live: whether the model follows the strokes. Off at first: who corrects a label map
            expects a stroke to change what it covers, and nothing else unasked.
        left_out: number of other images whose strokes it did not follow when it was asked last.

    Signals:
        answered: the model said something new of the image shown.
        live_changed(bool): the model follows the strokes from now on, or no more.
        left_out_changed: the strokes of more images, or of fewer, are followed.
        strokes_read(int, int): how many of the other images are read, and of how many. Labels
            follow when all are.
    """

    answered = Signal()
    live_changed = Signal(bool)
    left_out_changed = Signal()
    strokes_read = Signal(int, int)

    def __init__(self, stored: StoredProject, client: ModelClient) -> None:
        super().__init__()
        self.is_live, self.left_out = False, 0
        self._stored, self._client = stored, client
        self._document: ImageDocument | None = None
        self._model: ModelInfo | None = None
        self._prediction: Prediction | None = None
        self._names: tuple[str, ...] = ()
        self._seen: dict[Path, DisplayWindow | None] = {}
        self._openings = 0
        client.predicted.connect(self._on_predicted)
        client.fell_behind.connect(self._catch_up)
        client.outdated.connect(self._ask)
        stored.project.changed.connect(self._on_changed)
        stored.project.classes_changed.connect(self._show)

    def set_document(self, document: ImageDocument | None) -> None:
        """Turn to another image."""
        self._document, self._prediction = document, None
        if document is not None:
            self._seen.pop(document.path, None)
            self._seen[document.path] = document.picture.window if document.picture else None
            self._ask()

    def set_model(self, model: ModelInfo | None) -> None:
        """Have another model say what is shown; None if another project is open."""
        self._model = model
        if model is None:
            self._seen.clear()
            self._openings += 1
        self._ask()

    def set_live(self, on: bool) -> None:
        """Let the model follow the strokes, or show its own answer again."""
        if on != self.is_live:
            self.is_live = on
            self.live_changed.emit(on)
            self._ask()

    @Slot()
    def _ask(self) -> None:
        self._send(PredictRequest)

    @Slot(int)
    def _catch_up(self, unread: int) -> None:
        strokes = self._send(CatchUpRequest) if self.is_live else None
        if strokes is not None:
            images = len(strokes.others)
            # What was counted may have been asked for of another image.
            self.strokes_read.emit(max(0, images - unread), images)

    def _send(self, kind: type[PredictRequest]) -> LiveStrokes | None:
        """Ask for labels of the image shown; return the strokes that they are to follow."""
        document = self._document
        if document is None or self._model is None:
            return None
        strokes = self.strokes_on(document) if self.is_live else None
        if strokes is not None and strokes.left_out != self.left_out:
            self.left_out = strokes.left_out
            self.left_out_changed.emit()
        self._client.send(kind(document.path, document.image, strokes))
        return strokes

    def strokes_on(self, shown: ImageDocument) -> LiveStrokes:
        """Return what a person painted on this image and, as far as there is room, on others.

        Those that were shown last come first, those that were not shown yet come last.
        """
        painted, files = self._stored.painted, self._stored.files
        unseen = [p for p in painted if p not in self._seen and p not in files.missing]
        latest = [*unseen, *(p for p in self._seen if p in painted and p != shown.path)][::-1]
        others = [p for p in latest if p not in files.refused][:_MOST_IMAGES]
        left_out = painted.keys() - {shown.path, *others} - files.refused - files.missing.keys()
        any_painted = bool(others) or not shown.corrections.is_empty
        return LiveStrokes(
            self._live_file(shown.path, lambda: shown.image, shown.corrections.frozen()),
            tuple(self._live_file(p, self._image_of(p), self._labels_of(p)) for p in others),
            self._stored.classes_of_models,
            any_painted,
            len(left_out),
        )

    def other_class(self, x: int, y: int, model_class: str) -> str:
        """Return the name of the class that a pixel is drawn in.

        Empty if the model's class of that name stands for it, or it has none.
        """
        found = self._document.pixel(x, y) if self._document else None
        (label,) = self._stored.classes_of_models.labels_of([model_class])
        if found is None or found.label in (IGNORE_INDEX, label):
            return ""
        name = self._stored.project.classes.by_label()[found.label].name
        return f"{name} (yours)" if found.by_person else name

    def _live_file(
        self,
        path: Path,
        image: Callable[[], NDArray[np.uint8]],
        corrections: Callable[[], NDArray[np.uint8]],
    ) -> LiveFile:
        name = path, self._stored.files.fingerprint(path), self._window_of(path)
        revision = self._openings, *self._stored.project.revision(path)
        return LiveFile(name, revision, image, corrections)

    def _window_of(self, image: Path) -> DisplayWindow | None:
        return self._seen.get(image, self._stored.windows.get(image))

    def _image_of(self, image: Path) -> Callable[[], NDArray[np.uint8]]:
        """Return a call that reads an image, if it is still the one that was labeled."""
        known, window = self._stored.files.known(image), self._window_of(image)

        def read() -> NDArray[np.uint8]:
            check_file(image, known)
            return read_image(image, window)

        return read

    def _labels_of(self, image: Path) -> Callable[[], NDArray[np.uint8]]:
        in_memory = self._stored.project.corrections(image)
        if in_memory is not None:
            return in_memory.frozen()
        return self._stored.labels_call(image)

    @Slot(object)
    def _on_changed(self, change: HistoryChange) -> None:
        if self.is_live and not isinstance(change, Prune):
            self._ask()

    @Slot(object)
    def _on_predicted(self, prediction: Prediction) -> None:
        document, model = self._document, self._model
        if document is None or model is None or prediction.image_path != document.path:
            return
        if prediction.is_live == self.is_live:
            self._prediction = prediction
            self._names = tuple(c.name for c in model.classes)
            self._show()
            self.answered.emit()

    @Slot()
    def _show(self) -> None:
        """Show what the model said last, with the classes as they are now."""
        document, said = self._document, self._prediction
        if document is None or said is None:
            return
        if said.is_live:
            label_map = self._stored.project.classes.current(said.label_map)
        else:
            label_map = self._with_labels(said.label_map)
        document.set_prediction(label_map, said.confidence, said.uncertainty, said.entropy)

    def _with_labels(self, label_map_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a model's label map with the project's labels."""
        labels = self._stored.classes_of_models.labels_of(self._names)
        if labels == tuple(range(len(labels))):
            return label_map_HW
        table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
        table[: len(labels)] = labels
        return table[label_map_HW]
