"""The project file: one SQLite database that holds every stroke when the pen lifts.

SQLite, because it survives being killed at any instant and a change writes kilobytes.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sqlite3
from pathlib import Path
from typing import Any, Literal, NamedTuple

from app.document.class_table import ClassTable
from app.document.packed_patch import PackedPatch
from app.document.patch import Patch
from app.document.project import Status
from app.document.steps import (
    ClassChange,
    ImagePatch,
    ModelChange,
    PackedImagePatch,
    RecentHistory,
    Roles,
    Step,
    StepHeader,
)
from app.document.stroke import Box
from app.storage.changes import CheckpointRow, Fingerprint
from app.storage.schema import connect_reader, errors
from app.storage.tiles import StoredLabels
from mdlstm_core.config import check_pixels
from mdlstm_core.data.display_window import DisplayWindow
from mdlstm_core.errors import InputError

RECENT = 1000
"""Steps not undone that are loaded when a project opens."""

ImageSetting = Literal["window", "accepted"]
"""What an image is seen through; what was accepted of what a training changed."""

_log = logging.getLogger(__name__)


class StoredImage(NamedTuple):
    """An image that was labeled, or is done without.

    Attributes:
        path: where it is.
        status: what became of it.
        fingerprint: what file it was, None if that is not known.
        is_painted: whether a person set any label.
    """

    path: Path
    status: Status
    fingerprint: Fingerprint | None
    is_painted: bool


class ProjectFile:
    """Reads a project file; a project that does not exist yet is an empty one.

    All methods raise `InputError` when the file cannot be read, with the reason.
    """

    def __init__(self, path: Path, *, read_only: bool = True) -> None:
        """Open a project file, if there is one.

        Args:
            path: the file.
            read_only: the project belongs to another window, or cannot be written.

        Raises:
            InputError: the file is damaged, foreign, newer than this program, or cannot be
                opened.
        """
        self.path = path
        self._read_only = read_only
        self._database: sqlite3.Connection | None = None
        if path.exists():
            self._database = connect_reader(path, read_only=read_only)

    def images(self) -> list[StoredImage]:
        """Return the images that have been labeled, in the order they were first."""
        rows = self._read(
            "SELECT path, bytes, digest, done,"
            " EXISTS (SELECT 1 FROM tiles WHERE tiles.image = images.id) FROM images ORDER BY id"
        )
        return [
            StoredImage(
                image_path(self.path, path),
                "done" if done else "started" if labeled else "new",
                None if digest is None else Fingerprint(size, digest),
                bool(labeled),
            )
            for path, size, digest, done, labeled in rows
        ]

    def fingerprint(self, image: Path) -> Fingerprint | None:
        """Return what file was labeled, None if nobody knows."""
        found = self._read(
            "SELECT bytes, digest FROM images WHERE path = ? AND digest IS NOT NULL",
            (image_key(self.path, image),),
        )
        return Fingerprint(*found[0]) if found else None

    def stored_labels(self, image: Path) -> StoredLabels | None:
        """Return what a person set on an image, as stored; None if it was never labeled."""
        # One query: between two, the other thread may commit.
        rows = self._read(
            "SELECT height, width, row, column, labels FROM images"
            " LEFT JOIN tiles ON tiles.image = images.id WHERE path = ?",
            (image_key(self.path, image),),
        )
        if not rows:
            return None
        height, width = rows[0][:2]
        return StoredLabels(height, width, tuple(r[2:] for r in rows if r[2] is not None))

    def classes(self) -> ClassTable | None:
        """Return the classes, None before they were saved."""
        text = self._setting("classes")
        return ClassTable.from_json(text) if text is not None else None

    def model_classes(self) -> tuple[str, ...]:
        """Return the names of the model's classes that the project began with, if any."""
        return tuple(json.loads(self._setting("model_classes") or "[]"))

    def windows(self) -> dict[Path, DisplayWindow]:
        """Return what images of more than 8 bits are seen through, where the user chose."""
        found = {}
        for image, text in self._settings_of_images("window"):
            try:
                low, high = map(float, json.loads(text))
            except (ValueError, TypeError):  # the image shows as it would by default
                _log.warning("%s: damaged window of %s: %s", self.path, image, text)
                continue
            found[image] = DisplayWindow(low, high)
        return found

    def accepted(self) -> dict[Path, str]:
        """Return what was accepted of what a training changed, where anything was."""
        return dict(self._settings_of_images("accepted"))

    def pixels(self) -> int | None:
        """Return at how many pixels of an image models are to look, None for as trained."""
        text = self._setting("pixels")
        if text is None:
            return None
        try:
            found = json.loads(text)
            return None if found is None else check_pixels(int(found))
        except (ValueError, TypeError, InputError):  # models look as they were trained
            _log.warning("%s: damaged number of pixels to look at: %s", self.path, text)
            return None

    def load_model(self, role: Literal["base", "learned"]) -> bytes | None:
        """Return a checkpoint: the one learning starts from, or led to; None at first."""
        found = self._read(
            "SELECT checkpoints.checkpoint FROM roles"
            " JOIN checkpoints ON checkpoints.number = roles.checkpoint WHERE role = ?",
            (role,),
        )
        return found[0][0] if found else None

    def roles(self) -> Roles | None:
        """Return which checkpoints the project works with, None before there are any."""
        found = dict(self._read("SELECT role, checkpoint FROM roles"))
        return Roles(found["base"], found["learned"]) if found else None

    def checkpoints(self) -> list[CheckpointRow]:
        """Return what is known of the checkpoints of the timeline, oldest first."""
        rows = self._read(
            "SELECT number, created, origin, strokes, strokes_hash, figures, thumbnail, size"
            " FROM checkpoints ORDER BY number"
        )
        return [CheckpointRow(*row) for row in rows]

    def load_checkpoint(self, number: int) -> bytes | None:
        """Return a checkpoint of the timeline, None if it is not there any more."""
        found = self._read("SELECT checkpoint FROM checkpoints WHERE number = ?", (number,))
        return found[0][0] if found else None

    def history(self) -> tuple[list[StepHeader], int]:
        """Return all steps, oldest first, and the number of the last that is not undone."""
        return self.load_headers(), self._position()

    def recent_history(self) -> RecentHistory:
        """Return the history, of which old steps are only counted."""
        done = self._position()
        first = self._read(
            "SELECT number FROM steps WHERE number <= ? ORDER BY number DESC LIMIT 1 OFFSET ?",
            (done, RECENT - 1),
        )
        if not first:
            return RecentHistory(self.load_headers(), done)
        ((number,),) = first
        ((older, size),) = self._read(
            "SELECT count(*), coalesce(sum(size), 0) FROM steps WHERE number < ?", (number,)
        )
        return RecentHistory(self.load_headers(number - 1), done, older, size)

    def load_headers(
        self, after: int = 0, before: int = 1 << 62, most: int = -1, *, newest: bool = False
    ) -> list[StepHeader]:
        """Return steps between two numbers, oldest first; all, or the oldest or newest of them."""
        rows = self._read(
            "SELECT number, text, path, size FROM steps"
            " LEFT JOIN images ON images.id = steps.image WHERE number > ? AND number < ?"
            f" ORDER BY number {'DESC' if newest else 'ASC'} LIMIT ?",
            (after, before, most),
        )
        paths = {key: image_path(self.path, key) for key in {row[2] for row in rows} if key}
        return [
            StepHeader(number, text, paths.get(key), size)
            for number, text, key, size in (reversed(rows) if newest else rows)
        ]

    def load_step(self, number: int) -> Step:
        """Return a step; without patches if it gave a class another label everywhere."""
        found = self._read(
            "SELECT text, path, classes, models FROM steps"
            " LEFT JOIN images ON images.id = steps.image WHERE number = ?",
            (number,),
        )
        if not found:
            raise InputError(f"The step {number} is missing in the history of {self.path}.")
        ((text, path, classes, models),) = found
        image = image_path(self.path, path) if path else None
        change = class_change_from_json(classes) if classes else None
        if change and change.relabeled:
            return Step(number, text, image, classes=change)
        rows = self._read(
            "SELECT path, height, width, top, left, bottom, right, mask, before, after"
            " FROM patches JOIN images ON images.id = patches.image WHERE step = ?",
            (number,),
        )
        packed = [
            PackedImagePatch(image_path(self.path, r[0]), (r[1], r[2]), _packed(*r[3:]))
            for r in rows
        ]
        model_change = model_change_from_json(models) if models else None
        step = Step(number, text, image, tuple(packed), change, model_change)
        if step.spans_images:  # an import: its arrays together may be too much for memory
            return step
        patches = tuple(ImagePatch(p.image, p.size, p.patch) for p in packed)
        return dataclasses.replace(step, patches=patches)

    def load_patches(self, number: int, image: Path) -> list[Patch]:
        """Return the changes that a step made on an image."""
        rows = self._read(
            "SELECT top, left, bottom, right, mask, before, after"
            " FROM patches JOIN images ON images.id = patches.image WHERE step = ? AND path = ?",
            (number, image_key(self.path, image)),
        )
        return [_packed(*r).unpack() for r in rows]

    def _position(self) -> int:
        return int(self._setting("history_position") or 0)

    def close(self) -> None:
        """Close the file; SQLite folds its journal into it."""
        if self._database:
            with errors(self.path, "closed"):
                self._database.close()
            self._database = None

    def _setting(self, name: str) -> str | None:
        found = self._read("SELECT value FROM settings WHERE name = ?", (name,))
        return found[0][0] if found else None

    def _settings_of_images(self, what: ImageSetting) -> list[tuple[Path, str]]:
        prefix = image_setting(what, "")
        rows = self._read(
            "SELECT substr(name, ?), value FROM settings WHERE substr(name, 1, ?) = ?",
            (len(prefix) + 1, len(prefix), prefix),
        )
        return [(image_path(self.path, key), text) for key, text in rows]

    def _read(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        if self._database is None:
            if not self.path.exists():
                return []
            self._database = connect_reader(self.path, read_only=self._read_only)
            if self._database is None:
                return []
        with errors(self.path, "read"):
            return self._database.execute(query, values).fetchall()


def _packed(
    top: int, left: int, bottom: int, right: int, mask: bytes, before: bytes, after: int | bytes
) -> PackedPatch:
    return PackedPatch(Box(top, left, bottom, right), mask, before, after)


def image_key(project: Path, image: Path) -> str:
    """Return an image's path as stored: relative to the project where that works."""
    try:
        return image.absolute().relative_to(project.absolute().parent).as_posix()
    except ValueError:
        return image.absolute().as_posix()


def image_path(project: Path, key: str) -> Path:
    """Return the image's path that is stored as `key`."""
    return project.parent / key


def image_setting(what: ImageSetting, key: str) -> str:
    """Return the name of the setting that holds something of an image."""
    return f"{what} {key}"


def class_change_to_json(change: ClassChange) -> str:
    """Return a class edit as text."""
    before, after, relabeled = change
    return json.dumps([before.to_json(), after.to_json(), relabeled])


def class_change_from_json(text: str) -> ClassChange:
    """Return the class edit that `class_change_to_json` wrote.

    Raises:
        InputError: the text is damaged.
    """
    try:
        before, after, relabeled = json.loads(text)
    except (ValueError, TypeError) as error:
        raise InputError(f"A stored step of the history is damaged: {error}.") from error
    pair = (int(relabeled[0]), int(relabeled[1])) if relabeled else None
    return ClassChange(ClassTable.from_json(before), ClassTable.from_json(after), pair)


def model_change_to_json(change: ModelChange) -> str:
    """Return a change of the models as text."""
    return json.dumps(change)


def model_change_from_json(text: str) -> ModelChange:
    """Return the change that `model_change_to_json` wrote.

    Raises:
        InputError: the text is damaged.
    """
    try:
        before, after = (Roles(*map(int, roles)) for roles in json.loads(text))
    except (ValueError, TypeError) as error:
        raise InputError(f"A stored step of the history is damaged: {error}.") from error
    return ModelChange(before, after)
