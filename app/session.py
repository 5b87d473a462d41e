"""The labeling session: joins project, project file and model; the only mediator."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal, Slot

from app.document.document import ImageDocument
from app.document.label_map import LabelMap
from app.document.project import Project
from app.document.stroke import Stroke
from app.inference.messages import (
    CorrectedFile,
    GateRequest,
    Learned,
    LearnRequest,
    LoadRequest,
    ModelInfo,
    Prediction,
    PredictRequest,
)
from app.inference.model_client import ModelClient
from app.storage.disk_worker import DiskWorker
from app.storage.journal import Journal
from app.storage.project_file import ProjectFile, project_of
from mdlstm_core.config import DEFAULT_MODEL, LabelClass
from mdlstm_core.data.images import find_images
from mdlstm_core.errors import InputError


class LabelingSession(QObject):
    """What the user works on, and the model that works along.

    Signals:
        document_changed(ImageDocument | None): another image is shown.
        image_failed(Path, str): an image cannot be opened, and why.
        classes_changed(tuple[LabelClass, ...]): what can be painted; empty if unknown yet.
        model_changed(ModelInfo | None): another model serves, or none does.
        prediction_changed: the model said something new of the image shown.
        gate_shown(GateAnswer): a gate map that was asked for.
        learning_changed(bool): learning began or ended.
        progressed(Progress): a step of learning is done.
        exported(Path): a label map is on disk.
        said(str): something the user may want to know.
        warned(str): something went wrong, and what to do.
    """

    document_changed = Signal(object)
    image_failed = Signal(object, str)
    classes_changed = Signal(object)
    model_changed = Signal(object)
    prediction_changed = Signal()
    gate_shown = Signal(object)
    learning_changed = Signal(bool)
    progressed = Signal(object)
    exported = Signal(object)
    said = Signal(str)
    warned = Signal(str)

    def __init__(self, base_model: str | Path = DEFAULT_MODEL, device: str = "auto") -> None:
        super().__init__()
        self.project = Project()
        self.journal = Journal()
        self.document: ImageDocument | None = None
        self.model: ModelInfo | None = None
        self.classes: tuple[LabelClass, ...] = ()
        self._base_model = base_model
        self._device = device
        self._wanted: Path | None = None
        self._is_started = False
        self._disk = DiskWorker()
        self._client = ModelClient()
        self._connect()

    def _connect(self) -> None:
        self.journal.failed.connect(self._on_storing_failed)
        self.journal.stored.connect(self._on_stored)
        self.project.corrections_changed.connect(self._on_corrections_changed)
        self._disk.loaded.connect(self._on_loaded)
        self._disk.load_failed.connect(self._on_load_failed)
        self._disk.exported.connect(self._on_exported)
        self._disk.export_failed.connect(self.warned)
        self._client.model_loaded.connect(self._on_model_loaded)
        self._client.predicted.connect(self._on_predicted)
        self._client.gate_shown.connect(self.gate_shown)
        self._client.failed.connect(self.warned)
        self._client.noticed.connect(self.said)
        self._client.progressed.connect(self.progressed)
        self._client.learned.connect(self._on_learned)
        self._client.learning_failed.connect(self._on_learning_failed)

    @property
    def project_path(self) -> Path | None:
        """Where the strokes are stored, None before an image was opened."""
        return self.journal.file.path if self.journal.file else None

    @property
    def is_learning(self) -> bool:
        """Whether learning is under way."""
        return self._client.is_learning

    def start_model(self) -> None:
        """Load the model in its thread: the project's own, or the one to start from."""
        self._is_started = True
        learned, base = None, None
        try:
            learned, base = self._stored_model("learned"), self._stored_model("base")
        except InputError as error:
            self.warned.emit(str(error))
        fallback = base or self._base_model
        self._client.send(LoadRequest(learned or fallback, fallback, self._device))

    def open_paths(self, paths: list[Path]) -> None:
        """Open images, folders of images, or a project file, and show the first image.

        Images of another folder open that folder's project: what was painted before is
        stored already.
        """
        try:
            # Not resolve(): a link's name is the name the user knows.
            given = [Path(os.path.abspath(path)) for path in paths]
            projects = [path for path in given if path.suffix == ".mdlp"]
            images = find_images([path for path in given if path not in projects])
            if not projects and not images:
                return
            self._open_project(project_of(projects, images))
            labeled = self.journal.file.images() if self.journal.file else []
        except InputError as error:
            self.warned.emit(str(error))
            return
        self.project.add_images(images)
        self.project.add_images([path for path in labeled if path.is_file()])
        self.open_image(next(iter(images or self.project.images), None))

    def open_image(self, image: Path | None) -> None:
        """Show an image of the project as soon as it is read."""
        is_shown = self.document is not None and self.document.path == image
        if image is None or (is_shown and self._wanted == image):
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

    def paint(self, image: Path, stroke: Stroke) -> None:
        """Paint a stroke on an image that was opened; it is stored when this returns."""
        self.project.paint(image, stroke)

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
        if self.model is None or self.journal.file is None or self.is_learning:
            return
        try:
            corrected = self._corrected_files()
            base = self._stored_model("base") or self._base_model
        except InputError as error:
            self.warned.emit(str(error))
            return
        if not corrected:
            self.warned.emit("There is nothing to learn from yet: paint a correction first.")
            return
        path = self.journal.file.path
        self._client.learn(LearnRequest(path, base, corrected, seconds, self._device))
        self.learning_changed.emit(True)

    def stop_learning(self) -> None:
        """End learning soon; what was learned is kept."""
        self._client.stop_learning()

    def export_label_map(self, path: Path) -> None:
        """Write what is shown of the image as an indexed PNG, off the window's thread."""
        if path in self.project.images:
            self.warned.emit(f"{path} is one of the images; export under another name.")
        elif self.document is not None and self.document.prediction is not None:
            self._disk.export_label_map(path, self.document.displayed.copy(), self.classes)

    def save(self) -> None:
        """Say where the work is stored; strokes that could not be stored are tried again."""
        if not self.journal.store():
            self.warned.emit("The strokes still cannot be stored; make room on the disk.")
        elif self.journal.file is None:
            self.said.emit("There is nothing to save yet.")
        else:
            self.said.emit(f"Everything is saved in {self.journal.file.path}.")

    def close(self) -> None:
        """End the threads and close the files; `journal.has_unsaved` tells beforehand."""
        self._is_started = False
        self._client.close()
        self._disk.close()
        self.journal.close()

    def _open_project(self, path: Path) -> None:
        """Make `path` the project file, unless it is already.

        Raises:
            InputError: it cannot be opened, or strokes of the present one are not stored.
        """
        if self.project_path == path:
            return
        opened = ProjectFile(path)
        self.document = None
        self.document_changed.emit(None)  # ends a gesture under way: its stroke still counts
        if not self.journal.store():
            opened.close()
            raise InputError(
                "Another project cannot be opened while strokes of this one are not stored; "
                "make room on its disk."
            )
        self._client.cancel_learning()
        self.journal.close()
        self.journal.file = opened
        self.project.clear()
        self._wanted, self.model = None, None
        self.model_changed.emit(None)
        self._set_classes(opened.classes())
        if self._is_started:
            self.start_model()

    def _set_classes(self, classes: tuple[LabelClass, ...]) -> None:
        self.classes = self.journal.classes = classes
        self.classes_changed.emit(classes)

    def _stored_model(self, role: Literal["base", "learned"]) -> bytes | None:
        return self.journal.file.load_model(role) if self.journal.file else None

    def _show_before(self, image: Path | None) -> None:
        if image is not None and image != self._wanted:
            self.open_image(image)

    def _corrected_files(self) -> tuple[CorrectedFile, ...]:
        """Return every image that has corrections, with an immutable copy of them."""
        stored = self.journal.file.images() if self.journal.file else []
        found = []
        for image in dict.fromkeys([*self.project.images, *stored]):
            in_memory = self.project.corrections(image)
            if in_memory is not None:
                if not in_memory.is_empty:
                    found.append(CorrectedFile(image, in_memory.frozen()))
            elif self.journal.file and (labels := self.journal.file.stored_labels(image)):
                found.append(CorrectedFile(image, labels.decode))
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
            stored = self.journal.file.stored_labels(path) if self.journal.file else None
            corrections = LabelMap(stored.decode()) if stored else LabelMap.empty(height, width)
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
        if path == self._wanted:
            self._wanted = self.document.path if self.document else None
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
            self.warned.emit(str(error))
            return
        if info.warning:
            self.warned.emit(info.warning)
        self.model = info
        self._set_classes(info.classes)
        self.model_changed.emit(info)
        self._predict()

    def _check_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Keep a model from a project whose labels stand for other classes.

        Raises:
            InputError: the project's classes are not the model's.
        """
        stored = self.journal.file.classes() if self.journal.file else ()
        names, given = [c.name for c in stored], [c.name for c in classes]
        if stored and names != given:
            raise InputError(
                f"This project was labeled with the classes {', '.join(names)}, the model has "
                f"{', '.join(given)}; start the program with --model and the project's model."
            )

    @Slot(object)
    def _on_predicted(self, prediction: Prediction) -> None:
        if self.document is not None and prediction.image_path == self.document.path:
            self.document.set_prediction(prediction.label_map, prediction.confidence)
            self.prediction_changed.emit()

    @Slot(object)
    def _on_learned(self, learned: Learned) -> None:
        self.learning_changed.emit(False)
        if self.journal.file is None or learned.project != self.journal.file.path:
            return
        fallback = self._base_model
        self._client.send(LoadRequest(learned.checkpoint, fallback, self._device))
        try:
            self.journal.file.save_models(learned.base, learned.checkpoint)
        except InputError as error:
            self.warned.emit(f"The new model serves, but is not stored: {error}")
        else:
            self.said.emit("The model has learned from your corrections.")

    @Slot(str)
    def _on_learning_failed(self, reason: str) -> None:
        self.learning_changed.emit(False)
        self.warned.emit(reason)

    @Slot(object)
    def _on_exported(self, path: Path) -> None:
        self.exported.emit(path)
        self.said.emit(f"Exported {path}.")

    @Slot(object, object)
    def _on_corrections_changed(self, image: Path, box: tuple[int, int, int, int]) -> None:
        corrections = self.project.corrections(image)
        if corrections is not None:
            self.journal.record(image, corrections.values, box)

    @Slot(str)
    def _on_storing_failed(self, reason: str) -> None:
        self.warned.emit(f"Strokes are kept in memory only: {reason}")

    @Slot()
    def _on_stored(self) -> None:
        self.said.emit("All strokes are stored again.")
