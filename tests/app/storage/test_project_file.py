"""What is in a project file, and what is refused."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.document.class_table import ClassTable
from app.document.patch import Patch
from app.document.steps import Do, ImagePatch, Roles, Step, Undo
from app.document.stroke import Box
from app.storage.changes import (
    CheckpointRow,
    Fingerprint,
    MarkDone,
    MoveImage,
    NewCheckpoint,
    SaveAccepted,
    SaveCheckpoints,
    SaveClasses,
    SaveFingerprint,
)
from app.storage.project_file import ProjectFile
from app.storage.project_lock import ProjectLock
from app.storage.project_places import project_path_for
from app.storage.project_writer import ProjectWriter
from app.storage.schema import connect_writer
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.errors import InputError

# The schema of the first version, word for word.
VERSION_1 = """
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


def _step(number: int, image: Path, size: tuple[int, int], box: Box, after: object) -> Step:
    """Return a step that sets a whole box, which had no labels."""
    shape = (box.bottom - box.top, box.right - box.left)
    before = np.full(shape[0] * shape[1], IGNORE_INDEX, np.uint8)
    patch = Patch(box, np.ones(shape, bool), before, after)
    return Step(number, "paint", image, (ImagePatch(image, size, patch),))


def _painted(path: Path, size: tuple[int, int] = (3, 3)) -> Path:
    """Write a project with one image, wholly of class 2; return the image."""
    writer, image = ProjectWriter(path), path.with_name("a.png")
    writer.commit([(1, Do(_step(1, image, size, Box(0, 0, *size), 2)))])
    writer.close()
    return image


def _labels(path: Path, image: Path) -> np.ndarray:
    file = ProjectFile(path)
    stored = file.stored_labels(image)
    file.close()
    assert stored is not None
    return stored.decode()


