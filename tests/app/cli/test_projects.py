"""`mdlstm project`, `learn`, and a project's labels out and in, against the window's session."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from app.document.edit import Edit
from app.document.label_map import LabelMap
from app.document.stroke import Box, Region
from app.inference.messages import Prediction
from app.session import LabelingSession
from app.session.stored_project import StoredProject
from app.storage.project_file import ProjectFile
from mdlstm_core.checkpoint import checkpoint_from_bytes, load_checkpoint
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.formats.class_lists import read_class_list

Mdlstm = Callable[..., Any]
PATIENCE_MS = 60_000


def labels_in(project: Path, image: Path) -> np.ndarray | None:
    file = ProjectFile(project)
    stored = file.stored_labels(image)
    file.close()
    return stored.decode() if stored else None


def paint(project: Path, image: Path, label: int, box: Box) -> None:
    """Paint a rectangle as the window does."""
    stored = StoredProject()
    stored.open(project)
    with Image.open(image) as opened:
        width, height = opened.size
    before = stored.labels_of(image)
    corrections = LabelMap.empty(height, width) if before is None else LabelMap(before)
    stored.project.set_corrections(image, corrections)
    stored.project.edit(image, Edit(Region(box, np.ones(box.shape, bool)), label, "paint"))
    assert stored.journal.store()
    stored.close()


@pytest.fixture
def project(mdlstm: Mdlstm, tiny_dataset: Path, qtbot: QtBot) -> Path:
    """A project of the tiny dataset's images and classes, in which nothing is labeled."""
    path = tiny_dataset / "images" / "images.mdlp"
    made = mdlstm(
        "project", "new", tiny_dataset / "images", "--classes", tiny_dataset / "classes.json"
    )
    assert (made.code, made.out, made.err) == (0, f"{path}: 4 images.\n", "")
    return path


@pytest.fixture
def filled(mdlstm: Mdlstm, project: Path, tiny_dataset: Path) -> Path:
    """The project with the dataset's labels, but for those of the last image."""
    (tiny_dataset / "labels" / "scene_3.png").unlink()
    result = mdlstm("import", tiny_dataset, "--format", "dataset", "--into", project)
    assert result.code == 0, result.err
    return project


@pytest.fixture
def session(qtbot: QtBot, checkpoint_file: Path) -> Iterator[LabelingSession]:
    session = LabelingSession(checkpoint_file, device="cpu")
    yield session
    session.close()


def open_in(session: LabelingSession, project: Path, qtbot: QtBot) -> None:
    session.open_paths([project])
    qtbot.waitUntil(lambda: session.document is not None, timeout=PATIENCE_MS)


def is_labeled(session: LabelingSession, image: Path) -> bool:
    document = session.document
    return document is not None and document.path == image and document.prediction is not None


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


def test_import_is_one_step_that_the_window_undoes(
    filled: Path, tiny_dataset: Path, qtbot: QtBot, session: LabelingSession
) -> None:
    images = [filled.parent / f"scene_{i}.png" for i in range(3)]
    wanted = [LabeledFolder(tiny_dataset, _list(tiny_dataset)).load(i).labels for i in range(3)]
    for image, labels in zip(images, wanted, strict=True):
        np.testing.assert_array_equal(labels_in(filled, image), labels)

    open_in(session, filled, qtbot)
    stack = session.project.undo_stack
    assert (stack.count(), stack.undoText()) == (1, "import labels")
    np.testing.assert_array_equal(session.document.corrections.values, wanted[0])
    with qtbot.waitSignal(session.journal.stored):
        session.undo()
    assert session.document.corrections.is_empty
    assert all((labels_in(filled, image) == 255).all() for image in images)
    with qtbot.waitSignal(session.journal.stored):
        session.redo()
    for image, labels in zip(images, wanted, strict=True):
        np.testing.assert_array_equal(labels_in(filled, image), labels)


def _list(dataset: Path) -> Path:
    path = dataset / "labeled.txt"
    path.write_text("scene_0\nscene_1\nscene_2\n")
    return path


