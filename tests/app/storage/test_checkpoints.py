"""Checkpoints in the project file: kept, chosen by steps, dropped; and older files."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from app.document.steps import Do, ModelChange, Redo, Roles, Step, Undo
from app.storage.changes import (
    CheckpointRow,
    DropCheckpoints,
    NewCheckpoint,
    SaveCheckpoints,
    SaveThumbnail,
)
from app.storage.project_file import ProjectFile
from app.storage.project_writer import ProjectWriter
from app.storage.schema import connect_writer

# The schema of the second version, word for word.
VERSION_2 = """
CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    height INTEGER NOT NULL,
    width INTEGER NOT NULL,
    bytes INTEGER,
    digest BLOB,
    done INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE tiles (
    image INTEGER NOT NULL REFERENCES images ON DELETE CASCADE,
    row INTEGER NOT NULL,
    column INTEGER NOT NULL,
    labels BLOB NOT NULL,
    PRIMARY KEY (image, row, column)
) WITHOUT ROWID;
CREATE TABLE models (
    role TEXT PRIMARY KEY CHECK (role IN ('base', 'learned')),
    created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    checkpoint BLOB NOT NULL
);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
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


def _saved(first: int, *checkpoints: bytes) -> SaveCheckpoints:
    """Return checkpoints with numbers from `first` on; the last one serves."""
    new = tuple(
        NewCheckpoint(CheckpointRow(number, "2026-01-31 12:00:00", "learned"), checkpoint)
        for number, checkpoint in enumerate(checkpoints, first)
    )
    return SaveCheckpoints(new, Roles(1, first + len(new) - 1))


def _version_2(path: Path, models: dict[str, bytes]) -> None:
    """Write a project as the second version did, with a step and these models."""
    database = sqlite3.connect(path)
    database.executescript(VERSION_2)
    database.execute(f"PRAGMA application_id = {0x4D444C50}")
    database.execute("PRAGMA user_version = 2")
    database.execute("INSERT INTO images (id, path, height, width) VALUES (1, 'a.png', 3, 3)")
    database.execute("INSERT INTO steps VALUES (1, 'paint', 1, 9, NULL)")
    database.execute("INSERT INTO settings VALUES ('history_position', '1')")
    for role, checkpoint in models.items():
        database.execute(
            "INSERT INTO models VALUES (?, '2026-01-02 03:04:05', ?)", (role, checkpoint)
        )
    database.commit()
    database.close()


@pytest.mark.parametrize(
    ("models", "roles", "origins"),
    [
        ({}, None, []),
        ({"base": b"one", "learned": b"other"}, Roles(1, 2), ["start", "learned"]),
        ({"base": b"one", "learned": b"one"}, Roles(1, 1), ["start"]),
    ],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_of_the_second_version_begins_its_timeline_with_its_models(
    tmp_path: Path,
    models: dict[str, bytes],
    roles: Roles | None,
    origins: list[str],
    read_only: bool,
) -> None:
    path = tmp_path / "old.mdlp"
    _version_2(path, models)
    if not read_only:
        connect_writer(path).close()
    file = ProjectFile(path, read_only=read_only)
    assert file.roles() == roles
    rows = file.checkpoints()
    assert [(row.origin, row.created) for row in rows] == [
        (origin, "2026-01-02 03:04:05") for origin in origins
    ]
    for role, checkpoint in models.items():
        assert file.load_model(role) == checkpoint
    assert [row.size for row in rows] == [len(c) for c in dict.fromkeys(models.values())]
    assert [h.number for h in file.history()[0]] == [1]
    assert file.load_step(1).models is None
    file.close()


def test_a_step_lets_another_checkpoint_serve_and_back(tmp_path: Path) -> None:
    path = tmp_path / "a.mdlp"
    writer = ProjectWriter(path)
    step = Step(1, "use another model", None, models=ModelChange(Roles(1, 2), Roles(1, 1)))
    seen = []
    for change in (_saved(1, b"base", b"first"), Do(step), Undo(step), Redo(step)):
        writer.commit([(1, change)])
        file = ProjectFile(path)
        seen.append((file.roles(), file.load_model("learned")))
        file.close()
    both = [(Roles(1, 2), b"first"), (Roles(1, 1), b"base")]
    assert seen == [*both, *both]
    file = ProjectFile(path)
    assert file.load_step(1).models == step.models
    file.close()
    writer.close()


def test_checkpoints_that_serve_stay_whatever_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.mdlp"
    writer = ProjectWriter(path)
    writer.commit([(1, _saved(1, b"base", b"first", b"second"))])
    writer.commit([(2, SaveThumbnail(3, b"png")), (3, DropCheckpoints((1, 2, 3)))])
    # A step may name one that is gone: what serves goes on.
    step = Step(1, "use another model", None, models=ModelChange(Roles(1, 3), Roles(1, 2)))
    writer.commit([(4, Do(step))])
    writer.close()
    file = ProjectFile(path)
    assert [(row.number, row.thumbnail) for row in file.checkpoints()] == [(1, b""), (3, b"png")]
    assert file.load_checkpoint(2) is None
    assert file.load_checkpoint(3) == b"second"
    assert file.roles() == Roles(1, 3)
    file.close()
