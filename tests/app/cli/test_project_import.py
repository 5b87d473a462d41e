"""`mdlstm import --into`: one step, which never takes a person's labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pytestqt.qtbot import QtBot

from app.document.stroke import Box
from app.session import LabelingSession
from app.session.stored_project import StoredProject
from app.storage.project_file import ProjectFile
from mdlstm_core.data.dataset import LabeledFolder

Mdlstm = Callable[..., Any]
Disk = Any
"""The class of the fixture `disk`, which looks at projects as they lie on disk."""


def test_import_is_one_step_that_the_window_undoes(
    disk: Disk, filled: Path, tiny_dataset: Path, qtbot: QtBot, session: LabelingSession
) -> None:
    images = [filled.parent / f"scene_{i}.png" for i in range(3)]
    wanted = [LabeledFolder(tiny_dataset, _list(tiny_dataset)).load(i).labels for i in range(3)]
    for image, labels in zip(images, wanted, strict=True):
        np.testing.assert_array_equal(disk.labels_in(filled, image), labels)

    disk.open_in(session, filled, qtbot)
    stack = session.project.undo_stack
    assert (stack.count(), stack.undoText()) == (1, "import labels")
    np.testing.assert_array_equal(session.document.corrections.values, wanted[0])
    with qtbot.waitSignal(session.journal.stored):
        session.undo()
    assert session.document.corrections.is_empty
    assert all((disk.labels_in(filled, image) == 255).all() for image in images)
    with qtbot.waitSignal(session.journal.stored):
        session.redo()
    for image, labels in zip(images, wanted, strict=True):
        np.testing.assert_array_equal(disk.labels_in(filled, image), labels)


def _list(dataset: Path) -> Path:
    path = dataset / "labeled.txt"
    path.write_text("scene_0\nscene_1\nscene_2\n")
    return path


def test_import_keeps_what_a_person_painted(
    disk: Disk, mdlstm: Mdlstm, project: Path, tiny_dataset: Path
) -> None:
    image, box = project.parent / "scene_1.png", Box(0, 0, 30, 10)
    disk.paint(project, image, 2, box)
    command = ("import", tiny_dataset, "--format", "dataset", "--into", project)
    theirs = LabeledFolder(tiny_dataset).load(1).labels

    result = mdlstm(*command, "--json")
    report = json.loads(result.out)
    assert (result.code, report["kept"], report["written"]) == (0, ["scene_1"], 4)
    found = disk.labels_in(project, image)
    assert (found[:, :10] == 2).all(), "the person's stay"
    np.testing.assert_array_equal(found[:, 10:], theirs[:, 10:])
    assert "4 images written" not in mdlstm(*command).out, "all is there already"

    assert mdlstm(*command, "--overwrite").code == 0
    np.testing.assert_array_equal(disk.labels_in(project, image), theirs)


def test_import_maps_classes_and_adds_new_ones(
    disk: Disk, mdlstm: Mdlstm, project: Path, tiny_dataset: Path
) -> None:
    masks = tiny_dataset.parent / "masks"
    masks.mkdir()
    (masks / "classes.json").write_text(json.dumps({"classes": ["Road", "sea", "trash"]}))
    labels = np.full((30, 40), 255, np.uint8)
    labels[:10], labels[10:20], labels[20:25] = 0, 1, 2
    Image.fromarray(labels).save(masks / "scene_0.png")
    command = ("import", masks, "--format", "id-png", "--into", project, "--map", "trash=ignore")

    dry = mdlstm(*command, "--dry-run")
    assert dry.out == (
        "Road   ->  road\nsea    ->  sea (new)\ntrash  ->  (no label)\n"
        "Nothing was written (--dry-run).\n"
    )
    assert disk.labels_in(project, project.parent / "scene_0.png") is not None
    assert (disk.labels_in(project, project.parent / "scene_0.png") == 255).all()
    assert mdlstm(*command).code == 0
    file = ProjectFile(project)
    assert [c.name for c in file.classes().classes] == ["sky", "grass", "road", "sea"]
    file.close()
    found = disk.labels_in(project, project.parent / "scene_0.png")
    assert [int(found[row, 0]) for row in (0, 10, 20, 29)] == [2, 3, 255, 255]


def test_import_of_images_the_project_does_not_have(
    disk: Disk, mdlstm: Mdlstm, project: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    """Labels without an image, of another size, and with an image of their own."""
    masks, photos = tmp_path / "masks", tmp_path / "photos"
    masks.mkdir()
    photos.mkdir()
    (masks / "classes.json").write_text(json.dumps({"classes": ["sky"]}))
    for name, size in (("scene_0", (7, 7)), ("unknown", (4, 4)), ("other", (5, 6))):
        Image.new("L", size).save(masks / f"{name}.png")
    Image.new("RGB", (5, 6)).save(photos / "other.png")
    command = ("import", masks, "--format", "id-png", "--images", photos, "--into", project)

    assert mdlstm(*command).code == 2
    assert json.loads(mdlstm("project", "info", project, "--json").out)["steps"] == 0
    result = mdlstm(*command, "--skip-broken", "--json")
    report = json.loads(result.out)
    assert result.code == 1
    assert "has no image unknown" in report["broken"]["unknown"]
    assert "are 7×7 pixels, but the image" in report["broken"]["scene_0"]
    assert report["written"] == 1
    assert (disk.labels_in(project, photos / "other.png") == 0).all()


def test_locked_classes_stay(
    disk: Disk, mdlstm: Mdlstm, project: Path, tiny_dataset: Path, qtbot: QtBot
) -> None:
    image = project.parent / "scene_0.png"
    disk.paint(project, image, 2, Box(0, 0, 5, 40))
    stored = StoredProject()
    stored.open(project)
    stored.project.edit_classes(stored.project.classes.lock(2, True), "lock")
    assert stored.journal.store()
    stored.close()

    command = ("import", tiny_dataset, "--format", "dataset", "--into", project, "--overwrite")
    assert mdlstm(*command).code == 0

    assert (disk.labels_in(project, image)[:5] == 2).all()
