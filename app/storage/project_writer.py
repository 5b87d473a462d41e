"""Writes changes into a project file: all that is given, or nothing of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from app.document.class_table import ClassTable
from app.document.packed_patch import PackedPatch
from app.document.project import Status
from app.document.steps import Do, ImagePatch, PackedImagePatch, Prune, Redo, Roles, Step, Undo
from app.document.stroke import Box
from app.storage.changes import (
    Change,
    DropCheckpoints,
    MarkDone,
    MoveImage,
    Receipt,
    SaveAccepted,
    SaveCheckpoints,
    SaveClasses,
    SaveFingerprint,
    SavePixels,
    SaveThumbnail,
    SaveWindow,
)
from app.storage.project_file import (
    ImageSetting,
    class_change_to_json,
    image_key,
    image_setting,
    model_change_to_json,
)
from app.storage.schema import connect_writer, errors, is_damage, mend_of, transaction
from app.storage.tiles import TiledLabels
from mdlstm_core.errors import InputError


class ChangeError(InputError):
    """A change cannot be written, whatever the disk does; to try again is of no use."""


class ProjectWriter:
    """The one connection that writes; a project that does not exist yet is made by it."""

    def __init__(self, path: Path) -> None:
        """Take the project's path; the lock on it must be held."""
        self.path = path
        self._database: sqlite3.Connection | None = None

    def commit(self, changes: Sequence[tuple[int, Change]]) -> Receipt:
        """Write numbered changes in one transaction; they are on disk when this returns.

        Raises:
            ChangeError: one of them cannot be written at all, and nothing of them was.
            InputError: they cannot be written for now, and nothing of them was.
        """
        if self._database is None:
            self._database = connect_writer(self.path)
        with errors(self.path, "written"), transaction(self._database), _change_errors(self.path):
            batch = _Batch(self._database, self.path)
            for _, change in changes:
                batch.write(change)
            statuses = batch.finish()
        return Receipt(changes[-1][0], batch.sizes, statuses)

    def close(self) -> None:
        """Close the file; SQLite folds its journal into it."""
        if self._database:
            with errors(self.path, "closed"):
                self._database.close()
            self._database = None


@contextmanager
def _change_errors(path: Path) -> Iterator[None]:
    """Tell what a change itself is to blame for from what the disk or the file is."""
    try:
        yield
    except (sqlite3.OperationalError, OSError, MemoryError):
        raise  # the disk is full, locked, read-only or broken
    except InputError as error:
        raise ChangeError(f"{str(error).rstrip('.')}; {mend_of(path)}.") from error
    except Exception as error:
        if is_damage(error):
            raise  # no other change could be written either
        raise ChangeError(f"The project does not take it ({error}); {mend_of(path)}.") from error


