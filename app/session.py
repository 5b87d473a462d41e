"""The labeling session: joins project, project file and model; the only mediator."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.document.document import ImageDocument
from app.document.label_map import LabelMap
from app.document.project import Project
from app.document.stroke import Box, Stroke
from app.inference.messages import (
    CorrectedFile,
    GateRequest,
    LearnRequest,
    LoadRequest,
    ModelInfo,
    Prediction,
    PredictRequest,
)
from app.inference.model_client import ModelClient
from app.storage.disk_worker import DiskWorker
from app.storage.project_file import ProjectFile, project_path_for
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.images import find_images
from mdlstm_core.errors import InputError

_log = logging.getLogger(__name__)

BASE_MODEL = "scene"
_RETRY_MS = 5000


class LabelingSession(QObject):
    """What the user works on, and the model that works along.

    Signals:
        document_changed(ImageDocument | None): another image is shown.
        image_failed(Path, str): an image cannot be opened, and why.
        model_changed(ModelInfo): another model serves.
        prediction_changed: the model said something new of the image shown.
        gate_shown(GateAnswer): a gate map that was asked for.
        learning_changed(bool): learning began or ended.
        progressed(Progress): a step of learning is done.
        said(str): something the user may want to know.
        warned(str): something went wrong, and what to do.
    """

    document_changed = Signal(object)
    image_failed = Signal(object, str)
    model_changed = Signal(object)
    prediction_changed = Signal()
    gate_shown = Signal(object)
    learning_changed = Signal(bool)
    progressed = Signal(object)
    said = Signal(str)
    warned = Signal(str)

    def __init__(self, base_model: str | Path = BASE_MODEL, device: str = "auto") -> None:
        super().__init__()
        self.project = Project()
        self.document: ImageDocument | None = None
        self.model: ModelInfo | None = None
        self._base_model = base_model
        self._device = device
        self._wanted: Path | None = None
        self._file: ProjectFile | None = None
        self._unsaved: dict[Path, Box] = {}
        self._retry = QTimer(self)
        self._retry.setInterval(_RETRY_MS)
        self._disk = DiskWorker()
        self._client = ModelClient()
        self._connect()

    def _connect(self) -> None:
        self._retry.timeout.connect(self._store_unsaved)
        self.project.corrections_changed.connect(self._on_corrections_changed)
        self._disk.loaded.connect(self._on_loaded)
        self._disk.load_failed.connect(self._on_load_failed)
        self._disk.exported.connect(self._on_exported)
        self._disk.export_failed.connect(self.warned)
        self._client.model_loaded.connect(self._on_model_loaded)
        self._client.predicted.connect(self._on_predicted)
        self._client.gate_shown.connect(self.gate_shown)
        self._client.failed.connect(self.warned)
        self._client.progressed.connect(self.progressed)
        self._client.learned.connect(self._on_learned)
        self._client.learning_failed.connect(self._on_learning_failed)

    @property
    def project_path(self) -> Path | None:
        """Where the strokes are stored, None before an image was opened."""
        return self._file.path if self._file else None

    @property
    def is_learning(self) -> bool:
        """Whether learning is under way."""
        return self._client.is_learning

    @property
    def has_unsaved(self) -> bool:
        """Whether strokes could not be stored and are only in memory."""
        return bool(self._unsaved)

    def start_model(self) -> None:
        """Load the model in its thread: the project's own, or the one to start from."""
        learned = None
        if self._file:
            try:
                learned = self._file.load_model()
            except InputError as error:
                self.warned.emit(str(error))
        self._client.send(LoadRequest(learned or self._base_model, self._device))

    def open_paths(self, paths: list[Path]) -> None:
        """Open images, folders of images, or a project file, and show the first image.

        Images of another folder open that folder's project: what was painted before is
        stored already.
        """
        try:
            given = [path.absolute() for path in paths]
            projects = [path for path in given if path.suffix == ".mdlp"]
            images = find_images([path for path in given if path not in projects])
            if not projects and not images:
                return
            target = projects[0] if projects else project_path_for(images[0])
            if projects and not target.is_file():
                raise InputError(f"There is no project {target}.")
            self._open_project(target)
            labeled = self._file.images() if self._file else []
        except InputError as error:
            self.warned.emit(str(error))
            return
        self.project.add_images(images)
        self.project.add_images([path for path in labeled if path.is_file()])
        self.open_image(next(iter(images or self.project.images), None))

    def open_image(self, image: Path | None) -> None:
        """Show an image of the project as soon as it is read."""
        if image is None:
            return
        self._wanted = image
        self._disk.load(image)

    def step_image(self, step: int) -> None:
        """Show the image `step` places further in the list, if there is one."""
        current = self._wanted
        if current is None or current not in self.project.images:
            return
        index = self.project.images.index(current) + step
        if 0 <= index < len(self.project.images):
            self.open_image(self.project.images[index])

    def paint(self, stroke: Stroke) -> None:
        """Paint a stroke on the image shown; it is stored when this returns."""
        if self.model is None:
            self.warned.emit("What the classes are is known when the model is loaded; wait for it.")
        elif self.document is not None:
            self.project.paint(self.document.path, stroke)

    def undo(self) -> None:
        """Take back the last stroke; if it was on another image, that image is shown."""
        self._show_before(self.project.image_of_undo())
        self.project.undo_stack.undo()

    def redo(self) -> None:
        """Make the last stroke taken back again; its image is shown."""
        self._show_before(self.project.image_of_redo())
        self.project.undo_stack.redo()

    def show_gate(self, layer: int, direction: int, gate: str, unit: int | None) -> None:
        """Ask for a gate map of the image shown."""
        if self.document is not None and self.model is not None:
            document = self.document
            self._client.send(
                GateRequest(document.path, document.image, layer, direction, gate, unit)
            )

    def learn(self, seconds: float) -> None:
        """Learn from all corrections of the project, from the model it started with."""
        try:
            corrected = self._corrected_files()
        except InputError as error:
            self.warned.emit(str(error))
            return
        if not corrected:
            self.warned.emit("There is nothing to learn from yet: paint a correction first.")
            return
        request = LearnRequest(self._base_model, corrected, seconds, self._device)
        self._client.learn(request)
        self.learning_changed.emit(True)

    def stop_learning(self) -> None:
        """End learning soon; what was learned is kept."""
        self._client.stop_learning()

    def export_mask(self, path: Path) -> None:
        """Write what is shown of the image as an indexed PNG, off the window's thread."""
        if self.document is not None and self.model is not None:
            self._disk.export_mask(path, self.document.displayed.copy(), self.model.classes)

    def save(self) -> None:
        """Say where the work is stored; strokes that could not be stored are tried again."""
        self._store_unsaved()
        if self._file is None:
            self.said.emit("There is nothing to save yet.")
        elif not self._unsaved:
            self.said.emit(f"Everything is saved in {self._file.path}.")

    def close(self) -> None:
        """Store what is not stored yet and end the threads; `has_unsaved` tells beforehand."""
        self._retry.stop()
        self._store_unsaved()
        self._client.close()
        self._disk.close()
        if self._file:
            self._file.close()

    def _open_project(self, path: Path) -> None:
        """Make `path` the project file, unless it is already."""
        if self._file and self._file.path == path:
            return
        self._store_unsaved()
        if self._unsaved:
            raise InputError(
                "Another project cannot be opened while strokes of this one are not stored; "
                "make room on its disk."
            )
        opened = ProjectFile(path)
        if self._file:
            self._file.close()
        self._file = opened
        self.project.clear()
        self.document = None
        self.document_changed.emit(None)
        if self.model is not None:
            self.start_model()

    def _show_before(self, image: Path | None) -> None:
        if image is not None and image != self._wanted:
            self.open_image(image)

    def _corrected_files(self) -> tuple[CorrectedFile, ...]:
        """Return an immutable copy of every image's corrections that has any."""
        images = self.project.images
        if self._file:
            images = [*images, *(i for i in self._file.images() if i not in images)]
        found = []
        for image in images:
            in_memory = self.project.corrections(image)
            if in_memory is not None:
                values: NDArray[np.uint8] | None = in_memory.snapshot()
            else:
                values = self._file.load_corrections(image) if self._file else None
            if values is not None and (values != IGNORE_INDEX).any() and image.is_file():
                found.append(CorrectedFile(image, values))
        return tuple(found)

    @Slot(object, object)
    def _on_loaded(self, path: Path, image_HW3: NDArray[np.uint8]) -> None:
        if path != self._wanted:
            return
        try:
            corrections = self._corrections_of(path, image_HW3)
        except InputError as error:
            self._on_load_failed(path, str(error))
            return
        self.document = ImageDocument(path, image_HW3, corrections)
        self.document_changed.emit(self.document)
        self._predict()

    def _corrections_of(self, path: Path, image_HW3: NDArray[np.uint8]) -> LabelMap:
        """Return an image's corrections from memory, else from the project file."""
        height, width = image_HW3.shape[:2]
        corrections = self.project.corrections(path)
        if corrections is None:
            stored = self._file.load_corrections(path) if self._file else None
            corrections = LabelMap.empty(height, width) if stored is None else LabelMap(stored)
        labeled = corrections.values.shape
        if labeled != (height, width):
            raise InputError(
                f"{path} is {width}×{height} pixels, but was labeled at "
                f"{labeled[1]}×{labeled[0]}; put the image back that was labeled."
            )
        self.project.set_corrections(path, corrections)
        return corrections

    @Slot(object, str)
    def _on_load_failed(self, path: Path, reason: str) -> None:
        self.image_failed.emit(path, reason)
        self.warned.emit(reason)

    def _predict(self) -> None:
        if self.document is not None and self.model is not None:
            self._client.send(PredictRequest(self.document.path, self.document.image))

    @Slot(object)
    def _on_model_loaded(self, info: ModelInfo) -> None:
        try:
            self._check_classes(info.classes)
        except InputError as error:
            self.model = None
            self.warned.emit(str(error))
            return
        self.model = info
        self.model_changed.emit(info)
        self._predict()

    def _check_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Keep a model from a project whose labels stand for other classes.

        Raises:
            InputError: the project's classes are not the model's.
        """
        if self._file is None:
            return
        stored = [c.name for c in self._file.classes()]
        given = [c.name for c in classes]
        if not stored:
            self._file.save_classes(classes)
        elif stored != given:
            raise InputError(
                f"The project {self._file.path} was labeled with the classes {', '.join(stored)}, "
                f"the model has {', '.join(given)}; start with the model of the project."
            )

    @Slot(object)
    def _on_predicted(self, prediction: Prediction) -> None:
        if self.document is not None and prediction.image_path == self.document.path:
            self.document.set_prediction(prediction.label_map, prediction.confidence)
            self.prediction_changed.emit()

    @Slot(object)
    def _on_learned(self, checkpoint: bytes) -> None:
        self.learning_changed.emit(False)
        self._client.send(LoadRequest(checkpoint, self._device))
        try:
            if self._file:
                self._file.save_model(checkpoint)
        except InputError as error:
            self.warned.emit(f"The new model serves, but is not stored: {error}")
        else:
            self.said.emit("The model has learned your corrections.")

    @Slot(str)
    def _on_learning_failed(self, reason: str) -> None:
        self.learning_changed.emit(False)
        self.warned.emit(reason)

    @Slot(object)
    def _on_exported(self, path: Path) -> None:
        self.said.emit(f"Exported {path}.")

    @Slot(object, object)
    def _on_corrections_changed(self, image: Path, box: Box) -> None:
        self._unsaved[image] = box.united(self._unsaved[image]) if image in self._unsaved else box
        self._store_unsaved()

    @Slot()
    def _store_unsaved(self) -> None:
        """Write every stroke that is not on disk yet; on failure keep it and try again."""
        had_failed = self._retry.isActive()
        for image, box in list(self._unsaved.items()):
            corrections = self.project.corrections(image)
            if corrections is None or self._file is None:
                continue
            try:
                self._file.save_corrections(image, corrections.values, box)
            except InputError as error:
                if not had_failed:
                    self.warned.emit(f"Strokes are kept in memory only: {error}")
                self._retry.start()
                return
            del self._unsaved[image]
        if had_failed:
            self._retry.stop()
            self.said.emit("All strokes are stored again.")