def test_import_keeps_what_a_person_painted(
    mdlstm: Mdlstm, project: Path, tiny_dataset: Path
) -> None:
    image, box = project.parent / "scene_1.png", Box(0, 0, 30, 10)
    paint(project, image, 2, box)
    command = ("import", tiny_dataset, "--format", "dataset", "--into", project)
    theirs = LabeledFolder(tiny_dataset).load(1).labels

    result = mdlstm(*command, "--json")
    report = json.loads(result.out)
    assert (result.code, report["kept"], report["written"]) == (0, ["scene_1"], 4)
    found = labels_in(project, image)
    assert (found[:, :10] == 2).all(), "the person's stay"
    np.testing.assert_array_equal(found[:, 10:], theirs[:, 10:])
    assert "4 images written" not in mdlstm(*command).out, "all is there already"

    assert mdlstm(*command, "--overwrite").code == 0
    np.testing.assert_array_equal(labels_in(project, image), theirs)


def test_import_maps_classes_and_adds_new_ones(
    mdlstm: Mdlstm, project: Path, tiny_dataset: Path
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
    assert labels_in(project, project.parent / "scene_0.png") is not None
    assert (labels_in(project, project.parent / "scene_0.png") == 255).all()
    assert mdlstm(*command).code == 0
    file = ProjectFile(project)
    assert [c.name for c in file.classes().classes] == ["sky", "grass", "road", "sea"]
    file.close()
    found = labels_in(project, project.parent / "scene_0.png")
    assert [int(found[row, 0]) for row in (0, 10, 20, 29)] == [2, 3, 255, 255]


def test_import_of_images_the_project_does_not_have(
    mdlstm: Mdlstm, project: Path, tiny_dataset: Path, tmp_path: Path
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
    assert (labels_in(project, photos / "other.png") == 0).all()


@pytest.mark.parametrize(
    "name",
    ["indexed-png", "id-png-16", "npy", "voc", "coco", "coco-panoptic", "yolo-seg", "camvid",
     "labelme", "dataset"],
)  # fmt: skip
def test_out_and_into_another_project(
    mdlstm: Mdlstm, filled: Path, tmp_path: Path, name: str
) -> None:
    out, copy = tmp_path / "out", tmp_path / "copy"
    exported = mdlstm("export", filled, "--format", name, "--out", out, "--yes")
    assert exported.code == 0, exported.err
    copy.mkdir()
    for image in filled.parent.glob("*.png"):
        (copy / image.name).write_bytes(image.read_bytes())
    assert mdlstm("project", "new", copy).code == 0

    result = mdlstm("import", out, "--format", name, "--into", copy / "copy.mdlp")

    assert result.code == 0, result.err
    files = ProjectFile(filled), ProjectFile(copy / "copy.mdlp")
    tables = [np.array([*(c.name for c in f.classes().by_label()), *[""] * 253]) for f in files]
    for number in range(3):
        before, after = (
            table[file.stored_labels(file.path.parent / f"scene_{number}.png").decode()]
            for file, table in zip(files, (t[:256] for t in map(_padded, tables)), strict=True)
        )
        np.testing.assert_array_equal(before, after)
    for file in files:
        file.close()


def _padded(names: np.ndarray) -> np.ndarray:
    return np.concatenate([names, np.full(256, "")])


def test_export_leaves_out_what_nobody_labeled(
    mdlstm: Mdlstm, filled: Path, tmp_path: Path
) -> None:
    options = ("--format", "id-png", "--ignore-value", 9, "--out", tmp_path / "out")
    result = mdlstm("export", filled, *options)

    assert result.code == 0, result.err
    assert sorted(p.stem for p in (tmp_path / "out").glob("*.png")) == [
        "scene_0",
        "scene_1",
        "scene_2",
    ]
    with Image.open(tmp_path / "out" / "scene_0.png") as image:
        assert (np.array(image)[:, 37:] == 9).all()
    refused = mdlstm("export", filled, "--format", "npy", "--done", "--out", tmp_path / "none")
    assert refused.code == 2
    assert "Nothing of what is asked for is labeled" in refused.err


def test_export_with_the_model_is_what_the_window_shows(
    mdlstm: Mdlstm,
    filled: Path,
    tmp_path: Path,
    checkpoint_file: Path,
    qtbot: QtBot,
    session: LabelingSession,
) -> None:
    paint(filled, filled.parent / "scene_3.png", 1, Box(3, 3, 9, 9))
    shown = {}
    open_in(session, filled, qtbot)
    session.start_model()
    for image in list(session.project.images):
        session.open_image(image)
        qtbot.waitUntil(lambda image=image: is_labeled(session, image), timeout=PATIENCE_MS)
        shown[image.stem] = session.document.displayed.copy()
    options = ("--labels", "all", "--model", checkpoint_file, "--device", "cpu")

    result = mdlstm("export", filled, "--format", "npy", *options, "--out", tmp_path / "out")

    assert result.code == 0, result.err
    assert sorted(shown) == [f"scene_{i}" for i in range(4)]
    for stem, displayed in shown.items():
        assert (displayed != 255).all()
        np.testing.assert_array_equal(np.load(tmp_path / "out" / f"{stem}.npy"), displayed)


def test_predict_gives_what_the_window_shows(
    mdlstm: Mdlstm, tmp_path: Path, qtbot: QtBot, checkpoint_file: Path, session: LabelingSession
) -> None:
    """Bit for bit, for the same model, image and device."""
    photos = tmp_path / "two photos"
    photos.mkdir()
    generator = np.random.default_rng(11)
    for name, shape in (("a.png", (61, 83, 3)), ("b.png", (1, 7, 3))):
        Image.fromarray(generator.integers(0, 256, shape, np.uint8)).save(photos / name)
    answers: list[Prediction] = []
    session._client.predicted.connect(answers.append)
    session.start_model()
    for name in ("a.png", "b.png"):
        with qtbot.waitSignal(session.prediction_changed, timeout=PATIENCE_MS):
            session.open_paths([photos / name])

    options = ("--model", checkpoint_file, "--device", "cpu")
    assert mdlstm("predict", photos, "--out", tmp_path / "out", *options).code == 0

    assert [answer.image_path.name for answer in answers] == ["a.png", "b.png"]
    for answer in answers:
        with Image.open(tmp_path / "out" / answer.image_path.name) as written:
            np.testing.assert_array_equal(np.array(written), answer.label_map)


def test_project_in_a_window_is_refused(
    assert_refused: Callable[..., None], filled: Path, tiny_dataset: Path, session: LabelingSession
) -> None:
    session.open_paths([filled])
    held = f"{filled} is open in a window or another command; close it there first"

    assert_refused("learn", filled, naming=held)
    assert_refused("project", "add", filled, filled.parent, naming=held)
    assert_refused("project", "repair", filled, naming=held)
    assert_refused("import", tiny_dataset, "--format", "dataset", "--into", filled, naming=held)


def test_project_in_a_window_can_be_exported(
    mdlstm: Mdlstm, filled: Path, tmp_path: Path, session: LabelingSession, qtbot: QtBot
) -> None:
    open_in(session, filled, qtbot)
    box = Box(0, 0, 30, 40)
    with qtbot.waitSignal(session.journal.stored):
        whole = Edit(Region(box, np.ones(box.shape, bool)), 1, "paint")
        session.edit(session.document.path, whole)

    result = mdlstm("export", filled, "--format", "npy", "--out", tmp_path / "out")

    assert (result.code, result.err) == (0, "")
    assert (np.load(tmp_path / "out" / "scene_0.npy") == 1).all()


def test_images_of_one_name_are_told_apart(mdlstm: Mdlstm, tmp_path: Path, qtbot: QtBot) -> None:
    """In two folders, and with two suffixes; all come back to where they belong."""
    names = ("a/x.png", "a/X.jpg", "b/x.png", "b/y z.png", "b/12:30 ü.png")
    paths = [tmp_path / name for name in names]
    for folder in "ab":
        (tmp_path / folder).mkdir()
    for path in paths:
        Image.new("RGB", (4, 3)).save(path)
    (tmp_path / "classes.txt").write_text("one\ntwo\nthree\nfour\nfive\n")
    project = tmp_path / "all.mdlp"
    options = ("--classes", tmp_path / "classes.txt", "--out", project)
    assert mdlstm("project", "new", tmp_path / "a", tmp_path / "b", *options).code == 0
    for label, path in enumerate(paths):
        paint(project, path, label, Box(0, 0, 2, 2))
    before = [labels_in(project, path) for path in paths]

    assert mdlstm("export", project, "--format", "npy", "--out", tmp_path / "out").code == 0
    assert sorted(p.stem for p in (tmp_path / "out").glob("*.npy")) == [
        "12_30 ü", "a_X_jpg", "a_x_png", "b_x", "y z",
    ]  # fmt: skip
    for path in paths:
        paint(project, path, 255, Box(0, 0, 3, 4))
    result = mdlstm("import", tmp_path / "out", "--format", "npy", "--into", project)

    assert result.code == 0, result.err
    for path, labels in zip(paths, before, strict=True):
        np.testing.assert_array_equal(labels_in(project, path), labels)


def test_locked_classes_stay(
    mdlstm: Mdlstm, project: Path, tiny_dataset: Path, qtbot: QtBot
) -> None:
    image = project.parent / "scene_0.png"
    paint(project, image, 2, Box(0, 0, 5, 40))
    stored = StoredProject()
    stored.open(project)
    stored.project.edit_classes(stored.project.classes.lock(2, True), "lock")
    assert stored.journal.store()
    stored.close()

    command = ("import", tiny_dataset, "--format", "dataset", "--into", project, "--overwrite")
    assert mdlstm(*command).code == 0

    assert (labels_in(project, image)[:5] == 2).all()


def test_learn_stores_what_it_learned(
    mdlstm: Mdlstm,
    filled: Path,
    tmp_path: Path,
    checkpoint_file: Path,
    qtbot: QtBot,
    session: LabelingSession,
) -> None:
    out = tmp_path / "learned.safetensors"
    options = ("--model", checkpoint_file, "--seconds", "1", "--out", out, "--json")
    result = mdlstm("learn", filled, *options)

    assert (result.code, result.err) == (0, "")
    report = json.loads(result.out)
    assert (report["images"], report["classes"]) == (3, ["sky", "grass", "road"])
    assert report["steps"] > 0
    learned, base = load_checkpoint(out), load_checkpoint(checkpoint_file)
    assert any((learned.weights[k] != base.weights[k]).any() for k in base.weights)
    file = ProjectFile(filled)
    assert file.load_model("learned") == out.read_bytes()
    stored = checkpoint_from_bytes(file.load_model("base"))
    assert all((stored.weights[k] == base.weights[k]).all() for k in base.weights)
    file.close()

    exported = mdlstm(
        "export", filled, "--format", "npy", "--labels", "all", "--out", tmp_path / "o"
    )
    assert exported.code == 0, exported.err
    with qtbot.waitSignal(session.prediction_changed, timeout=PATIENCE_MS):
        session.open_paths([filled])
        session.start_model()
    stem = session.document.path.stem
    np.testing.assert_array_equal(
        np.load(tmp_path / "o" / f"{stem}.npy"), session.document.displayed
    )


def test_nothing_to_learn_from(assert_refused: Callable[..., None], project: Path) -> None:
    assert_refused("learn", project, naming="nothing to learn from")


def test_check_finds_what_is_wrong(mdlstm: Mdlstm, filled: Path) -> None:
    sound = mdlstm("project", "check", filled)
    assert (sound.code, sound.out, sound.err) == (0, f"{filled} is sound.\n", "")

    (filled.parent / "scene_0.png").unlink()
    Image.new("RGB", (40, 30)).save(filled.parent / "scene_1.png")
    with sqlite3.connect(filled) as database:
        database.execute("UPDATE tiles SET labels = x'00' WHERE image = 3")
        database.execute("UPDATE patches SET mask = x'00' WHERE image = 3")
        database.execute("INSERT INTO tiles VALUES (99, 0, 0, x'00')")
        database.execute("INSERT INTO models (role, checkpoint) VALUES ('base', x'00')")
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
    mdlstm: Mdlstm, filled: Path, tiny_dataset: Path, session: LabelingSession, qtbot: QtBot
) -> None:
    images = [filled.parent / f"scene_{i}.png" for i in range(3)]
    paint(filled, images[0], 0, Box(20, 0, 30, 5))
    wanted = [labels_in(filled, image) for image in images]
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
    np.testing.assert_array_equal(labels_in(out, images[0]), wanted[0])
    np.testing.assert_array_equal(labels_in(out, images[2]), wanted[2])
    open_in(session, out, qtbot)
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