def _version_1(path: Path) -> np.ndarray:
    """Write a project as the first version did; return the labels of its image."""
    import zlib

    values = np.random.default_rng(0).integers(0, 3, (300, 270)).astype(np.uint8)
    database = sqlite3.connect(path)
    database.executescript(VERSION_1)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA application_id = {0x4D444C50}")
    database.execute("PRAGMA user_version = 1")
    database.execute("INSERT INTO images VALUES (1, 'sub/a.png', 300, 270)")
    for row in range(2):
        for column in range(2):
            tile = values[row * 256 : (row + 1) * 256, column * 256 : (column + 1) * 256]
            labels = zlib.compress(tile.tobytes(), level=1)
            database.execute("INSERT INTO tiles VALUES (1, ?, ?, ?)", (row, column, labels))
    database.execute("INSERT INTO classes VALUES (0, 'sky', 1, 2, 3), (1, 'tree', 4, 5, 6)")
    database.execute("INSERT INTO models (role, checkpoint) VALUES ('base', x'0102')")
    database.commit()
    database.close()
    return values


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_of_the_first_version_keeps_everything(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "old.mdlp"
    values = _version_1(path)
    content = path.read_bytes()
    if not read_only:
        connect_writer(path).close()
    file = ProjectFile(path, read_only=read_only)
    stored = file.stored_labels(tmp_path / "sub" / "a.png")
    assert stored is not None
    np.testing.assert_array_equal(stored.decode(), values)
    classes = (LabelClass("sky", (1, 2, 3)), LabelClass("tree", (4, 5, 6)))
    assert file.classes() == ClassTable.of(classes)
    assert file.model_classes() == ("sky", "tree")
    assert file.load_model("base") == b"\x01\x02"
    assert file.history() == ([], 0)
    image = tmp_path / "sub" / "a.png"
    assert file.images() == [(image, "started", None, True)]
    file.close()
    assert (path.read_bytes() == content) == read_only
    if not read_only:  # and it can be worked on
        writer = ProjectWriter(path)
        writer.commit([(1, Do(_step(1, image, (300, 270), Box(250, 250, 260, 260), 7)))])
        writer.close()
        values[250:260, 250:260] = 7
        np.testing.assert_array_equal(_labels(path, image), values)


def test_a_first_version_without_classes_has_none(tmp_path: Path) -> None:
    path = tmp_path / "old.mdlp"
    _version_1(path)
    database = sqlite3.connect(path)
    database.execute("DELETE FROM classes")
    database.commit()
    database.close()
    file = ProjectFile(path, read_only=False)
    assert file.classes() is None
    assert file.model_classes() == ()
    file.close()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_gives_back_what_was_stored(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp_path = tmp_path_factory.mktemp("project")
    height, width = data.draw(st.integers(1, 600)), data.draw(st.integers(1, 600))
    values = np.full((height, width), IGNORE_INDEX, np.uint8)
    path, image = tmp_path / "a.mdlp", tmp_path / "a.png"
    writer, steps, states = ProjectWriter(path), [], [values.copy()]
    for number in range(1, data.draw(st.integers(2, 4))):
        top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        bottom = data.draw(st.integers(top + 1, height))
        right = data.draw(st.integers(left + 1, width))
        random = np.random.default_rng(number)
        mask = random.random((bottom - top, right - left)) < 0.7
        box = Box(top, left, bottom, right)
        after = random.integers(0, 256, int(mask.sum())).astype(np.uint8)
        patch = Patch(box, mask, values[box.slices][mask], after)
        steps.append(Step(number, "paint", image, (ImagePatch(image, (height, width), patch),)))
        values[box.slices][mask] = after
        states.append(values.copy())
        writer.commit([(number, Do(steps[-1]))])
    np.testing.assert_array_equal(_labels(path, image), values)
    file = ProjectFile(path)
    for step in steps:
        (found,) = file.load_step(step.number).patches
        (given_,) = step.patches
        assert (found.image, found.size, found.patch.box) == (image, given_.size, given_.patch.box)
        for name in ("mask", "before", "after"):
            np.testing.assert_array_equal(getattr(found.patch, name), getattr(given_.patch, name))
    file.close()
    while steps:
        writer.commit([(0, Undo(steps.pop()))])
        states.pop()
        np.testing.assert_array_equal(_labels(path, image), states[-1])
    writer.close()


def test_looking_makes_no_file(tmp_path: Path) -> None:
    tmp_path = tmp_path / "photos"
    tmp_path.mkdir()
    file = ProjectFile(tmp_path / "a.mdlp")
    assert file.stored_labels(tmp_path / "a.png") is None
    assert file.images() == []
    assert file.history() == ([], 0)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "full.mdlp"
    image = _painted(path, (512, 512))
    writer, before = ProjectWriter(path), _labels(path, image)
    writer.commit([(2, MarkDone(image, 512, 512, done=True))])
    assert writer._database is not None
    (pages,) = writer._database.execute("PRAGMA page_count").fetchone()
    writer._database.execute(f"PRAGMA max_page_count = {pages + 2}")
    noise = np.random.default_rng(0).integers(0, 200, 512 * 512).astype(np.uint8)
    change = Do(_step(2, image, (512, 512), Box(0, 0, 512, 512), noise))
    with pytest.raises(InputError, match="cannot be written"):
        writer.commit([(3, change)])
    np.testing.assert_array_equal(_labels(path, image), before)
    assert [h.number for h in ProjectFile(path).history()[0]] == [1]
    writer._database.execute("PRAGMA max_page_count = 100000")
    writer.commit([(3, change)])
    writer.close()
    np.testing.assert_array_equal(_labels(path, image).ravel(), noise)


def test_keeps_models_classes_and_what_is_known_of_images(tmp_path: Path) -> None:
    path = tmp_path / "a.mdlp"
    image = _painted(path)
    table = ClassTable().add("sky").add("tree", (1, 2, 3)).lock(1, True).move(1, 0).remove(0, 1)
    writer, fingerprint = ProjectWriter(path), Fingerprint(9, b"digest")
    base, first, second = (
        NewCheckpoint(CheckpointRow(number, "2026-01-31 12:00:00", "learned"), content)
        for number, content in enumerate((b"base", b"first", b"second"), 1)
    )
    writer.commit(
        [
            (1, SaveCheckpoints((base, first), Roles(1, 2))),
            (2, SaveCheckpoints((second,), Roles(1, 3))),
            (3, SaveClasses(table, ("sky", "tree"))),
            (4, SaveClasses(ClassTable(), ())),  # the first counts
            (5, SaveFingerprint(image, fingerprint)),
            (6, MarkDone(image, 3, 3, done=True)),
        ]
    )
    writer.close()
    file = ProjectFile(path)
    assert file.load_model("base") == b"base"
    assert file.load_model("learned") == b"second"
    assert file.classes() == table
    assert file.model_classes() == ("sky", "tree")
    assert file.images() == [(image, "done", fingerprint, True)]
    file.close()


def test_what_was_accepted_on_an_image_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mdlp"
    image, other, moved = _painted(path), tmp_path / "never labeled.png", tmp_path / "moved.png"
    writer = ProjectWriter(path)
    writer.commit([(1, SaveAccepted(image, "[1]")), (2, SaveAccepted(other, "[2]"))])
    writer.commit([(3, SaveAccepted(image, "[3]")), (4, MoveImage(image, moved))])
    writer.close()
    file = ProjectFile(path)
    assert file.accepted() == {moved: "[3]", other: "[2]"}
    assert [found.path for found in file.images()] == [moved]
    assert file.windows() == {}
    file.close()


def test_a_damaged_tile_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.mdlp"
    image = _painted(path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE tiles SET labels = x'00'")
    database.close()
    with pytest.raises(InputError, match="damaged"):
        _labels(path, image)


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0truncated"])
@pytest.mark.parametrize("read_only", [True, False])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, read_only: bool) -> None:
    path = tmp_path / "bad.mdlp"
    path.write_bytes(content)
    for open_ in (partial(ProjectFile, read_only=read_only), connect_writer):
        with pytest.raises(InputError, match=r"bad\.mdlp"):
            open_(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused_and_left_alone(tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.mdlp"
    _painted(path, (600, 600))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    content = path.read_bytes()
    with pytest.raises(InputError, match=r"cut\.mdlp is truncated"):
        connect_writer(path)
    assert path.read_bytes() == content


def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.mdlp"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (a)")
    database.close()
    content = path.read_bytes()
    with pytest.raises(InputError, match="another program"):
        connect_writer(path)
    assert path.read_bytes() == content


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.mdlp"
    _painted(path)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    for read_only in (True, False):
        with pytest.raises(InputError, match="newer version"):
            ProjectFile(path, read_only=read_only)


def test_lies_beside_the_images_or_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    assert project_path_for(folder / "a.png") == folder / "photos.mdlp"
    monkeypatch.setattr(os, "access", lambda *_: False)
    elsewhere = project_path_for(folder / "a.png")
    assert folder not in elsewhere.parents
    assert elsewhere.name.startswith("photos-")


_HOLDER = """
import sys
from functools import partial
from pathlib import Path
from app.storage.project_lock import ProjectLock
print(ProjectLock(Path(sys.argv[1])).acquire(), flush=True)
sys.stdin.read()
"""


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "photos" / "a.mdlp"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        lock = ProjectLock(path)
        assert not lock.acquire()
        holder.kill()
    assert lock.acquire()
    assert not ProjectLock(path).acquire()
    lock.release()
    assert list(path.parent.iterdir()) == []
