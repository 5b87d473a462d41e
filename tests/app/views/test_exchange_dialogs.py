"""File › Export labels and Import labels, in the real window."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QDialog, QFileDialog
from pytestqt.qtbot import QtBot

from app.document.edit import Edit
from app.document.stroke import Box, Region
from app.session import LabelingSession
from app.storage.project_file import ProjectFile
from app.views.dialogs.export_dialog import ExportDialog
from app.views.dialogs.import_dialog import ImportDialog
from app.views.main_window import MainWindow
from mdlstm_core.config import LabelClass

CLASSES = [LabelClass("sky", (90, 150, 230)), LabelClass("grass", (60, 140, 50)),
           LabelClass("road", (110, 110, 110))]  # fmt: skip


@pytest.fixture
def opened(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, window: MainWindow, tiny_dataset: Path
) -> MainWindow:
    """The window on the tiny dataset's images with its classes, without a model."""
    monkeypatch.setattr(LabelingSession, "start_model", lambda _self: None)
    window.open_paths([tiny_dataset / "images"])
    qtbot.waitUntil(lambda: window.session.document is not None)
    window.session.stored.start_with_classes(CLASSES, ())
    return window


def paint(window: MainWindow, label: int, box: Box) -> None:
    region = Region(box, np.ones(box.shape, bool))
    window.session.edit(window.session.document.path, Edit(region, label, "paint"))


def choose(field: QComboBox, data: str) -> None:
    field.setCurrentIndex(field.findData(data))


def export_dialog(window: MainWindow) -> ExportDialog:
    window.actions_by_name["export-labels"].trigger()
    return window.findChild(ExportDialog)


def import_dialog(
    window: MainWindow, qtbot: QtBot, name: str, source: Path, images: Path | None = None
) -> ImportDialog:
    window.actions_by_name["import-labels"].trigger()
    dialog = window.findChild(ImportDialog)
    choose(dialog.formats, name)
    if images is not None:
        dialog.images.set_path(images)
    with qtbot.waitSignal(window.session.exchanger.ended):
        dialog.source.set_path(source)
    return dialog


def click(qtbot: QtBot, dialog: ExportDialog | ImportDialog, window: MainWindow) -> str:
    """Press the button that does it, and return what the window says of it."""
    told: list[str] = []
    exchanger = window.session.exchanger
    for signal in (exchanger.said, exchanger.warned):
        signal.connect(lambda _text: told.append(window.messages.text))
    qtbot.mouseClick(dialog.do, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(told))
    return told[-1]


def labels_of(window: MainWindow, name: str) -> np.ndarray:
    session = window.session
    return session.stored.labels_of(session.project_path.parent / name)