class _Batch:
    """The changes of one transaction; tiles are written once, at its end."""

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._database, self._path = database, path
        self._tiles: dict[int, TiledLabels] = {}
        self._touched: dict[Path, int] = {}
        self.sizes: dict[int, int] = {}

    def write(self, change: Change) -> None:
        """Write one change."""
        match change:
            case Do(step):
                self._do(step)
            case Undo(step):
                self._move(step, forward=False)
            case Redo(step):
                self._move(step, forward=True)
            case Prune(number):
                self._database.execute("DELETE FROM steps WHERE number <= ?", (number,))
            case SaveClasses(table, model):
                self._save_first("classes", table.to_json())
                self._save_first("model_classes", json.dumps(model))
            case SaveCheckpoints():
                self._save_checkpoints(change)
            case SaveThumbnail(number, thumbnail):
                self._database.execute(
                    "UPDATE checkpoints SET thumbnail = ? WHERE number = ?", (thumbnail, number)
                )
            case DropCheckpoints(numbers):
                self._database.executemany(
                    "DELETE FROM checkpoints WHERE number = ?"
                    " AND number NOT IN (SELECT checkpoint FROM roles)",
                    [(number,) for number in numbers],
                )
            case SaveFingerprint(image, fingerprint):
                self._database.execute(
                    "UPDATE images SET bytes = ?, digest = ? WHERE path = ?",
                    (*fingerprint, self._key(image)),
                )
            case MarkDone(image, height, width, done):
                number = self._image(image, height, width)
                self._database.execute("UPDATE images SET done = ? WHERE id = ?", (done, number))
            case SaveWindow(image, window):
                self._save_of(image, "window", json.dumps([window.low, window.high]))
            case SaveAccepted(image, accepted):
                self._save_of(image, "accepted", accepted)
            case SavePixels(pixels):
                self._save("pixels", json.dumps(pixels))
            case MoveImage(old, new):
                self._move_image(self._key(old), self._key(new))

    def _move_image(self, old: str, new: str) -> None:
        """Give an image another path, unless labels of another one are there."""
        if self._has_work(new):
            return
        self._database.execute("DELETE FROM images WHERE path = ?", (new,))
        self._database.execute("UPDATE images SET path = ? WHERE path = ?", (new, old))
        self._database.executemany(
            "UPDATE OR REPLACE settings SET name = ? WHERE name = ?",
            [(image_setting(w, new), image_setting(w, old)) for w in get_args(ImageSetting)],
        )

    def _has_work(self, key: str) -> bool:
        """Return whether an image has labels, or had some that the history knows."""
        (found,) = self._database.execute(
            "SELECT EXISTS (SELECT 1 FROM images WHERE path = ? AND ("
            " EXISTS (SELECT 1 FROM tiles WHERE image = images.id)"
            " OR EXISTS (SELECT 1 FROM patches WHERE image = images.id)"
            " OR EXISTS (SELECT 1 FROM steps WHERE image = images.id)))",
            (key,),
        ).fetchone()
        return bool(found)

    def finish(self) -> dict[Path, Status]:
        """Write the tiles; return what became of the images."""
        for tiles in self._tiles.values():
            tiles.save()
        return {image: self._status(number) for image, number in self._touched.items()}

    def _do(self, step: Step) -> None:
        self._database.execute("DELETE FROM steps WHERE number > ?", (self._position(),))
        image = self._image_of(step)
        classes = class_change_to_json(step.classes) if step.classes else None
        models = model_change_to_json(step.models) if step.models else None
        self._database.execute(
            "INSERT INTO steps VALUES (?, ?, ?, 0, ?, ?)",
            (step.number, step.text, image, classes, models),
        )
        size = len(classes or "")
        for found in step.patches:
            number = self._image(found.image, *found.size)
            self._write_patch(found, step, forward=True)
            size += self._save_patch(step.number, number, found.packed())
        if step.classes and step.classes.relabeled:
            size += self._relabel(step.number, *step.classes.relabeled)
        self.sizes[step.number] = size
        self._database.execute("UPDATE steps SET size = ? WHERE number = ?", (size, step.number))
        if step.classes:
            self._save("classes", step.classes.after.to_json())
        if step.models:
            self._save_roles(step.models.after)
        self._save("history_position", str(step.number))

    def _move(self, step: Step, *, forward: bool) -> None:
        if step.relabels:
            self._move_relabeling(step, forward=forward)
        for found in step.patches:
            self._write_patch(found, step, forward=forward)
        if step.classes:
            table: ClassTable = step.classes.after if forward else step.classes.before
            self._save("classes", table.to_json())
        if step.models:
            self._save_roles(step.models.after if forward else step.models.before)
        position = step.number
        if not forward:
            (before,) = self._database.execute(
                "SELECT max(number) FROM steps WHERE number < ?", (step.number,)
            ).fetchone()
            position = before or 0
        self._save("history_position", str(position))

    def _write_patch(
        self, found: ImagePatch | PackedImagePatch, step: Step, *, forward: bool
    ) -> None:
        tiles = self._labels(self._image_of_patch(found))
        tiles.write([found.patch], forward=forward)
        if step.spans_images:
            tiles.save()  # a project's label maps together are too much for memory

    def _move_relabeling(self, step: Step, *, forward: bool) -> None:
        images = self._database.execute(
            "SELECT DISTINCT image FROM patches WHERE step = ?", (step.number,)
        ).fetchall()
        for (number,) in images:
            rows = self._database.execute(
                "SELECT top, left, bottom, right, mask, before, after FROM patches"
                " WHERE step = ? AND image = ?",
                (step.number, number),
            ).fetchall()
            tiles = self._labels(number)
            packed = (PackedPatch(Box(*r[:4]), *r[4:]) for r in rows)
            tiles.write((found.unpack() for found in packed), forward=forward)
            tiles.save()  # a project's label maps together are too much for memory
            self._touch(number)

    def _relabel(self, step: int, source: int, target: int) -> int:
        """Give a class's pixels of all images another label; return the bytes of its step."""
        size = 0
        for (number,) in self._database.execute("SELECT id FROM images").fetchall():
            tiles = self._labels(number)
            tiles.save()  # what is read next lies in the file
            patches = tiles.relabel(source, target)
            for patch in patches:
                size += self._save_patch(step, number, PackedPatch.of(patch))
            tiles.save()  # a project's label maps together are too much for memory
            if patches:
                self._touch(number)
        return size

    def _save_patch(self, step: int, image: int, packed: PackedPatch) -> int:
        self._database.execute(
            "INSERT INTO patches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (step, image, *packed.box, packed.mask, packed.before, packed.after),
        )
        return packed.nbytes

    def _position(self) -> int:
        found = self._database.execute(
            "SELECT value FROM settings WHERE name = 'history_position'"
        ).fetchone()
        return int(found[0]) if found else 0

    def _save_checkpoints(self, change: SaveCheckpoints) -> None:
        self._database.executemany(
            "INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(*new.row, new.checkpoint) for new in change.checkpoints],
        )
        self._save_roles(change.roles)
        if change.names is not None:
            self._save("model_classes", json.dumps(change.names))

    def _save_roles(self, roles: Roles) -> None:
        """Note which checkpoints serve; if one was let go meanwhile, those before go on."""
        (there,) = self._database.execute(
            "SELECT count(*) FROM checkpoints WHERE number IN (?, ?)", roles
        ).fetchone()
        if there == len(set(roles)):
            self._database.executemany(
                "INSERT OR REPLACE INTO roles VALUES (?, ?)",
                zip(Roles._fields, roles, strict=True),
            )

    def _save(self, name: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def _save_of(self, image: Path, what: ImageSetting, value: str) -> None:
        self._save(image_setting(what, self._key(image)), value)

    def _save_first(self, name: str, value: str) -> None:
        self._database.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, value))

    def _key(self, image: Path) -> str:
        return image_key(self._path, image)

    def _image_of(self, step: Step) -> int | None:
        for found in step.patches:
            if found.image == step.image:
                return self._image_of_patch(found)
        return None

    def _image_of_patch(self, found: ImagePatch | PackedImagePatch) -> int:
        return self._image(found.image, *found.size)

    def _image(self, image: Path, height: int, width: int) -> int:
        """Return an image's number; one that was never labeled gets one."""
        self._database.execute(
            "INSERT OR IGNORE INTO images (path, height, width) VALUES (?, ?, ?)",
            (self._key(image), height, width),
        )
        (number,) = self._database.execute(
            "SELECT id FROM images WHERE path = ?", (self._key(image),)
        ).fetchone()
        self._touched[image] = number
        return int(number)

    def _touch(self, number: int) -> None:
        (path,) = self._database.execute(
            "SELECT path FROM images WHERE id = ?", (number,)
        ).fetchone()
        self._touched[self._path.parent / path] = number

    def _labels(self, number: int) -> TiledLabels:
        found = self._tiles.get(number)
        if found is None:
            height, width = self._database.execute(
                "SELECT height, width FROM images WHERE id = ?", (number,)
            ).fetchone()
            found = self._tiles[number] = TiledLabels(self._database, number, (height, width))
        return found

    def _status(self, number: int) -> Status:
        done, labeled = self._database.execute(
            "SELECT done, EXISTS (SELECT 1 FROM tiles WHERE image = images.id)"
            " FROM images WHERE id = ?",
            (number,),
        ).fetchone()
        return "done" if done else "started" if labeled else "new"
