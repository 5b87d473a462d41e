"""The model of a project: which one serves, and what it learns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal, Slot

from app.document.steps import Roles
from app.inference.messages import (
    CorrectedFile,
    Improved,
    Learned,
    LearnRequest,
    LoadRequest,
    ModelInfo,
    NotLoaded,
)
from app.inference.model_client import ModelClient
from app.session.stored_project import StoredProject
from app.session.timeline import Timeline
from app.storage.changes import CheckpointRow
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
        self._asked: LoadRequest | None = None
        self._then: Callable[[], None] | None = None
        self._is_stored = False
        self._served: Roles | None = None
        self._loaded: int | None = None
        self._is_trial = self._asks_trial = False
        self._notice = ""
        client.model_loaded.connect(self._on_model_loaded)
        client.not_loaded.connect(self._on_not_loaded)
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
    def serving(self) -> CheckpointRow | None:
        """What is known of the checkpoint that serves, to stay; None if it is not in the timeline.

        It may not be the one of `timeline.roles`: that is loaded a moment later, or is damaged.
        """
        if self._served is None or self._is_trial:
            return None
        return self.timeline.row(self._served.learned)

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
        given = learned or fallback
        self._load(given, self._gives_base(), fallback=fallback, is_stored=learned is not None)

    def use(self, model: str | Path, *, keep: bool = False) -> None:
        """Load another model; the present one goes on if it is damaged or does not fit.

        Args:
            model: a shipped one's name, or a file.
            keep: store it in the project's timeline, even if that has no models yet.

        Raises:
            InputError: learning is under way.
        """
        self._check_not_learning()
        self._load(model, then=lambda: self._begin_with(model, keep=keep))

    def go_back(self, number: int) -> None:
        """Let a model of the timeline serve again, undoable; if it is damaged, nothing changes.

        Raises:
            InputError: learning is under way, or the model is gone.
        """
        self._check_not_learning()
        base = self.timeline.gives(self.timeline.roles_of(number).base)
        checkpoint = self.timeline.gives(number)
        self._load(checkpoint, base, is_stored=True, then=lambda: self._note(number))

    def look_at(self, pixels: int | None) -> None:
        """Let models look at so many pixels of an image from now on; None for as trained.

        Raises:
            InputError: learning is under way.
        """
        if self._client.is_learning:
            raise InputError("The model is learning; stop that before it looks at another scale.")
        self._stored.look_at(pixels)
        if self._asked is None:
            return
        if self._then is None:  # what serves may have been stored since it was loaded
            self._is_stored |= self._served is not None
        self._asked = dataclasses.replace(self._asked, pixels=pixels)
        self._client.send(self._asked)

    def forget(self) -> None:
        """Let no model serve: another project is open."""
        self._client.cancel_learning()
        self._is_trial = self._asks_trial = False
        self.model = self.source = self._asked = self._then = self._served = None
        self.timeline.load()
        self.model_changed.emit(None)

    def stop(self) -> None:
        """End learning soon; what was learned is kept."""
        self._client.stop_learning()

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
        if self._then is not None:
            raise InputError("Another model is just being loaded; try again in a moment.")
        corrected, base = self._corrected_files(), self._gives_base()
        if not corrected:
            raise InputError("There is nothing to learn from yet: paint a correction first.")
        classes = self._stored.classes_of_models
        asked = path, base, corrected, classes, seconds, self.device, self._stored.pixels
        self._client.learn(LearnRequest(*asked))
        self.learning_changed.emit(True)

    def _check_not_learning(self) -> None:
        if self._client.is_learning:
            raise InputError("The model is learning; stop that before another one takes its place.")

    def _load(
        self,
        model: str | Path | bytes | Callable[[], bytes],
        base: Callable[[], str | Path | bytes] | None = None,
        *,
        fallback: str | Path | bytes | None = None,
        is_stored: bool = False,
        is_trial: bool = False,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Have a model loaded; `then` is called when it serves.

        `is_stored` says whether it is the one of the timeline's roles, `is_trial` whether it is
        not to stay. Until it is loaded the one before serves, and is what it was.
        """
        self._is_stored, self._asks_trial, self._then = is_stored, is_trial, then
        self._asked = LoadRequest(model, fallback, self.device, base, self._stored.pixels)
        self._client.send(self._asked)

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
        then, self._then = self._then, None
        try:
            self._stored.use_model_classes(info.classes)
            if then is not None:
                then()
        except InputError as error:
            self.warned.emit(str(error))
            if then is not None:
                self._take_back()  # in the model's thread the chosen one has taken its place
            return
        if info.warning:
            self.warned.emit(info.warning)
        before, self.model, self._is_trial = self.source, info, self._asks_trial
        if not self._is_trial:
            self.source = info.source
            is_stored = self._is_stored and not info.warning  # else the fallback serves
            self._served = self.timeline.roles if is_stored else None
        self.model_changed.emit(info)
        if before is not None and before != self.source:
            self.model_replaced.emit(before, self.source)

    @Slot(object)
    def _on_not_loaded(self, answer: NotLoaded) -> None:
        self.warned.emit(f"{answer.reason} The model before stays.")
        if self._asked is not None and answer.asked == self._asked.model:
            self._take_back()  # another one may have been loaded in between

    def _take_back(self) -> None:
        """Load the model that was there before another one was chosen."""
        self._stay()
        if self.source is None:
            self.start()
        else:
            is_stored = self._served is not None
            base = self._gives_base()
            self._load(self.source, base, fallback=self._base_model, is_stored=is_stored)

    def _stay(self) -> None:
        """Let the timeline say that the model before goes on."""
        self._then = None
        if self._served is not None and self._served != self.timeline.roles:
            self.timeline.stay_with(self._served)

    def _begin_with(self, model: str | Path, *, keep: bool) -> None:
        """Let a project that has models of its own begin with the chosen one from now on.

        Raises:
            InputError: it cannot be read any more.
        """
        may_store = self._stored.path is not None and not self._stored.journal.is_read_only
        if may_store and (keep or self.timeline.roles):
            start, chosen = _content(self._base_model), _content(model)
            self.timeline.add(start, NewModel("imported", chosen), serves=False)
        self._base_model = model

    def _note(self, number: int) -> None:
        """Let the history say that a checkpoint of the timeline serves, which does already.

        Raises:
            InputError: it is gone, or another one is just being stored.
        """
        self._loaded = number
        try:
            self.timeline.go_back(number)
        finally:
            self._loaded = None
        self._served = self.timeline.roles
        self._is_stored |= self._then is None  # also if it is just loaded anew, to look closer

    @Slot(object)
    def _on_improved(self, improved: Improved) -> None:
        if improved.project == self._stored.path:
            self._load(improved.checkpoint, self._gives_base(), is_trial=True)

    @Slot(object)
    def _on_learned(self, learned: Learned) -> None:
        from mdlstm_core.learning.measured import Measured

        self.learning_changed.emit(False)
        if learned.project != self._stored.path:
            return
        self.learned.emit(learned)
        self._notice = learned.notice
        names = self._stored.know_names(learned.names)
        figures = Measured(learned.figures, learned.before, learned.overfits).to_json()
        marks = learned.strokes, learned.strokes_hash, figures
        new = NewModel("learned", learned.checkpoint, *marks)
        self.timeline.add(learned.base, new, names, serves=True)

    @Slot(int)
    def _on_kept(self, number: int) -> None:
        """Let a new model serve, now that it is stored."""
        row = self.timeline.row(number)
        if row is not None and row.origin == "imported":
            try:
                self._note(number)
            except InputError as error:
                self.warned.emit(str(error))
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
        if number != self._loaded:
            self._serve(number)

    def _serve(self, number: int) -> None:
        """Load a model of the timeline."""
        self._load(self.timeline.gives(number), self._gives_base(), is_stored=True)

    def _gives_base(self) -> Callable[[], str | Path | bytes]:
        """Return a call, for any thread, that gives the model that learning starts from now."""
        roles, chosen = self.timeline.roles, self._base_model
        return self.timeline.gives(roles.base) if roles else lambda: chosen

    @Slot(str)
    def _on_learning_failed(self, reason: str) -> None:
        self.learning_changed.emit(False)
        (self.said if self._client.is_cancelled else self.warned).emit(reason)
        self._end_trial()

    def _end_trial(self) -> None:
        """Let the stored model serve again if one that is not kept was shown meanwhile."""
        if self._is_trial or self._asks_trial:
            self.start()


def _content(model: str | Path) -> bytes:
    """Return the bytes of a model's file: of a shipped one's name, or the one that is named.

    Raises:
        InputError: it cannot be read.
    """
    path = model_path(str(model)) or Path(model)
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"The model {path} cannot be read: {error.strerror}.") from error
