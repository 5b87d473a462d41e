"""A set of ids on the disk: a billion of them would not fit into the memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path


class SeenIds:
    """A set of ids that several processes may ask while one adds to it.

    A scratch file: nothing of it has to survive the computer's end.

    Args:
        path: its file, made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        # None: each statement is a transaction of its own.
        self._file = sqlite3.connect(path, timeout=60, isolation_level=None)
        # Those who ask never wait for the one who adds.
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("CREATE TABLE IF NOT EXISTS ids (key BLOB PRIMARY KEY) WITHOUT ROWID")

    def __contains__(self, name: str) -> bool:
        """Say whether the id was added."""
        found = self._file.execute("SELECT 1 FROM ids WHERE key = ?", (_key(name),))
        return found.fetchone() is not None

    def add(self, name: str) -> bool:
        """Add an id; say whether it is new."""
        added = self._file.execute("INSERT OR IGNORE INTO ids VALUES (?)", (_key(name),))
        return added.rowcount == 1

    @contextmanager
    def many(self) -> Iterator[None]:
        """Add faster inside."""
        self._file.execute("BEGIN")
        yield
        self._file.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _key(name: str) -> bytes:
    # Two of a billion names share 128 bits with a chance below 2 in 10²¹.
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
