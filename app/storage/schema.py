"""The tables of a project file, its versions, and how an older one becomes the newest."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mdlstm_core.errors import InputError

TILE = 256
"""Pixels a side of a tile."""

APPLICATION_ID = 0x4D444C50  # "MDLP"
VERSION = 3

_VERSION_1 = """
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

_VERSION_2 = """
ALTER TABLE images ADD COLUMN bytes INTEGER;
ALTER TABLE images ADD COLUMN digest BLOB;
ALTER TABLE images ADD COLUMN done INTEGER NOT NULL DEFAULT 0;
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO settings
    SELECT 'model_classes', json_group_array(name) FROM (SELECT name FROM classes ORDER BY position)
    HAVING count(*) > 0;
INSERT INTO settings
    SELECT 'classes', json_object('classes', json_group_array(json_object(
        'label', position, 'name', name, 'color', json_array(red, green, blue),
        'hidden', json('false'), 'locked', json('false'))), 'removed', json_array())
    FROM (SELECT * FROM classes ORDER BY position)
    HAVING count(*) > 0;
DROP TABLE classes;
CREATE TABLE steps (
    number INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    image INTEGER REFERENCES images,
    size INTEGER NOT NULL,
    classes TEXT
);
CREATE TABLE patches (
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    image INTEGER NOT NULL REFERENCES images,
    top INTEGER NOT NULL,
    left INTEGER NOT NULL,
    bottom INTEGER NOT NULL,
    right INTEGER NOT NULL,
    mask BLOB NOT NULL,
    before BLOB NOT NULL,
    after NOT NULL,
    PRIMARY KEY (step, image, top, left)
);
"""

_VERSION_3 = """
CREATE TABLE checkpoints (
    number INTEGER PRIMARY KEY,
    created TEXT NOT NULL,
    origin TEXT NOT NULL,
    strokes INTEGER NOT NULL,
    strokes_hash TEXT NOT NULL,
    figures TEXT NOT NULL,
    thumbnail BLOB NOT NULL,
    size INTEGER NOT NULL,
    checkpoint BLOB NOT NULL
);
INSERT INTO checkpoints
    SELECT 1, created, 'start', 0, '', '', x'', length(checkpoint), checkpoint
    FROM models WHERE role = 'base';
INSERT INTO checkpoints
    SELECT 2, created, 'learned', 0, '', '', x'', length(checkpoint), checkpoint
    FROM models WHERE role = 'learned' AND NOT EXISTS (SELECT 1 FROM models AS other
        WHERE other.role = 'base' AND other.checkpoint = models.checkpoint);
CREATE TABLE roles (
    role TEXT PRIMARY KEY CHECK (role IN ('base', 'learned')),
    checkpoint INTEGER NOT NULL REFERENCES checkpoints
);
INSERT INTO roles SELECT 'base', min(number) FROM checkpoints HAVING count(*) > 0;
INSERT INTO roles SELECT 'learned', max(number) FROM checkpoints HAVING count(*) > 0;
DROP TABLE models;
ALTER TABLE steps ADD COLUMN models TEXT;
"""

_MIGRATIONS = (_VERSION_1, _VERSION_2, _VERSION_3)
"""What makes each version out of the one before; the first out of nothing."""


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open a project file to write; one that is not there is made, an older one migrated.

    Raises:
        InputError: the file is damaged, foreign, newer than this program, or cannot be
            opened.
    """
    with errors(path, "opened"):
        _check_length(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # The writer has a thread of its own, which may wait.
        database = sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False)
        return _prepared(database, path)


def connect_reader(path: Path, *, read_only: bool) -> sqlite3.Connection | None:
    """Open a project file to read; None if nothing is in it yet.

    Args:
        path: the file, which is there.
        read_only: the project belongs to another window, or cannot be written.

    Raises:
        InputError: see `connect_writer`.
    """
    with errors(path, "opened"):
        _check_length(path)
        if not read_only:
            return _connect_reader(path, "mode=rw")
        try:
            return _connect_reader(path, "mode=ro")
        except sqlite3.OperationalError as error:
            # A WAL database wants to write beside itself, if only to be read. Without a
            # WAL the file is whole by itself.
            if "locked" in str(error) or Path(f"{path}-wal").exists():
                raise
            return _connect_reader(path, "mode=ro&immutable=1")


@contextmanager
def errors(path: Path, done: str) -> Iterator[None]:
    """Turn what SQLite and the disk raise into one sentence."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        mend = f"; {mend_of(path)}" if is_damage(error) else ""
        raise InputError(f"The project {path} cannot be {done}: {error}{mend}.") from error


def is_damage(error: Exception) -> bool:
    """Return whether SQLite says that the file is damaged, or no database at all."""
    return type(error) is sqlite3.DatabaseError  # its kinds are for all else


def mend_of(path: Path) -> str:
    """Return what can be done about a damaged project."""
    return f"salvage it by “mdlstm project repair {path}”, or move it away"


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Do everything inside or nothing of it."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # SQLite may have ended it itself when the disk is full
            database.execute("ROLLBACK")
        raise


def version_of(database: sqlite3.Connection, path: Path) -> int:
    """Return the schema's version, 0 of an empty file.

    Raises:
        InputError: the database is another program's, or of a newer version.
    """
    # One moment of the file: another connection may be making the tables.
    database.execute("BEGIN")
    try:
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        database.execute("ROLLBACK")
    if tables and application != APPLICATION_ID:
        raise InputError(f"{path} is a database of another program, not a project; move it away.")
    if version > VERSION:
        raise InputError(f"{path} was made by a newer version; update this program.")
    return int(version) if tables else 0


def _connect_reader(path: Path, options: str) -> sqlite3.Connection | None:
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        isolation_level=None,
        timeout=2,
        check_same_thread=False,
    )
    try:
        version = version_of(database, path)
        database.execute("PRAGMA query_only = ON")
    except BaseException:
        database.close()
        raise
    if version == 0:
        database.close()
        return None
    return database if version == VERSION else _migrated_copy(database)


def _migrated_copy(database: sqlite3.Connection) -> sqlite3.Connection:
    """Return a copy in memory of an older file, made the newest version."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    database.backup(copy)
    database.close()
    _migrate(copy)
    return copy


def _prepared(database: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    try:
        version = version_of(database, path)
        database.execute("PRAGMA journal_mode = WAL")
        # FULL: what is acknowledged outlives a power cut too.
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        if version < VERSION:
            _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _migrate(database: sqlite3.Connection) -> None:
    with transaction(database):
        (version,) = database.execute("PRAGMA user_version").fetchone()
        for migration in _MIGRATIONS[version:]:
            for statement in migration.split(";"):
                database.execute(statement)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {VERSION}")


def _check_length(path: Path) -> None:
    """Refuse a file that was cut off: SQLite would notice only at the missing pages.

    Raises:
        InputError: it was.
    """
    if not path.exists() or Path(f"{path}-wal").exists():
        return
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return  # SQLite says what it thinks of it
    (page,) = struct.unpack(">H", header[16:18])
    changes, pages = struct.unpack(">II", header[24:32])
    (valid_for,) = struct.unpack(">I", header[92:96])
    if changes == valid_for and pages * (65536 if page == 1 else page) > path.stat().st_size:
        raise InputError(
            f"The project {path} is truncated; put a whole copy of it in its place, "
            f"{mend_of(path)}."
        )
