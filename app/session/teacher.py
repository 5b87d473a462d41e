"""The model of a project: which one serves, and what it learns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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
from app.session.timeline import Timeline
from app.storage.fingerprint import check_file
from app.storage.new_models import NewModel
from mdlstm_core.errors import InputError
from resources import model_path


class Teacher(QObject):
    """Loads the project's model and lets it learn from the project's corrections.

    Attributes:
        model: the one that serves, None if none does.
        source: where the last model is from that was to stay: a shipped one's name, a file,
            or its bytes; None if there was none yet.
        timeline: the models that the project has had.
        device: where models are to run.

    Signals:
        model_changed(ModelInfo | None): another model serves, or none does.
        model_replaced(object, object): a model took the place of another one, to stay; where
            the one before and this one are from (see `source`).
        learning_changed(bool): learning began or ended.
        learned(Learned): learning ended with a new model, which serves once it is stored.
        said(str): something the user may want to know.
        warned(str): something went wrong, and what to do.
    """

    model_changed = Signal(object)
    model_replaced = Signal(object, object)
    learning_changed = Signal(bool)
    learned = Signal(object)
    said = Signal(str)
    warned = Signal(str)

    def __init__(
        self, stored: StoredProject, client: ModelClient, base_model: str | Path, device: str
    ) -> None:
        super().__init__()
        self.model: ModelInfo | None = None
        self.source: str | Path | bytes | None = None
        self.timeline = Timeline(stored)
        self._stored, self._client = stored, client
        self._base_model, self.device = base_model, device
        self._before: str | Path | None = None
        self._is_import = False
        self._asked: tuple[str | Path | bytes, str | Path | bytes] = base_model, base_model
        self._imported: int | None = None
        self._is_trial = False
        self._notice = ""
        client.model_loaded.connect(self._on_model_loaded)
        client.improved.connect(self._on_improved)
        client.learned.connect(self._on_learned)
        client.learning_failed.connect(self._on_learning_failed)
        self.timeline.said.connect(self.said)
        self.timeline.warned.connect(self.warned)
        self.timeline.kept.connect(self._on_kept)
        self.timeline.let_go.connect(self._on_let_go)
        self.timeline.model_chosen.connect(self._on_model_chosen)

    @property
    def settled_source(self) -> str | Path | bytes | None:
        """Where the model is from that serves; None while one is only tried out."""
        return None if self._is_trial else self.source

    @property
    def base(self) -> str | Path | bytes:
        """The model that learning starts from.

        Raises:
            InputError: it cannot be read.
        """
        return self._gives_base()()

    def start(self) -> None:
        """Load the project's own model, or the one to start from."""
        learned, base = None, None
        try:
            learned, base = self._stored_model("learned"), self._stored_model("base")
        except InputError as error:
            self.warned.emit(str(error))
        fallback = base or self._base_model
        self._load(learned or fallback, fallback, self._gives_base())

    def use(self, model: str | Path, *, keep: bool = False) -> None:
        """Load another model; the present one goes on if it does not fit the project.

        Args:
            model: a shipped one's name, or a file.
            keep: store it in the project's timeline, even if that has no models yet.

        Raises:
            InputError: learning is under way.
        """
        self._check_not_learning()
        self._before, self._base_model, self._is_import = self._base_model, model, keep
        self._load(model, self._before)

    def go_back(self, number: int) -> None:
        """Let a model of the timeline serve again; undoable.

        Raises:
            InputError: learning is under way, or the model is gone.
        """
        self._check_not_learning()
        self.timeline.go_back(number)

    def forget(self) -> None:
        """Let no model serve: another project is open."""
        self._client.cancel_learning()
        self._is_trial = False
        self.model = self.source = None
        self.timeline.load()
        self.model_changed.emit(None)

    def cancel(self) -> None:
        """End learning soon; nothing of it is kept."""
        self._client.cancel_learning()

    def learn(self, seconds: float) -> None:
        """Learn from all corrections of the project, from the model it started with.

        Raises:
            InputError: there are none, or they cannot be read.
        """
        path = self._stored.path
        if self.model is None or path is None or self._client.is_learning:
            return
        corrected = self._corrected_files()
        base = self.base
        if not corrected:
            raise InputError("There is nothing to learn from yet: paint a correction first.")
        classes = self._stored.classes_of_models
        self._client.learn(LearnRequest(path, base, corrected, classes, seconds, self.device))
        self.learning_changed.emit(True)

    def _check_not_learning(self) -> None:
        if self._client.is_learning:
            raise InputError("The model is learning; stop that before another one takes its place.")

    def _load(
        self,
        model: str | Path | bytes,
        fallback: str | Path | bytes,
        base: Callable[[], str | Path | bytes] | None = None,
    ) -> None:
        self._asked = model, fallback
        self._client.send(LoadRequest(model, fallback, self.device, base))

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
            check = partial(check_file, image, self._stored.files.known(image))
            found.append(CorrectedFile(image, labels, self._stored.windows.get(image), check))
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
        before, self.model = self.source, info
        if not self._is_trial:
            self.source = self._asked[1 if info.warning else 0]
        self.model_changed.emit(info)
        if before is not None and before != self.source:
            self.model_replaced.emit(before, self.source)

    def _keep_choice(self, *, is_loaded: bool) -> None:
        """Let a project that has models of its own begin with the chosen one from now on."""
        if self._before is None:
            return
        may_store = self._stored.path is not None and not self._stored.journal.is_read_only
        if not is_loaded:
            self._base_model = self._before
        elif may_store and (self._is_import or self.timeline.roles):
            start, chosen = (_file(m).read_bytes() for m in (self._before, self._base_model))
            self.timeline.add(start, NewModel("imported", chosen), serves=False)
        self._before = None

    def _take_back(self) -> None:
        """Let the model go on that was there before the user chose another one."""
        if self._before is not None:
            self._base_model, self._before = self._before, None
            self.start()

    @Slot(object)
    def _on_improved(self, improved: Improved) -> None:
        if improved.project == self._stored.path:
            self._is_trial = True
            self._load(improved.checkpoint, self._base_model, self._gives_base())

    @Slot(object)
    def _on_learned(self, learned: Learned) -> None:
        self.learning_changed.emit(False)
        if learned.project != self._stored.path:
            return
        self.learned.emit(learned)
        self._notice = learned.notice
        names = self._stored.know_names(learned.names)
        figures = learned.figures.to_json() if learned.figures else ""
        marks = learned.strokes, learned.strokes_hash, figures
        new = NewModel("learned", learned.checkpoint, *marks)
        self.timeline.add(learned.base, new, names, serves=True)

    @Slot(int)
    def _on_kept(self, number: int) -> None:
        """Let a new model serve, now that it is stored."""
        row = self.timeline.row(number)
        if row is not None and row.origin == "imported":
            self._imported = number  # it serves already
            self.timeline.go_back(number)
            return
        self._serve(number)
        said = "The model has learned from your corrections. J steps through what it changed."
        self.said.emit(f"{said} {self._notice}".strip())

    @Slot(str, str)
    def _on_let_go(self, origin: str, reason: str) -> None:
        what = (
            "The model serves until the program ends, but it is not stored"
            if origin == "imported"
            else "What the model learned cannot be stored, so the model before stays"
        )
        self.warned.emit(f"{what}: {reason}")
        self._end_trial()

    @Slot(int)
    def _on_model_chosen(self, number: int) -> None:
        if number != self._imported:
            self._serve(number)
        self._imported = None

    def _serve(self, number: int) -> None:
        """Load a model of the timeline."""
        self._is_trial = False
        try:
            model = self.timeline.checkpoint(number)
            self._load(model, self._base_model, self._gives_base())
        except InputError as error:
            self.warned.emit(str(error))

    def _gives_base(self) -> Callable[[], str | Path | bytes]:
        """Return a call, for any thread, that gives the model that learning starts from now."""
        roles, chosen = self.timeline.roles, self._base_model
        return partial(self.timeline.checkpoint, roles.base) if roles else lambda: chosen

    @Slot(str)
    def _on_learning_failed(self, reason: str) -> None:
        self.learning_changed.emit(False)
        (self.said if self._client.is_cancelled else self.warned).emit(reason)
        self._end_trial()

    def _end_trial(self) -> None:
        """Let the stored model serve again if one that is not kept was shown meanwhile."""
        if self._is_trial:
            self._is_trial = False
            self.start()


def _file(model: str | Path) -> Path:
    """Return the file of a model: of a shipped one's name, or the one that is named."""
    return model_path(str(model)) or Path(model)