def test_export_writes_what_a_person_set(opened: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    paint(opened, 2, Box(3, 4, 20, 30))
    dialog = export_dialog(opened)
    assert not dialog.do.isEnabled(), "there is no folder yet"
    assert [dialog.table.topLevelItem(i).text(0) for i in range(3)] == ["sky", "grass", "road"]
    choose(dialog.formats, "coco")
    dialog.folder.set_path(tmp_path / "out ü")
    dialog.table.topLevelItem(2).setText(1, "street")
    dialog.table.topLevelItem(0).setText(1, "")
    assert dialog.table.topLevelItem(0).text(1) == "no label"
    assert dialog.do.isEnabled()

    text = click(qtbot, dialog, opened)

    assert text == f"1 image exported to {tmp_path / 'out ü'}."
    values = json.loads((tmp_path / "out ü" / "annotations" / "instances.json").read_text())
    assert [c["name"] for c in values["categories"]] == ["grass", "street"]
    assert [a["area"] for a in values["annotations"]] == [17 * 26]
    assert "Exporting" not in opened.status.busy.text


def test_export_says_what_the_format_cannot_hold(opened: MainWindow, tmp_path: Path) -> None:
    dialog = export_dialog(opened)
    dialog.folder.set_path(tmp_path / "out")
    choose(dialog.formats, "cityscapes")

    assert "no class 'grass'" in dialog.notice.text()
    assert not dialog.do.isEnabled()
    dialog.table.topLevelItem(1).setText(1, "terrain")
    assert dialog.do.isEnabled()


def test_export_of_images_that_are_done(opened: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    session = opened.session
    for image in session.project.images[:2]:
        session.open_image(image)
        qtbot.waitUntil(lambda image=image: session.document.path == image)
        paint(opened, 1, Box(0, 0, 5, 5))
    opened.actions_by_name["done"].trigger()
    done = session.project.images[1]
    qtbot.waitUntil(lambda: session.project.status(done) == "done")

    for which, names in (("done", ["scene_1"]), ("all", ["scene_0", "scene_1"]),
                         ("this", ["scene_1"])):  # fmt: skip
        dialog = export_dialog(opened)
        choose(dialog.formats, "npy")
        choose(dialog.which, which)
        dialog.folder.set_path(tmp_path / which)
        click(qtbot, dialog, opened)
        assert sorted(p.stem for p in (tmp_path / which).glob("*.npy")) == names
        qtbot.waitUntil(lambda: opened.findChild(ExportDialog) is None)


def test_export_leaves_out_another_picture_in_the_place_of_a_labeled_one(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    session = opened.session
    first, second = session.project.images[:2]
    for image in (first, second):
        session.open_image(image)
        qtbot.waitUntil(lambda image=image: session.document.path == image)
        paint(opened, 1, Box(0, 0, 5, 5))
    with Image.open(first) as picture:
        turned = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned.save(first)
    assert session.journal.store()
    dialog = export_dialog(opened)
    choose(dialog.formats, "npy")
    dialog.folder.set_path(tmp_path / "out")
    with qtbot.waitSignal(session.exchanger.warned) as warned:
        click(qtbot, dialog, opened)
    assert "1 image" in warned.args[0]
    assert f"{first} is not the picture that was labeled" in warned.args[0]
    assert [path.stem for path in (tmp_path / "out").glob("*.npy")] == [second.stem]
    dialog = export_dialog(opened)
    choose(dialog.formats, "npy")
    session.open_image(first)
    choose(dialog.which, "all")
    second.write_bytes(first.read_bytes())
    dialog.folder.set_path(tmp_path / "none")
    assert "is not the picture that was labeled" in click(qtbot, dialog, opened)
    assert not (tmp_path / "none").exists()


def test_export_does_not_replace_files_unasked(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    paint(opened, 1, Box(0, 0, 5, 5))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scene_0.png").write_text("mine")
    dialog = export_dialog(opened)
    dialog.folder.set_path(tmp_path / "out")

    text = click(qtbot, dialog, opened)

    assert "scene_0.png is there already" in text
    assert (tmp_path / "out" / "scene_0.png").read_text() == "mine"


def test_export_with_the_model_is_what_is_shown(
    labeled_window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    window = labeled_window
    paint(window, 3, Box(10, 10, 60, 90))
    dialog = export_dialog(window)
    choose(dialog.formats, "npy")
    choose(dialog.whose, "all")
    dialog.folder.set_path(tmp_path / "out")

    text = click(qtbot, dialog, window)

    assert text.startswith("1 image exported")
    shown = window.session.document.displayed
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "rocket.npy"), shown)


def test_import_shows_what_it_becomes_and_is_one_step(
    opened: MainWindow, qtbot: QtBot, tiny_dataset: Path
) -> None:
    paint(opened, 2, Box(0, 0, 30, 10))
    mine = opened.session.document.corrections.snapshot()
    dialog = import_dialog(opened, qtbot, "dataset", tiny_dataset)
    assert "4 labeled images: 4 of this project" in dialog.notice.text()
    assert dialog.table.topLevelItemCount() == 3
    assert dialog.renames() == {"sky": "sky", "grass": "grass", "road": "road"}

    text = click(qtbot, dialog, opened)

    assert text == (
        "Labels of 4 images imported; undo takes them back. 1 image keeps labels of yours."
    )
    with Image.open(tiny_dataset / "labels" / "scene_0.png") as image:
        theirs = np.array(image)
    shown = opened.session.document.corrections.values
    assert (shown[:, :10] == 2).all()
    np.testing.assert_array_equal(shown[:, 10:], theirs[:, 10:])
    assert opened.session.project.undo_stack.undoText() == "import labels"
    assert opened.session.journal.store()

    opened.actions_by_name["undo"].trigger()
    np.testing.assert_array_equal(opened.session.document.corrections.values, mine)
    assert (labels_of(opened, "scene_3.png") == 255).all()
    opened.actions_by_name["redo"].trigger()
    with Image.open(tiny_dataset / "labels" / "scene_3.png") as image:
        np.testing.assert_array_equal(labels_of(opened, "scene_3.png"), np.array(image))


def test_import_maps_as_it_is_chosen(opened: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "classes.json").write_text(json.dumps({"classes": ["Road", "sea", "trash"]}))
    labels = np.full((30, 40), 255, np.uint8)
    labels[:10], labels[10:20], labels[20:25] = 0, 1, 2
    Image.fromarray(labels).save(masks / "scene_0.png")
    Image.fromarray(labels).save(masks / "unknown.png")
    dialog = import_dialog(opened, qtbot, "id-png", masks)
    assert dialog.renames() == {"Road": "road", "sea": "sea", "trash": "trash"}
    assert "1 without an image, left out" in dialog.notice.text()
    choices = dialog.findChildren(QComboBox)
    choose(next(c for c in choices if c.accessibleName() == "What trash becomes"), "ignore")
    dialog.overwrite.setChecked(True)
    paint(opened, 0, Box(0, 0, 30, 3))

    with qtbot.waitSignal(opened.session.classes_changed):
        click(qtbot, dialog, opened)

    found = opened.session.document.corrections.values
    assert [c.name for c in opened.session.classes] == ["sky", "grass", "road", "sea"]
    assert [int(found[row, 20]) for row in (0, 10, 20, 29)] == [2, 3, 255, 255]
    assert [int(found[row, 1]) for row in (0, 10, 20, 29)] == [2, 3, 0, 0]
    opened.actions_by_name["undo"].trigger()
    assert [c.name for c in opened.session.classes] == ["sky", "grass", "road"]


def test_stroke_painted_while_importing_stays(
    opened: MainWindow, qtbot: QtBot, tiny_dataset: Path
) -> None:
    """The import reads the image again when a stroke came in between."""
    session = opened.session
    dialog = import_dialog(opened, qtbot, "dataset", tiny_dataset)
    with qtbot.waitSignal(session.exchanger.said) as told:
        dialog.do.click()
        paint(opened, 2, Box(0, 0, 30, 10))  # before the answer is handled

    assert "Labels of 4 images imported" in told.args[0]
    assert (session.document.corrections.values[:, :10] == 2).all()
    session.undo()
    assert (session.document.corrections.values[:, :10] == 2).all()
    assert (session.document.corrections.values[:, 10:] == 255).all()


def test_what_cannot_be_read_is_said_in_the_dialog(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    dialog = import_dialog(opened, qtbot, "coco", broken)

    assert f"{broken} is not valid JSON" in dialog.notice.text()
    assert not dialog.do.isEnabled()
    assert str(broken) not in opened.messages.text


def test_closing_the_window_ends_an_export(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    paint(opened, 1, Box(0, 0, 5, 5))
    dialog = export_dialog(opened)
    dialog.folder.set_path(tmp_path / "out")
    dialog.do.click()
    opened.close()

    written = sorted(p.name for p in (tmp_path / "out").glob("*"))
    assert written in ([], ["classes.json", "scene_0.png"]), "all or nothing"


@pytest.mark.parametrize("name", ["export-labels", "import-labels"])
def test_without_images_there_is_nothing_to_do(window: MainWindow, name: str) -> None:
    window.actions_by_name[name].trigger()

    assert "images" in window.messages.text
    assert not window.findChildren(QDialog)


def test_imported_labels_are_on_disk(opened: MainWindow, qtbot: QtBot, tiny_dataset: Path) -> None:
    click(qtbot, import_dialog(opened, qtbot, "dataset", tiny_dataset), opened)
    path = opened.session.project_path
    opened.close()

    file = ProjectFile(path)
    assert [found.status for found in file.images()] == ["started"] * 4
    assert all(found.fingerprint is not None for found in file.images())
    file.close()


def test_a_mask_keeps_the_points_in_its_name_and_replaces_nothing_unasked(
    qtbot: QtBot, opened: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(opened, 1, Box(0, 0, 5, 5))
    document = opened.session.document
    assert document is not None
    sky = np.zeros((document.height, document.width), np.uint8)
    document.set_prediction(sky, np.full_like(sky, 200))
    opened.session.prediction_changed.emit()
    other = tmp_path / "mask-1.png"
    other.write_bytes(b"precious")
    there = tmp_path / "mask-1.5.png"
    there.write_bytes(b"replaced")
    proposed: list[str] = []

    def choose(_parent: object, _title: str, suggestion: str, _kinds: str) -> tuple[str, str]:
        proposed.append(suggestion)
        return (str(tmp_path / "mask-1.5") if len(proposed) == 1 else suggestion), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    with qtbot.waitSignal(opened.session.exported) as exported:
        opened.actions_by_name["export"].trigger()
    assert exported.args == [there]
    assert proposed[1] == str(there)  # the dialog came again, and warns of what is there
    assert other.read_bytes() == b"precious"
    with Image.open(there) as mask:
        assert mask.size == (document.width, document.height)
