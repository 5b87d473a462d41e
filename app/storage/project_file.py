"""The project file: one SQLite database that holds every stroke when the pen lifts.

SQLite, because it survives being killed at any instant and a change writes kilobytes.
Label maps lie in tiles, each compressed; a tile without labels has no row.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import platformdirs
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.errors import InputError

TILE = 256
"""Pixels a side of a tile."""

_APPLICATION_ID = 0x4D444C50  # "MDLP"
_VERSION = 1
_SCHEMA = """
CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    height INTEGER NOT NULL,
    width INTEGER NOT NULL
);
CREATE TABLE tiles (
    image INTEGER NOT NULL REFERENCES images ON DELETE CASCADE,
    row INTEGER NOT NULL,
    column INTEGER NOT NULL,
    labels BLOB NOT NULL,
    PRIMARY KEY (image, row, column)
) WITHOUT ROWID;
CREATE TABLE classes (
    position INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    red INTEGER NOT NULL,
    green INTEGER NOT NULL,
    blue INTEGER NOT NULL
);
CREATE TABLE models (
    role TEXT PRIMARY KEY CHECK (role IN ('base', 'learned')),
    created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    checkpoint BLOB NOT NULL
);
"""


def project_path_for(image: Path) -> Path:
    """Return where the project of an image lies: beside it, or in the user's data folder.

    The latter if the image's folder cannot be written into.
    """
    folder = Path(os.path.abspath(image)).parent
    beside = folder / f"{folder.name or 'images'}.mdlp"
    if beside.exists() or os.access(folder, os.W_OK | os.X_OK):
        return beside
    data = platformdirs.user_data_path("mdlstm-labeler", appauthor=False) / "projects"
    digest = sha256(str(folder).encode()).hexdigest()[:12]
    return data / f"{folder.name}-{digest}.mdlp"


def project_of(projects: list[Path], images: list[Path]) -> Path:
    """Return the one project file that the given projects and images belong to.

    Raises:
        InputError: there is no such project, or they belong to several.
    """
    wanted = dict.fromkeys([*projects, *(project_path_for(image) for image in images)])
    if len(wanted) > 1:
        folders = ", ".join(str(path.parent) for path in wanted)
        raise InputError(f"Open one folder at a time; these lie in several: {folders}.")
    (project,) = wanted
    if projects and not project.is_file():
        raise InputError(f"There is no project {project}.")
    return project


@dataclass(frozen=True)
class StoredLabels:
    """A label map as it is stored: its size and its compressed tiles (row, column, labels)."""

    height: int
    width: int
    tiles: tuple[tuple[int, int, bytes], ...]

    def decode(self) -> NDArray[np.uint8]:
        """Return the label map H×W.

        Raises:
            InputError: a tile is damaged.
        """
        values = np.full((self.height, self.width), IGNORE_INDEX, dtype=np.uint8)
        for row, column, labels in self.tiles:
            tile = values[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
            try:
                tile[:] = np.frombuffer(zlib.decompress(labels), np.uint8).reshape(tile.shape)
            except (zlib.error, ValueError) as error:
                raise InputError(f"A stored label map is damaged: {error}.") from error
        return values


class ProjectFile:
    """An open project file. Every method that writes has written when it returns.

    A project that does not exist yet is made when something is first written: looking at
    images leaves nothing behind. All methods raise `InputError` when the file cannot be
    read or written, with the reason.
    """

    def __init__(self, path: Path) -> None:
        """Open a project file, if there is one.

        Raises:
            InputError: the file is damaged, foreign, newer than this program, open in
                another window, or cannot be opened.
        """
        self.path = path
        self._database: sqlite3.Connection | None = None
        if path.exists():
            self._connect()

    def _connect(self) -> sqlite3.Connection:
        """Open the file for this window alone."""
        with self._errors("opened"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # timeout 0: whoever paints must not wait for another program.
            database = sqlite3.connect(self.path, isolation_level=None, timeout=0)
            try:
                self._prepare(database)
            except BaseException:
                database.close()
                raise
        self._database = database
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        """Check that the file is ours, lock it, and make the tables of a new one."""
        # The lock ends with the process, however it ends.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != _APPLICATION_ID:
            raise InputError(f"{self.path} is a database of another program, not a project.")
        if version > _VERSION:
            raise InputError(f"{self.path} was made by a newer version; update this program.")
        database.execute("PRAGMA journal_mode = WAL")
        # FULL: what is acknowledged outlives a power cut too.
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        with _transaction(database):
            if not tables:
                for statement in _SCHEMA.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                database.execute(f"PRAGMA user_version = {_VERSION}")

    def images(self) -> list[Path]:
        """Return the images that have been labeled, in the order they were first."""
        rows = self._read("SELECT path FROM images ORDER BY id")
        return [self.path.parent / path for (path,) in rows]

    def stored_labels(self, image: Path) -> StoredLabels | None:
        """Return what a person set on an image, as stored; None if it was never labeled."""
        found = self._read(
            "SELECT id, height, width FROM images WHERE path = ?", (self._key(image),)
        )
        if not found:
            return None
        ((number, height, width),) = found
        tiles = self._read("SELECT row, column, labels FROM tiles WHERE image = ?", (number,))
        return StoredLabels(height, width, tuple(tiles))

    def save_corrections(
        self, image: Path, values_HW: NDArray[np.uint8], box: tuple[int, int, int, int]
    ) -> None:
        """Store the tiles of a label map that a box (top, left, bottom, right) touches."""
        top, left, bottom, right = box
        with self._writing() as database:
            number = self._image_number(database, image, values_HW)
            for row in range(top // TILE, -(-bottom // TILE)):
                for column in range(left // TILE, -(-right // TILE)):
                    _save_tile(database, number, row, column, values_HW)

    def classes(self) -> tuple[LabelClass, ...]:
        """Return what the labels stand for, in their order; empty before it was saved."""
        rows = self._read("SELECT name, red, green, blue FROM classes ORDER BY position")
        return tuple(LabelClass(name, (red, green, blue)) for name, red, green, blue in rows)

    def save_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Store what the labels stand for."""
        with self._writing() as database:
            database.execute("DELETE FROM classes")
            database.executemany(
                "INSERT INTO classes VALUES (?, ?, ?, ?, ?)",
                [(position, c.name, *c.color) for position, c in enumerate(classes)],
            )

    def save_models(self, base: bytes, learned: bytes) -> None:
        """Store the checkpoint that learning starts from, and the one it led to."""
        with self._writing() as database:
            database.executemany(
                "INSERT OR REPLACE INTO models (role, checkpoint) VALUES (?, ?)",
                [("base", base), ("learned", learned)],
            )

    def load_model(self, role: Literal["base", "learned"]) -> bytes | None:
        """Return one of the checkpoints of `save_models`, None before the first learning."""
        found = self._read("SELECT checkpoint FROM models WHERE role = ?", (role,))
        return found[0][0] if found else None

    def close(self) -> None:
        """Close the file; SQLite folds its journal into it."""
        if self._database:
            self._database.close()
            self._database = None

    def _read(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        if self._database is None:
            return []
        with self._errors("read"):
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        database = self._database or self._connect()
        with self._errors("written"), _transaction(database):
            yield database

    def _image_number(
        self, database: sqlite3.Connection, image: Path, values_HW: NDArray[np.uint8]
    ) -> int:
        database.execute(
            "INSERT OR IGNORE INTO images (path, height, width) VALUES (?, ?, ?)",
            (self._key(image), *values_HW.shape),
        )
        (number,) = database.execute(
            "SELECT id FROM images WHERE path = ?", (self._key(image),)
        ).fetchone()
        return int(number)

    def _key(self, image: Path) -> str:
        """Return an image's path as stored: relative to the project where that works."""
        try:
            return image.absolute().relative_to(self.path.absolute().parent).as_posix()
        except ValueError:
            return image.absolute().as_posix()

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        """Turn what SQLite and the disk raise into one sentence."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise InputError(
                    f"The project {self.path} is open in another window; close it there first."
                ) from error
            raise InputError(f"The project {self.path} cannot be {done}: {error}.") from error
        except (sqlite3.Error, OSError) as error:
            raise InputError(f"The project {self.path} cannot be {done}: {error}.") from error


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # SQLite may have ended it itself when the disk is full
            database.execute("ROLLBACK")
        raise


def _save_tile(
    database: sqlite3.Connection,
    number: int,
    row: int,
    column: int,
    values_HW: NDArray[np.uint8],
) -> None:
    tile = values_HW[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
    if (tile == IGNORE_INDEX).all():
        database.execute(
            "DELETE FROM tiles WHERE image = ? AND row = ? AND column = ?", (number, row, column)
        )
        return
    labels = zlib.compress(tile.tobytes(), level=1)
    database.execute(
        "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?)", (number, row, column, labels)
    )
