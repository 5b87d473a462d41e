"""Keeps every change on disk, or in mind until the disk takes it."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QCoreApplication,
    QEvent,
    QObject,
    QRunnable,
    QThreadPool,
    QTimer,
    Signal,
    Slot,
)

from app.storage.changes import Change, Receipt, SaveCheckpoints, SaveClasses, SavePixels
from app.storage.project_file import ProjectFile
from app.storage.project_lock import ProjectLock
from app.storage.project_writer import ChangeError, ProjectWriter
from app.storage.replay import replay
from app.storage.schema import connect_writer, errors, mend_of
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError

_RETRY_MS = 5000
_BATCH = 64

_log = logging.getLogger(__name__)


class Written(NamedTuple):
    """Changes are on disk; whether all are, for the first time after the disk had failed."""

    receipt: Receipt
    has_recovered: bool


class Failed(NamedTuple):
    """Changes could not be written, why, and whether they never can be."""

    reason: str
    is_final: bool = False


class LetGo(NamedTuple):
    """A change is not tried again, and why; else as `Written`."""

    number: int
    change: Change
    reason: str
    has_recovered: bool


class Journal(QObject):
    """Writes changes into a project file in a thread of its own, in the order they came.

    What cannot be written is tried again until it can: the disk may be full for a while.
    A checkpoint is not: strokes come after it, which are small and must not wait for room.
    Nor is a change that can never be written, whatever the disk does.
    The window's thread never waits for the disk, but in `store` and `close`.

    Attributes:
        file: reads the project, None before one is opened.
        first_classes: what is written before the first change of the labels; None if classes
            are stored.

    Signals:
        failed(str): changes cannot be stored for now, and why.
        stored(int): all changes up to this number are on disk.
        receipt(Receipt): what is on disk now.
        recovered: all changes are on disk again after `failed`.
        let_go(int, str): the checkpoints of this change will not be stored, and why.
        refused(Change, str): another change will not be stored, and why.
    """

    failed = Signal(str)
    stored = Signal(int)
    receipt = Signal(object)
    recovered = Signal()
    let_go = Signal(int, str)
    refused = Signal(object, str)
    _answered = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.file: ProjectFile | None = None
        self.first_classes: SaveClasses | None = None
        self._lock_file: ProjectLock | None = None
        self._writer: ProjectWriter | None = None
        self._pending: deque[tuple[int, Change]] = deque()
        self._last = 0
        self._is_writing = False
        self._has_failed = False
        self._said_failed = False
        self._guard = threading.Lock()
        """Of `_pending`, `_is_writing` and `_has_failed`; never held while the disk works."""
        self._committing = threading.Lock()
        """Held while what is pending and what is on disk change; not by the window's thread."""
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._pool.setExpiryTimeout(-1)
        self._retry = QTimer(self)
        self._retry.setInterval(_RETRY_MS)
        self._retry.timeout.connect(self._start)
        self._answered.connect(self._on_answered)

    def open(self, path: Path) -> bool:
        """Open a project; return whether it can be written, or only looked at.

        Raises:
            InputError: it cannot be opened; nothing has changed then.
        """
        lock = ProjectLock(path)
        try:
            is_ours = _can_write(path) and lock.acquire()
        except (OSError, sqlite3.Error):
            _log.exception("locking the project")
            is_ours = False
        try:
            if is_ours and path.exists():
                connect_writer(path).close()  # makes an older version the newest
            file = ProjectFile(path, read_only=not is_ours)
            file.images()  # what is damaged beyond reading is refused now
        except BaseException:
            lock.release()
            raise
        self.close()
        self.file = file
        self.first_classes = None
        self._lock_file = lock
        self._writer = ProjectWriter(path) if is_ours else None
        return is_ours

    @property
    def is_read_only(self) -> bool:
        """Whether a project is open that can only be looked at."""
        return self.file is not None and self._writer is None

    @property
    def has_unsaved(self) -> bool:
        """Whether changes are only in memory."""
        with self._guard:
            return bool(self._pending)

    @property
    def is_failing(self) -> bool:
        """Whether the disk takes no changes for now."""
        with self._guard:
            return self._has_failed

    @property
    def last_number(self) -> int:
        """The number of the newest change."""
        return self._last

    def record(self, change: Change) -> int:
        """Store a change soon; return its number, which `stored` acknowledges."""
        assert self._writer is not None
        changes: list[Change] = [change]
        if self.first_classes is not None and not isinstance(change, SavePixels):
            changes.insert(0, self.first_classes)
            self.first_classes = None
        with self._guard:
            for found in changes:
                self._last += 1
                self._pending.append((self._last, found))
            waits = self._has_failed
        if not waits:
            self._start()
        return self._last

    def store(self) -> bool:
        """Try now to write what is not on disk yet, and wait; return whether all of it is.

        What became of it is told before this returns.
        """
        while True:
            self._start()
            self._pool.waitForDone()
            # Later it would be taken for an answer on another project.
            QCoreApplication.sendPostedEvents(self, QEvent.Type.MetaCall.value)
            # An answer may lead to another change: the history is pruned.
            if self.is_failing or not self.has_unsaved or self._writer is None:
                return not self.has_unsaved

    def load_labels(self, image: Path) -> NDArray[np.uint8] | None:
        """Return an image's label map with all changes so far; for other threads.

        None if it was never labeled.

        Raises:
            InputError: it cannot be read.
        """
        file = self.file  # the window's thread may open another one meanwhile
        if file is None:
            return None
        with closing(ProjectFile(file.path, read_only=self.is_read_only)) as reader:
            with self._committing:
                with self._guard:
                    pending = [change for _, change in self._pending]
                stored = reader.stored_labels(image)
            try:
                labels = stored.decode() if stored else None
            except InputError as error:
                reason = str(error).rstrip(".")
                raise InputError(f"{reason}; {mend_of(reader.path)}.") from error
            return replay(pending, image, labels, reader)

    def some_labels(self, image: Path) -> NDArray[np.uint8]:
        """Return what `load_labels` does, one empty pixel for None."""
        found = self.load_labels(image)
        return np.full((1, 1), IGNORE_INDEX, dtype=np.uint8) if found is None else found

    def close(self) -> None:
        """Close the project; what could not be stored is lost with the journal."""
        self._retry.stop()
        if self._writer is not None:
            self.store()
        with self._guard:
            self._pending.clear()
            self._has_failed = False
        # The writer last: whoever closes last folds SQLite's journal into the file.
        for opened in (self.file, self._writer):
            if opened is not None:
                try:
                    opened.close()
                except InputError:
                    _log.exception("closing the project")
        if self._lock_file is not None:
            self._lock_file.release()
        self._writer = self.file = self._lock_file = None

    @Slot()
    def _start(self) -> None:
        with self._guard:
            if self._is_writing or not self._pending or self._writer is None:
                return
            self._is_writing = True
        self._pool.start(_Work(self))

    def write_pending(self) -> None:
        """Write until nothing is pending or the disk fails; in the pool's thread."""
        size = _BATCH
        while True:
            with self._guard:
                batch = [self._pending[i] for i in range(min(size, len(self._pending)))]
                if not batch:
                    self._is_writing = False
                    return
            answer = self._write(batch)
            if isinstance(answer, Failed) and size > 1:
                size = 1  # there may be room for some of it
                continue
            number, change = batch[0]
            if isinstance(answer, Failed) and (
                answer.is_final or isinstance(change, SaveCheckpoints)
            ):
                with self._committing:
                    recovered = self._take_off(1)
                self._answered.emit(LetGo(number, change, answer.reason, recovered))
                continue
            if isinstance(answer, Failed):
                with self._guard:
                    self._is_writing, self._has_failed = False, True
            self._answered.emit(answer)
            if isinstance(answer, Failed):
                return

    def _write(self, batch: list[tuple[int, Change]]) -> Written | Failed:
        assert self._writer is not None
        with self._committing:
            try:
                receipt = self._writer.commit(batch)
            except ChangeError as error:
                _log.exception("storing")
                return Failed(str(error), is_final=True)
            except InputError as error:
                _log.warning("storing: %s", error)
                return Failed(str(error))
            except Exception as error:
                _log.exception("the journal's thread")
                return Failed(f"Storing failed ({type(error).__name__}); see the log.")
            has_recovered = self._take_off(len(batch))
        return Written(receipt, has_recovered)

    def _take_off(self, count: int) -> bool:
        """Take settled changes off what is pending; return whether a failing disk is over."""
        with self._guard:
            for _ in range(count):
                self._pending.popleft()
            has_recovered = self._has_failed and not self._pending
            self._has_failed = self._has_failed and not has_recovered
        return has_recovered

    @Slot(object)
    def _on_answered(self, answer: Written | Failed | LetGo) -> None:
        """Tell what became of changes; in the window's thread."""
        if self._writer is None:
            return  # it was closed before its answer came
        if isinstance(answer, Failed):
            self._retry.start()
            if not self._said_failed:
                self._said_failed = True
                self.failed.emit(answer.reason)
            return
        if isinstance(answer, LetGo):
            if isinstance(answer.change, SaveCheckpoints):
                self.let_go.emit(answer.number, answer.reason)
            else:
                self.refused.emit(answer.change, answer.reason)
        else:
            self._said_failed = False  # said again should it fail again
            self.receipt.emit(answer.receipt)
            self.stored.emit(answer.receipt.number)
        if answer.has_recovered:
            self._said_failed = False
            self._retry.stop()
            self.recovered.emit()


class _Work(QRunnable):
    """A journal's writing, for its pool."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    def run(self) -> None:
        """Do the work; called in the pool's thread."""
        self._journal.write_pending()


def _can_write(path: Path) -> bool:
    """Return whether a project can be written where it lies."""
    if path.exists():
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)
    with errors(path, "opened"):
        path.parent.mkdir(parents=True, exist_ok=True)
    return os.access(path.parent, os.W_OK | os.X_OK)
