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
from hashlib import sha256
from pathlib import Path

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
    id INTEGER PRIMARY KEY,
    created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    checkpoint BLOB NOT NULL
);
"""


def project_path_for(image: Path) -> Path:
    """Return where the project of an image lies: beside it, or in the user's data folder.

    The latter if the image's folder cannot be written into.
    """
    folder = image.absolute().parent
    beside = folder / f"{folder.name or 'images'}.mdlp"
    if beside.exists() or os.access(folder, os.W_OK | os.X_OK):
        return beside
    data = platformdirs.user_data_path("mdlstm-labeler", appauthor=False) / "projects"
    digest = sha256(str(folder).encode()).hexdigest()[:12]
    return data / f"{folder.name}-{digest}.mdlp"


class ProjectFile:
    """An open project file. Every method that writes has written when it returns.

    All raise `InputError` when the file cannot be read or written, with the reason.
    """

    def __init__(self, path: Path) -> None:
        """Open a project file, or make it.

        Raises:
            InputError: the file is damaged, foreign, newer than this program, or cannot
                be opened.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"The project {path} cannot be opened: {error}.") from error
        try:
            with self._errors("opened"):
                self._prepare()
        except InputError:
            self._database.close()
            raise

    def _prepare(self) -> None:
        """Check that the file is ours, and make the tables of a new one."""
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != _APPLICATION_ID:
            raise InputError(f"{self.path} is a database of another program, not a project.")
        if version > _VERSION:
            raise InputError(f"{self.path} was made by a newer version; update this program.")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute("PRAGMA foreign_keys = ON")
        if not tables:
            with self._transaction():
                for statement in _SCHEMA.split(";"):
                    self._database.execute(statement)
                self._database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                self._database.execute(f"PRAGMA user_version = {_VERSION}")

    def images(self) -> list[Path]:
        """Return the images that have been labeled, in the order they were first."""
        with self._errors("read"):
            rows = self._database.execute("SELECT path FROM images ORDER BY id").fetchall()
        return [self.path.parent / path for (path,) in rows]

    def load_corrections(self, image: Path) -> NDArray[np.uint8] | None:
        """Return what a person set on an image, H×W; None if it was never labeled."""
        with self._errors("read"):
            found = self._database.execute(
                "SELECT id, height, width FROM images WHERE path = ?", (self._key(image),)
            ).fetchone()
            if found is None:
                return None
            number, height, width = found
            values = np.full((height, width), IGNORE_INDEX, dtype=np.uint8)
            for row, column, labels in self._database.execute(
                "SELECT row, column, labels FROM tiles WHERE image = ?", (number,)
            ):
                tile = values[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
                tile[:] = np.frombuffer(zlib.decompress(labels), np.uint8).reshape(tile.shape)
        return values

    def save_corrections(
        self, image: Path, values_HW: NDArray[np.uint8], box: tuple[int, int, int, int]
    ) -> None:
        """Store the tiles of a label map that a box (top, left, bottom, right) touches."""
        top, left, bottom, right = box
        with self._errors("written"), self._transaction():
            number = self._image_number(image, values_HW)
            for row in range(top // TILE, -(-bottom // TILE)):
                for column in range(left // TILE, -(-right // TILE)):
                    self._save_tile(number, row, column, values_HW)

    def classes(self) -> tuple[LabelClass, ...]:
        """Return what the labels stand for, in their order; empty before it was saved."""
        with self._errors("read"):
            rows = self._database.execute(
                "SELECT name, red, green, blue FROM classes ORDER BY position"
            ).fetchall()
        return tuple(LabelClass(name, (red, green, blue)) for name, red, green, blue in rows)

    def save_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Store what the labels stand for."""
        with self._errors("written"), self._transaction():
            self._database.execute("DELETE FROM classes")
            self._database.executemany(
                "INSERT INTO classes VALUES (?, ?, ?, ?, ?)",
                [(position, c.name, *c.color) for position, c in enumerate(classes)],
            )

    def save_model(self, checkpoint: bytes) -> None:
        """Store a learned model; it is the project's from now on."""
        with self._errors("written"), self._transaction():
            self._database.execute("DELETE FROM models")
            self._database.execute("INSERT INTO models (checkpoint) VALUES (?)", (checkpoint,))

    def load_model(self) -> bytes | None:
        """Return the checkpoint of the project's model, None if it has learned nothing yet."""
        with self._errors("read"):
            found = self._database.execute(
                "SELECT checkpoint FROM models ORDER BY id DESC LIMIT 1"
            ).fetchone()
        return found[0] if found else None

    def close(self) -> None:
        """Close the file; SQLite folds its journal into it."""
        self._database.close()

    def _image_number(self, image: Path, values_HW: NDArray[np.uint8]) -> int:
        self._database.execute(
            "INSERT OR IGNORE INTO images (path, height, width) VALUES (?, ?, ?)",
            (self._key(image), *values_HW.shape),
        )
        (number,) = self._database.execute(
            "SELECT id FROM images WHERE path = ?", (self._key(image),)
        ).fetchone()
        return int(number)

    def _save_tile(self, number: int, row: int, column: int, values_HW: NDArray[np.uint8]) -> None:
        tile = values_HW[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
        if (tile == IGNORE_INDEX).all():
            self._database.execute(
                "DELETE FROM tiles WHERE image = ? AND row = ? AND column = ?",
                (number, row, column),
            )
            return
        labels = zlib.compress(tile.tobytes(), level=1)
        self._database.execute(
            "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?)", (number, row, column, labels)
        )

    def _key(self, image: Path) -> str:
        """Return an image's path as stored: relative to the project where that works."""
        try:
            return image.absolute().relative_to(self.path.absolute().parent).as_posix()
        except ValueError:
            return image.absolute().as_posix()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._database.in_transaction:  # SQLite ends it itself when the disk is full
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        """Turn what SQLite raises into one sentence."""
        try:
            yield
        except (sqlite3.Error, zlib.error, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"The project {self.path} cannot be {done}: {error}.") from error
