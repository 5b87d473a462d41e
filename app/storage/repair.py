"""Salvaging a damaged project: what can be read goes into a new file, the old one stays."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from app.document.class_table import ClassTable
from app.document.packed_patch import PackedPatch
from app.document.stroke import Box
from app.storage.inspection import fault_of_patch, is_model
from app.storage.project_file import class_change_from_json
from app.storage.schema import APPLICATION_ID, TILE, VERSION, connect_writer, errors, transaction
from app.storage.tiles import decoded
from mdlstm_core.errors import InputError

_MOST_MISSES = 20_000
"""Row numbers in a row that are looked for behind one that cannot be read."""

_TABLES = ("steps", "patches", "settings", "checkpoints", "roles")
"""What is copied row by row, beside the images and their label maps."""

_Row = tuple[Any, ...]


class Salvage(NamedTuple):
    """What became of a project.

    Attributes:
        kept: rows that the new file has, by table.
        lost: what it has not, a sentence each.
    """

    kept: dict[str, int]
    lost: list[str]


def salvage(path: Path, out: Path) -> Salvage:
    """Write what can be read of a project into a new file.

    Args:
        path: the damaged project, which is not changed; nobody must have it open.
        out: the new file, which must not be there yet.

    Raises:
        InputError: nothing can be read, or the new file cannot be written.
    """
    if out.exists():
        raise InputError(f"{out} is there already; choose another --out.")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.mdlp"
        with errors(path, "copied"):
            for suffix in ("", "-wal"):  # SQLite writes the rest of it
                if Path(f"{path}{suffix}").exists():
                    shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
        with closing(_opened(copy, path)) as old:
            tables = _tables(old, path)
            try:
                with closing(connect_writer(out)) as new:
                    return _Salvaging(old, new, tables).run()
            except BaseException:
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{out}{suffix}").unlink(missing_ok=True)
                raise


def _opened(copy: Path, path: Path) -> sqlite3.Connection:
    """Open the copy, made the newest version if that is possible."""
    database = sqlite3.connect(copy, isolation_level=None)
    try:
        # Otherwise SQLite reads nothing of a file that was cut off.
        database.execute("PRAGMA writable_schema = ON")
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        database.close()
        raise InputError(f"Nothing of {path} can be read: {error}.") from error
    if application != APPLICATION_ID or version > VERSION:
        database.close()
        raise InputError(f"{path} is no project, or one of a newer version of this program.")
    if version < VERSION:
        database.close()
        return connect_writer(copy)
    return database


def _tables(database: sqlite3.Connection, path: Path) -> list[str]:
    """Return the names of the tables.

    Raises:
        InputError: not even these can be read.
    """
    with errors(path, "read"):
        rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [name for (name,) in rows if not name.startswith("sqlite_")]


class _Salvaging:
    """Copies table by table; whatever is damaged is left out and named."""

    def __init__(self, old: sqlite3.Connection, new: sqlite3.Connection, tables: list[str]) -> None:
        self._old, self._new, self._tables = old, new, tables
        self._lost: list[str] = []
        self._kept: Counter[str] = Counter()
        self._missed: Counter[str] = Counter()

    def run(self) -> Salvage:
        """Copy what can be read."""
        self._new.execute("PRAGMA foreign_keys = OFF")
        known = {"images", "tiles", *_TABLES}
        with transaction(self._new):
            self._copy("images")
            self._copy_tiles()
            for table in _TABLES:
                self._copy(table, _SOUND.get(table))
            for table in self._tables:
                if table not in known:
                    self._copy(table)
            self._cut_history()
            self._drop_orphans()
        return Salvage({**self._kept}, self._lost)

    def _copy(self, table: str, is_sound: Callable[[_Row], bool] | None = None) -> None:
        """Copy the rows that can be read and are sound."""
        missed = 0
        for row in self._rows(table):
            if row is None or (is_sound is not None and not is_sound(row)):
                missed += 1
                continue
            self._insert(table, row)
        self._missed[table] = missed
        if missed:
            self._lost.append(f"Of the table {table}, {missed} or more rows are damaged.")

    def _rows(self, table: str) -> Iterator[_Row | None]:
        """Yield a table's rows by their numbers; None for each stretch that is damaged."""
        number, misses = -(1 << 62), 0
        if not self._has_numbers(table):
            yield from self._old.execute(f"SELECT * FROM {table}")
            return
        query = f"SELECT rowid, * FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT 1"
        while misses < _MOST_MISSES:
            try:
                row = self._old.execute(query, (number,)).fetchone()
            except sqlite3.Error:
                if misses == 0:
                    yield None
                # What can be read further on has higher numbers, none of which is negative.
                number, misses = max(number, 0) + 1, misses + 1
                continue
            if row is None:
                return
            number, misses = row[0], 0
            yield row[1:]

    def _has_numbers(self, table: str) -> bool:
        try:
            self._old.execute(f"SELECT rowid FROM {table} LIMIT 0")
        except sqlite3.OperationalError:
            return False
        return True

    def _copy_tiles(self) -> None:
        """Copy label maps tile by tile: their keys follow from the sizes of the images."""
        images = self._new.execute("SELECT id, path, height, width FROM images").fetchall()
        for image, path, height, width in images:
            lost = 0
            for row in range(-(-height // TILE)):
                for column in range(-(-width // TILE)):
                    shape = min(TILE, height - row * TILE), min(TILE, width - column * TILE)
                    lost += not self._copy_tile((image, row, column), shape)
            if lost:
                self._lost.append(f"{path}: {lost} tiles of {TILE}×{TILE} pixels are damaged.")

    def _copy_tile(self, key: tuple[int, int, int], shape: tuple[int, int]) -> bool:
        try:
            found = self._old.execute(
                "SELECT labels FROM tiles WHERE image = ? AND row = ? AND column = ?", key
            ).fetchone()
            if found is not None:
                decoded(found[0], shape)
                self._insert("tiles", (*key, found[0]))
        except (sqlite3.Error, InputError):
            return False
        return True

    def _cut_history(self) -> None:
        """Forget the steps up to the last one that is not whole: no undo may pass it."""
        numbers = [n for (n,) in self._new.execute("SELECT number FROM steps")]
        last = max(self._steps_not_whole(), default=0)
        position = self._new.execute(
            "SELECT value FROM settings WHERE name = 'history_position'"
        ).fetchone()
        if not position or last > int(position[0]):
            last = max([last, *numbers])  # nor may a step that was undone be made again
        self._new.execute("DELETE FROM patches WHERE step <= ?", (last,))
        self._new.execute("DELETE FROM steps WHERE number <= ?", (last,))
        if gone := sum(number <= last for number in numbers):
            self._lost.append(f"{gone} steps of the history cannot be undone any more.")

    def _steps_not_whole(self) -> set[int]:
        sizes: Counter[int] = Counter()
        bad: set[int] = set()
        for step, height, width, top, left, bottom, right, *content in self._new.execute(
            "SELECT step, height, width, top, left, bottom, right, mask, before, after"
            " FROM patches LEFT JOIN images ON images.id = patches.image"
        ):
            box = Box(top, left, bottom, right)
            sizes[step] += PackedPatch(box, *content).nbytes
            if height is None or fault_of_patch((height, width), box, *content):
                bad.add(step)
        steps = self._new.execute("SELECT number, size, classes FROM steps").fetchall()
        if self._missed["patches"]:  # which leave no trace in their steps, but their sizes
            bad |= {n for n, size, classes in steps if sizes[n] + len(classes or "") != size}
        return bad | (set(sizes) - {number for number, _, _ in steps})

    def _drop_orphans(self) -> None:
        """Delete rows that belong to rows that are lost."""
        for table, row, _parent, _ in self._new.execute("PRAGMA foreign_key_check").fetchall():
            if row is not None:
                self._new.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))
        # A project works with two models, which may be one, or none.
        self._new.execute("DELETE FROM roles WHERE (SELECT count(*) FROM roles) < 2")

    def _insert(self, table: str, row: _Row) -> None:
        marks = ", ".join("?" * len(row))
        with suppress(sqlite3.IntegrityError):  # a damaged index lists a row twice
            self._new.execute(f"INSERT INTO {table} VALUES ({marks})", row)
            self._kept[table] += 1


def _is_sound_setting(row: _Row) -> bool:
    name, value = row
    return name != "classes" or _can(ClassTable.from_json, value)


def _is_sound_step(row: _Row) -> bool:
    return not row[4] or _can(class_change_from_json, row[4])


def _is_sound_model(row: _Row) -> bool:
    return is_model(row[-1])


def _can(read: Callable[[Any], object], value: Any) -> bool:
    try:
        read(value)
    except InputError:
        return False
    return True


_SOUND: dict[str, Callable[[_Row], bool]] = {
    "settings": _is_sound_setting,
    "steps": _is_sound_step,
    "checkpoints": _is_sound_model,
}
