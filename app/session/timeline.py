"""The models that a project has had: stored one after the other, and back to any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QThreadPool, Signal, Slot

from app.document.steps import Roles
from app.session.stored_project import StoredProject
from app.storage.changes import (
    CheckpointRow,
    DropCheckpoints,
    SaveCheckpoints,
    SaveThumbnail,
)
from app.storage.new_models import NewModel, joining
from app.storage.project_file import ProjectFile
from mdlstm_core.errors import InputError
from mdlstm_core.files import write_whole

MOST_BYTES = 256 << 20
"""What the checkpoints of a project take at most; the oldest leave first."""


class Timeline(QObject):
    """Keeps the checkpoints of the open project and which of them serves.

    A checkpoint joins when it is stored, and not before: until then the model before serves.

    Attributes:
        rows: what is known of each, oldest first.
        roles: the one that learning starts from and the one that serves; None before any
            is stored.

    Signals:
        changed: rows or roles are others now.
        kept(int): a checkpoint that was added is stored.
        let_go(str, str): a checkpoint of this origin could not be stored, and why.
        model_chosen(int): the history lets this checkpoint serve.
        said(str): something the user may want to know.
        warned(str): something went wrong, and what to do.
    """

    changed = Signal()
    kept = Signal(int)
    let_go = Signal(str, str)
    model_chosen = Signal(int)
    said = Signal(str)
    warned = Signal(str)
    _was_read = Signal(object, object, object)

    def __init__(self, stored: StoredProject, most_bytes: int = MOST_BYTES) -> None:
        super().__init__()
        self.most_bytes = most_bytes
        self.rows: tuple[CheckpointRow, ...] = ()
        self.roles: Roles | None = None
        self._stored = stored
        self._awaited: dict[int, SaveCheckpoints] = {}
        self._next = 1
        self._pool = QThreadPool(self)
        self._is_overruled = False
        self._has_said_pruned = False
        self._was_read.connect(self._on_read)
        stored.journal.stored.connect(self._on_stored)
        stored.journal.let_go.connect(self._on_let_go)
        stored.project.models_changed.connect(self._on_models_changed)

    def load(self) -> None:
        """Take what the project that was opened has."""
        file = self._stored.journal.file
        self._awaited.clear()
        self._is_overruled = self._has_said_pruned = False
        self.rows, self.roles = (), None
        if file is not None:
            self.rows, self.roles = tuple(file.checkpoints()), file.roles()
        self._next = max((row.number for row in self.rows), default=0) + 1
        self.changed.emit()

    @property
    def is_storing(self) -> bool:
        """Whether a checkpoint was added that is not stored yet."""
        return bool(self._awaited)

    def row(self, number: int) -> CheckpointRow | None:
        """Return what is known of a checkpoint, None if it is not there."""
        return next((row for row in self.rows if row.number == number), None)

    def gives(self, number: int) -> Callable[[], bytes]:
        """Return a call, for any thread, that gives the bytes of a checkpoint.

        It is the one of the project that is open now, also when another one is by then. The call
        raises `InputError` if it cannot be read, or is gone.
        """
        return partial(_read, self._stored.path, number, self._stored.journal.is_read_only)

    def read(self, numbers: Sequence[int], use: Callable[..., object]) -> None:
        """Read checkpoints off the window's thread, and then call `use` with them.

        If one cannot be read or is gone, `warned` says so; nothing is called if another project
        is open by then.
        """
        path, calls = self._stored.path, [self.gives(number) for number in numbers]

        def read() -> None:
            try:
                found = tuple(call() for call in calls)
            except InputError as error:
                self.warned.emit(str(error))
            else:
                self._was_read.emit(path, use, found)

        self._pool.start(read)

    def add(
        self, start: bytes, new: NewModel, names: tuple[str, ...] | None = None, *, serves: bool
    ) -> None:
        """Store a checkpoint soon; `kept` or `let_go` tells what became of it.

        Args:
            start: the checkpoint that the project started with, stored too if none is yet.
            new: the checkpoint.
            names: what the models call the label at each place; None if that stays.
            serves: whether it serves from then on.
        """
        models = [new] if self.roles else [NewModel("start", start), new]
        change = joining(models, self._next, self.roles, names, serves=serves)
        self._next += len(models)
        self._is_overruled = False
        self._awaited[self._stored.journal.record(change)] = change

    def go_back(self, number: int) -> None:
        """Let a checkpoint of the timeline serve again, as one undoable step.

        Learning then starts from what it started from at that time.

        Raises:
            InputError: it is gone, or another one is just being stored.
        """
        before, after = self.roles, self.roles_of(number)
        if before is not None:
            self._stored.project.change_models(before, after, "use another model")

    def roles_of(self, number: int) -> Roles:
        """Return the roles with which a checkpoint would serve again.

        Raises:
            InputError: it is gone, or another one is just being stored.
        """
        if self._awaited:
            raise InputError("Another model is just being stored; try again in a moment.")
        if self.roles is None or self.row(number) is None:
            raise InputError("This model is not in the timeline any more; choose another one.")
        starts = [r.number for r in self.rows if r.origin != "learned" and r.number <= number]
        return Roles(max(starts, default=self.roles.base), number)

    def stay_with(self, roles: Roles) -> None:
        """Let these checkpoints go on, since another one that was chosen cannot be read."""
        self.roles = roles
        self._stored.journal.record(SaveCheckpoints((), roles, None))
        self.changed.emit()

    def set_thumbnail(self, number: int, thumbnail: bytes) -> None:
        """Keep a small picture (PNG) of what a checkpoint said of the image shown."""
        row, journal = self.row(number), self._stored.journal
        # A last prediction may come after the project was closed.
        if row is not None and journal.file is not None and not journal.is_read_only:
            self._stored.journal.record(SaveThumbnail(number, thumbnail))
            changed = row._replace(thumbnail=thumbnail)
            self.rows = tuple(changed if r is row else r for r in self.rows)
            self.changed.emit()

    def export(self, number: int, path: Path) -> None:
        """Write a checkpoint as a model file, off the window's thread, and say what came of it."""
        checkpoint = self.gives(number)

        def write() -> None:
            try:
                write_whole(path, checkpoint())
            except InputError as error:
                self.warned.emit(str(error))
            else:
                self.said.emit(f"Exported {path}.")

        self._pool.start(write)

    def close(self) -> None:
        """Wait for what is being read and exported."""
        self._pool.waitForDone()

    @Slot(object, object, object)
    def _on_read(
        self, path: Path | None, use: Callable[..., object], found: tuple[bytes, ...]
    ) -> None:
        if path == self._stored.path:
            use(*found)

    @Slot(int)
    def _on_stored(self, number: int) -> None:
        for change in [self._awaited.pop(n) for n in sorted(self._awaited) if n <= number]:
            self.rows += tuple(new.row for new in change.checkpoints)
            if not self._is_overruled:
                self.roles = change.roles
            self._prune()
            self.changed.emit()
            if not self._is_overruled:
                self.kept.emit(change.checkpoints[-1].row.number)

    @Slot(int, str)
    def _on_let_go(self, number: int, reason: str) -> None:
        change = self._awaited.pop(number, None)
        if change is not None:
            self.let_go.emit(change.checkpoints[-1].row.origin, reason)

    @Slot(object)
    def _on_models_changed(self, roles: Roles) -> None:
        if self.row(roles.learned) is None:
            self.warned.emit(
                f"The model of that time has left the timeline, which holds "
                f"{self.most_bytes >> 20} MB; the present one stays."
            )
            return
        self.roles, self._is_overruled = roles, bool(self._awaited)
        self.changed.emit()
        self.model_chosen.emit(roles.learned)

    def _prune(self) -> None:
        """Let the oldest checkpoints go while all take more than `most_bytes`."""
        excess = sum(row.size for row in self.rows) - self.most_bytes
        gone = []
        for row in self.rows[:-1]:
            if excess > 0 and row.number not in (self.roles or ()):
                gone.append(row.number)
                excess -= row.size
        if not gone:
            return
        self._stored.journal.record(DropCheckpoints(tuple(gone)))
        self.rows = tuple(row for row in self.rows if row.number not in gone)
        if not self._has_said_pruned:
            self._has_said_pruned = True
            self.said.emit(
                f"The oldest models leave the timeline: it is held to {self.most_bytes >> 20} MB."
            )


def _read(project: Path | None, number: int, read_only: bool) -> bytes:
    """Read a checkpoint through a connection of its own: the project's may be closed meanwhile."""
    found = None
    if project is not None:
        with closing(ProjectFile(project, read_only=read_only)) as file:
            found = file.load_checkpoint(number)
    if found is None:
        raise InputError("This model is not in the timeline any more; choose another one.")
    return found
