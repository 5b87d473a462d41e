"""The lock that keeps a second window from writing into a project."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import suppress
from pathlib import Path


class ProjectLock:
    """A lock on a project's path that ends with the process, however it ends.

    It is SQLite's own lock on an empty file beside the project: the same on every system,
    and where the project itself can be read by others meanwhile.
    """

    def __init__(self, project: Path) -> None:
        self._path = project.with_name(f".{project.name}.lock")
        self._database: sqlite3.Connection | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody has it; return whether it is held.

        Raises:
            OSError, sqlite3.Error: nothing can be written beside the project.
        """
        while self._database is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()
            before = self._identity()
            database = sqlite3.connect(
                self._path, isolation_level=None, timeout=0, check_same_thread=False
            )
            try:
                database.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                database.close()
                if "locked" in str(error):
                    return False
                raise
            if self._identity() == before is not None:
                self._database = database
            else:
                database.close()  # its last holder removed the file just now
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._database is None:
            return
        if sys.platform != "win32":  # there a file in use cannot be removed
            self._path.unlink(missing_ok=True)
        self._database.close()
        self._database = None
        if sys.platform == "win32":
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino
