"""`mdlstm project`: new, add, info, check, repair."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from app.document.stroke import Box
from app.session import LabelingSession
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.formats.class_lists import read_class_list

Mdlstm = Callable[..., Any]
Disk = Any
"""The class of the fixture `disk`, which looks at projects as they lie on disk."""


def test_new_project_is_what_the_window_opens(project: Path, session: LabelingSession) -> None:
    session.open_paths([project.parent])

    assert session.project_path == project
    assert [image.name for image in session.project.images] == [f"scene_{i}.png" for i in range(4)]
    assert [c.name for c in session.classes] == ["sky", "grass", "road"]


def test_add_and_info(mdlstm: Mdlstm, project: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere ü.png"
    Image.new("RGB", (9, 5)).save(other)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")

    result = mdlstm("project", "add", project, other, broken, project.parent, "--json")
    assert result.code == 1, "one could not be added"
    assert str(broken) in result.err
    assert json.loads(result.out) == {"project": str(project), "added": 1, "known": 4}

    found = json.loads(mdlstm("project", "info", project, "--json").out)
    assert found["images"] == 5
    assert found["status"] == {"new": 5, "started": 0, "done": 0}
    assert [c["name"] for c in found["classes"]] == ["sky", "grass", "road"]
    assert found["steps"] == 0
    text = mdlstm("project", "info", project).out
    assert "5 (5 new, 0 started, 0 done), 0 missing" in text


def test_check_finds_what_is_wrong(mdlstm: Mdlstm, filled: Path) -> None:
    sound = mdlstm("project", "check", filled)
    assert (sound.code, sound.out, sound.err) == (0, f"{filled} is sound.\n", "")

    (filled.parent / "scene_0.png").unlink()
    Image.new("RGB", (40, 30)).save(filled.parent / "scene_1.png")
    with sqlite3.connect(filled) as database:
        database.execute("UPDATE tiles SET labels = x'00' WHERE image = 3")
        database.execute("UPDATE patches SET mask = x'00' WHERE image = 3")
        database.execute("INSERT INTO tiles VALUES (99, 0, 0, x'00')")
        row = "(1, '2026-01-02 03:04:05', 'start', 0, '', '', x'', 1, x'00')"
        database.execute(f"INSERT INTO checkpoints VALUES {row}")
    database.close()
    result = mdlstm("project", "check", filled, "--json")

    assert result.code == 1
    assert result.err.count("\n") == 1
    faults = {f["kind"]: f["what"] for f in json.loads(result.out)["faults"]}
    assert set(faults) == {"missing", "image", "labels", "history", "reference", "model"}
    assert "scene_0.png" in faults["missing"]
    assert "scene_1.png is not the file that was labeled" in faults["image"]
    assert "scene_2.png" in faults["labels"]
    assert "Step 1 on scene_2.png" in faults["history"]


def test_repair_writes_what_is_left_beside_it(
    disk: Disk,
    mdlstm: Mdlstm,
    filled: Path,
    tiny_dataset: Path,
    session: LabelingSession,
    qtbot: QtBot,
) -> None:
    images = [filled.parent / f"scene_{i}.png" for i in range(3)]
    disk.paint(filled, images[0], 0, Box(20, 0, 30, 5))
    wanted = [disk.labels_in(filled, image) for image in images]
    with sqlite3.connect(filled) as database:
        database.execute("UPDATE tiles SET labels = x'00' WHERE image = 2")
        database.execute("UPDATE patches SET before = x'00' WHERE step = 1 AND image = 3")
    database.close()
    before = filled.read_bytes()

    result = mdlstm("project", "repair", filled)

    out = filled.with_name("images-repaired.mdlp")
    assert result.code == 1, "something is lost"
    assert "scene_1.png: 1 tiles of 256×256 pixels are damaged." in result.err
    assert "1 steps of the history cannot be undone any more." in result.err
    assert filled.read_bytes() == before, "never in place"
    assert mdlstm("project", "check", out).code == 0
    np.testing.assert_array_equal(disk.labels_in(out, images[0]), wanted[0])
    np.testing.assert_array_equal(disk.labels_in(out, images[2]), wanted[2])
    disk.open_in(session, out, qtbot)
    session.undo()
    theirs = LabeledFolder(tiny_dataset, _first(tiny_dataset)).load(0).labels
    np.testing.assert_array_equal(session.document.corrections.values, theirs)
    assert mdlstm("project", "repair", filled).code == 2, "the new file is there already"


def _first(dataset: Path) -> Path:
    path = dataset / "first.txt"
    path.write_text("scene_0\n")
    return path


@pytest.mark.parametrize("is_truncated", [False, True])
def test_repair_of_damaged_pages(
    mdlstm: Mdlstm, tmp_path: Path, qtbot: QtBot, is_truncated: bool
) -> None:
    """Bytes overwritten or cut off: most of what was painted is found."""
    folder = tmp_path / "many"
    folder.mkdir()
    draw = np.random.default_rng(5).integers
    (folder / "classes.txt").write_text("a\nb\nc\n")
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in range(60):
        Image.new("RGB", (64, 64)).save(folder / f"{number:02}.png")
        labels = draw(0, 3, (64, 64), np.uint8)
        Image.fromarray(labels).save(masks / f"{number:02}.png")
    path = folder / "many.mdlp"
    assert mdlstm("project", "new", folder, "--classes", folder / "classes.txt").code == 0
    assert mdlstm("import", masks, "--format", "id-png", "--into", path).code == 0
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = bytes(4096)
    if is_truncated:
        content = path.read_bytes()[: len(content) * 9 // 10]
    path.write_bytes(content)
    assert mdlstm("project", "check", path).code == 1

    result = mdlstm("project", "repair", path, "--json")

    report = json.loads(result.out)
    assert result.code == 1
    assert report["lost"]
    assert report["kept"]["tiles"] >= 30
    assert mdlstm("project", "check", report["out"]).code == 0


@pytest.mark.parametrize("content", [b"", b"no database at all" * 99])
def test_nothing_to_repair(
    assert_refused: Callable[..., None], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "a.mdlp"
    path.write_bytes(content)

    assert_refused("project", "repair", path)
    assert [p.name for p in tmp_path.iterdir() if "repaired" in p.name] == []


@pytest.mark.parametrize(
    ("arguments", "naming"),
    [
        (("project", "info", "none.mdlp"), "There is no project none.mdlp"),
        (("project", "check", "none.mdlp"), "There is no project none.mdlp"),
        (("project", "new", "none"), "There is no file or folder none"),
        (("learn", "none.mdlp"), "none.mdlp"),
        (("export", "none.mdlp", "--format", "npy", "--out", "x"), "There is no project none.mdlp"),
    ],
)
def test_what_is_not_there(
    assert_refused: Callable[..., None], arguments: tuple[str, ...], naming: str
) -> None:
    assert_refused(*arguments, naming=naming)


def test_new_does_not_replace(
    assert_refused: Callable[..., None], project: Path, tiny_dataset: Path
) -> None:
    before = project.read_bytes()
    assert_refused("project", "new", tiny_dataset / "images", naming="already")
    assert project.read_bytes() == before
    assert read_class_list(tiny_dataset / "classes.json")
