"""Looking into a project file: what is in it, and whether all of it is sound."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

from safetensors import SafetensorError, deserialize

from app.document.class_table import ClassTable
from app.document.packed_patch import PackedPatch
from app.document.stroke import Box
from app.storage.changes import Fingerprint
from app.storage.fingerprint import fingerprint_of
from app.storage.project_file import ProjectFile, class_change_from_json, image_path
from app.storage.schema import TILE, connect_reader, errors, version_of
from app.storage.tiles import decoded
from mdlstm_core.data.images import image_size
from mdlstm_core.data.pages import image_file
from mdlstm_core.errors import InputError

_ROLES: tuple[Literal["base", "learned"], ...] = ("base", "learned")


class Fault(NamedTuple):
    """Something in a project that is not as it should be.

    Attributes:
        kind: "file", "reference", "labels", "history", "classes", "model", "missing" or
            "image".
        what: the whole of it, in one sentence.
    """

    kind: str
    what: str


def describe(path: Path) -> dict[str, Any]:
    """Return what is in a project, as JSON values.

    Raises:
        InputError: it cannot be read.
    """
    with closing(ProjectFile(path)) as file, closing(_connected(path)) as database:
        images, table = file.images(), file.classes() or ClassTable()
        headers, done = file.history()
        statuses = Counter(found.status for found in images)
        missing = [str(i.path) for i in images if not image_file(i.path).is_file()]
        stored = {role: file.load_model(role) for role in _ROLES}
        with errors(path, "read"):
            (labels,) = database.execute("SELECT total(length(labels)) FROM tiles").fetchone()
            version = version_of(database, path)
        return {
            "project": str(path),
            "bytes": path.stat().st_size,
            "version": version,
            "images": len(images),
            "status": {status: statuses[status] for status in ("new", "started", "done")},
            "missing_images": missing,
            "classes": [{"label": c.label, "name": c.name} for c in table.classes],
            "steps": sum(header.number <= done for header in headers),
            "undone_steps": sum(header.number > done for header in headers),
            "label_bytes": int(labels),
            "history_bytes": sum(header.size for header in headers),
            "model_bytes": {role: len(content) for role, content in stored.items() if content},
        }


def faults_of(path: Path) -> Iterator[Fault]:
    """Yield everything in a project that is damaged, does not fit together, or is missing.

    Nothing is changed. The files of the images are read to the end, to know them by what
    they hold.
    """
    try:
        with closing(_connected(path)) as database:
            yield from _faults_of_database(database)
            yield from _faults_of_labels(database)
            yield from _faults_of_history(database)
            yield from _faults_of_settings(path, database)
            yield from _faults_of_images(path, database)
    except (InputError, sqlite3.Error) as error:
        yield Fault("file", f"{path} cannot be read any further: {str(error).rstrip('.')}.")


def _connected(path: Path) -> sqlite3.Connection:
    database = connect_reader(path, read_only=True)
    if database is None:
        raise InputError(f"{path} is empty.")
    return database


def _faults_of_database(database: sqlite3.Connection) -> Iterator[Fault]:
    for (text,) in database.execute("PRAGMA integrity_check"):
        if text != "ok":
            yield Fault("file", f"SQLite finds: {text}.")
    for table, row, parent, _ in database.execute("PRAGMA foreign_key_check"):
        yield Fault("reference", f"Row {row} of {table} belongs to a row of {parent} that is gone.")


def _faults_of_labels(database: sqlite3.Connection) -> Iterator[Fault]:
    rows = database.execute(
        "SELECT path, height, width, row, column, labels FROM tiles"
        " JOIN images ON images.id = tiles.image ORDER BY images.id, row, column"
    )
    for path, height, width, row, column, labels in rows:
        shape = min(TILE, height - row * TILE), min(TILE, width - column * TILE)
        where = f"The tile {row}, {column} of {path}"
        if min(row, column) < 0 or min(shape) < 1:
            yield Fault("labels", f"{where} lies outside of the image.")
            continue
        try:
            decoded(labels, shape)
        except InputError as error:
            yield Fault("labels", f"{where}: {error}")


def _faults_of_history(database: sqlite3.Connection) -> Iterator[Fault]:
    rows = database.execute(
        "SELECT step, path, height, width, top, left, bottom, right, mask, before, after"
        " FROM patches JOIN images ON images.id = patches.image ORDER BY step"
    )
    for step, path, height, width, top, left, bottom, right, *content in rows:
        if reason := fault_of_patch((height, width), Box(top, left, bottom, right), *content):
            yield Fault("history", f"Step {step} on {path}: {reason}")
    for number, classes in database.execute("SELECT number, classes FROM steps"):
        try:
            if classes:
                class_change_from_json(classes)
        except InputError as error:
            yield Fault("history", f"Step {number}: {error}")


def fault_of_patch(
    size: tuple[int, int], box: Box, mask: bytes, before: bytes, after: int | bytes
) -> str:
    """Return what is wrong with a stored patch of an image of this height and width."""
    if not (0 <= box.top < box.bottom <= size[0] and 0 <= box.left < box.right <= size[1]):
        return "its change lies outside of the image."
    try:
        patch = PackedPatch(box, mask, before, after).unpack()
    except InputError as error:
        return str(error)
    count = int(patch.mask.sum())
    sizes = {patch.before.size, count if isinstance(patch.after, int) else patch.after.size}
    return "" if sizes == {count} else "its labels are not as many as its pixels."


def _faults_of_settings(path: Path, database: sqlite3.Connection) -> Iterator[Fault]:
    for (text,) in database.execute("SELECT value FROM settings WHERE name = 'classes'"):
        try:
            ClassTable.from_json(text)
        except InputError as error:
            yield Fault("classes", str(error))
    with closing(ProjectFile(path)) as file:
        for row in file.checkpoints():
            content = file.load_checkpoint(row.number)
            if content is None or not is_model(content):
                yield Fault("model", f"Model {row.number} of the timeline is damaged.")


def is_model(content: bytes) -> bool:
    """Return whether a stored checkpoint is whole."""
    try:
        # Without torch, which nothing here needs.
        deserialize(content)  # type: ignore[no-untyped-call]
    except (SafetensorError, TypeError):
        return False
    return True


def _faults_of_images(path: Path, database: sqlite3.Connection) -> Iterator[Fault]:
    rows = database.execute("SELECT path, height, width, bytes, digest FROM images ORDER BY id")
    for key, height, width, size, digest in rows:
        image = image_path(path, key)
        if not image_file(image).is_file():
            yield Fault("missing", f"The image {image} is not there.")
            continue
        try:
            known = None if digest is None else Fingerprint(size, digest)
            if known is not None and fingerprint_of(image) != known:
                yield Fault("image", f"{image} is not the file that was labeled.")
            elif image_size(image) != (height, width):
                yield Fault("image", f"{image} is not of the {width}×{height} pixels labeled.")
        except InputError as error:
            yield Fault("image", str(error))
