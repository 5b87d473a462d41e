"""A project file opened by a command, to read or to change, while no window writes into it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.storage.changes import Change
from app.storage.project_file import ProjectFile
from app.storage.project_lock import ProjectLock
from app.storage.project_writer import ProjectWriter
from app.storage.schema import connect_writer
from mdlstm_core.errors import InputError


class OpenProject:
    """A project that belongs to this process.

    Attributes:
        file: reads it.
    """

    def __init__(self, file: ProjectFile, writer: ProjectWriter) -> None:
        self.file = file
        self._writer = writer

    @property
    def next_step(self) -> int:
        """The number of the next step of the history; those undone make place for it."""
        headers, done = self.file.history()
        return max([done, *(header.number for header in headers)]) + 1

    def commit(self, changes: Sequence[Change]) -> None:
        """Write changes, all or none; they are on disk when this returns.

        Raises:
            InputError: they cannot be written.
        """
        if changes:
            self._writer.commit(list(enumerate(changes)))


@contextmanager
def reading_project(path: Path) -> Iterator[ProjectFile]:
    """Give a project to read, whoever else has it open.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"There is no project {path}.")
    file = ProjectFile(path)
    try:
        yield file
    finally:
        file.close()


@contextmanager
def writing_project(path: Path, *, make: bool = False) -> Iterator[OpenProject]:
    """Give a project to change; nobody else can meanwhile.

    Args:
        path: the project's file.
        make: it must not be there yet, and is made by the first change.

    Raises:
        InputError: there is none, a window has it open, or it cannot be written.
    """
    if make and path.exists():
        raise InputError(f"There is a project {path} already; add to it, or choose another --out.")
    if not make and not path.is_file():
        raise InputError(f"There is no project {path}.")
    lock = ProjectLock(path)
    try:
        is_ours = lock.acquire()
    except (OSError, sqlite3.Error) as error:
        raise InputError(f"The project {path} cannot be written: {error}.") from error
    if not is_ours:
        raise InputError(f"{path} is open in a window or another command; close it there first.")
    try:
        if not make:
            connect_writer(path).close()  # makes an older version the newest
        file, writer = ProjectFile(path), ProjectWriter(path)
        try:
            yield OpenProject(file, writer)
        finally:
            # The writer last: whoever closes last folds SQLite's journal into the file.
            file.close()
            writer.close()
    finally:
        lock.release()
