"""The model of a project: which one serves, and what it learns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal, Slot

from app.inference.messages import (
    CorrectedFile,
    Improved,
    Learned,
    LearnRequest,
    LoadRequest,
    ModelInfo,
)
from app.inference.model_client import ModelClient
from app.session.stored_project import StoredProject
from mdlstm_core.errors import InputError
from resources import model_path


class Teacher(QObject):
    """Loads the project's model and lets it learn from the project's corrections.

    Attributes:
        model: the one that serves, None if none does.

    Signals:
        model_changed(ModelInfo | None): another model serves, or none does.
        learning_changed(bool): learning began or ended.
        said(str): something the user may want to know.
        warned(str): something went wrong, and what to do.
    """

    model_changed = Signal(object)
    learning_changed = Signal(bool)
    said = Signal(str)
    warned = Signal(str)

    def __init__(
        self, stored: StoredProject, client: ModelClient, base_model: str | Path, device: str
    ) -> None:
        super().__init__()
        self.model: ModelInfo | None = None
        self._stored, self._client = stored, client
        self._base_model, self._device = base_model, device
        self._before: str | Path | None = None
        client.model_loaded.connect(self._on_model_loaded)
        self._improved = False
        client.improved.connect(self._on_improved)
        client.learned.connect(self._on_learned)
        client.learning_failed.connect(self._on_learning_failed)

    def start(self) -> None:
        """Load the project's own model, or the one to start from."""
        learned, base = None, None
        try:
            learned, base = self._stored_model("learned"), self._stored_model("base")
        except InputError as error:
            self.warned.emit(str(error))
        fallback = base or self._base_model
        self._client.send(LoadRequest(learned or fallback, fallback, self._device))

    def use(self, model: str | Path) -> None:
        """Load another model; the present one goes on if it does not fit the project.

        Raises:
            InputError: learning is under way.
        """
        if self._client.is_learning:
            raise InputError("The model is learning; stop that before another one takes its place.")
        self._before, self._base_model = self._base_model, model
        self._client.send(LoadRequest(model, self._before, self._device))

    def forget(self) -> None:
        """Let no model serve: another project is open."""
        self._client.cancel_learning()
        self._improved = False
        self.model = None
        self.model_changed.emit(None)

    def learn(self, seconds: float) -> None:
        """Learn from all corrections of the project, from the model it started with.

        Raises:
            InputError: there are none, or they cannot be read.
        """
        path = self._stored.path
        if self.model is None or path is None or self._client.is_learning:
            return
        corrected = self._corrected_files()
        base = self._stored_model("base") or self._base_model
        if not corrected:
            raise InputError("There is nothing to learn from yet: paint a correction first.")
        classes = self._stored.classes_of_models
        self._client.learn(LearnRequest(path, base, corrected, classes, seconds, self._device))
        self.learning_changed.emit(True)

    def _stored_model(self, role: Literal["base", "learned"]) -> bytes | None:
        file = self._stored.journal.file
        return file.load_model(role) if file else None

    def _corrected_files(self) -> tuple[CorrectedFile, ...]:
        """Return every image that has corrections, with an immutable copy of them."""
        found = []
        for image in self._stored.labeled_images():
            in_memory = self._stored.project.corrections(image)
            labels: Callable[[], NDArray[np.uint8]]
            if in_memory is None:
                labels = self._stored.labels_call(image)
            elif in_memory.is_empty:
                continue
            else:
                labels = in_memory.frozen()
            found.append(CorrectedFile(image, labels))
        return tuple(found)

    @Slot(object)
    def _on_model_loaded(self, info: ModelInfo) -> None:
        try:
            self._stored.use_model_classes(info.classes)
        except InputError as error:
            self.warned.emit(str(error))
            self._take_back()
            return
        if info.warning:
            self.warned.emit(info.warning)
        self._keep_choice(is_loaded=not info.warning)
        self.model = info
        self.model_changed.emit(info)

    def _keep_choice(self, *, is_loaded: bool) -> None:
        """Let a project that has models of its own begin with the chosen one from now on."""
        if self._before is None:
            return
        if not is_loaded:
            self._base_model = self._before
        elif self._stored_model("base") and not self._stored.journal.is_read_only:
            path = model_path(str(self._base_model)) or Path(self._base_model)
            chosen = path.read_bytes()
            self._stored.save_models(chosen, chosen)
        self._before = None

    def _take_back(self) -> None:
        """Let the model go on that was there before the user chose another one."""
        if self._before is not None:
            self._base_model, self._before = self._before, None
            self.start()

    @Slot(object)
    def _on_improved(self, improved: Improved) -> None:
        if improved.project == self._stored.path:
            self._improved = True
            self._client.send(LoadRequest(improved.checkpoint, self._base_model, self._device))

    @Slot(object)
    def _on_learned(self, learned: Learned) -> None:
        self._improved = False
        self.learning_changed.emit(False)
        if learned.project != self._stored.path:
            return
        self._client.send(LoadRequest(learned.checkpoint, self._base_model, self._device))
        self._stored.save_models(learned.base, learned.checkpoint, learned.names)
        self.said.emit("The model has learned from your corrections.")

    @Slot(str)
    def _on_learning_failed(self, reason: str) -> None:
        self.learning_changed.emit(False)
        self.warned.emit(reason)
        if self._improved:
            self._improved = False
            self.start()
