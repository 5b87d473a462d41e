"""Copied labels, files that are not what they were, and what is kept between starts."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from app.document.edit import Edit, edit_of_stroke
from app.document.stroke import Box, Region, Stroke
from app.session import LabelingSession
from app.settings import load_settings
from app.storage.project_file import ProjectFile
from app.views.dialogs.preferences_dialog import PreferencesDialog
from app.views.main_window import MainWindow
from app.views.tools.tool import Pending
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.images import read_image

CLASSES = [LabelClass(name, (9, 9, 9)) for name in ("ground", "thing", "hole")]


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here asks the model."""
    monkeypatch.setattr(LabelingSession, "start_model", lambda _self: None)


@pytest.fixture
def another(qtbot: QtBot) -> Iterator[Callable[[], MainWindow]]:
    """Start further windows, as the program would."""
    made: list[MainWindow] = []

    def make() -> MainWindow:
        made.append(MainWindow(LabelingSession(device="cpu")))
        made[-1].show()
        return made[-1]

    yield make
    for window in made:
        window.close()


def _open(qtbot: QtBot, window: MainWindow, image: Path) -> None:
    session = window.session
    with qtbot.waitSignal(
        session.document_changed, check_params_cb=lambda d: d is not None and d.path == image
    ):
        session.open_paths([image])
    session.stored.use_model_classes(CLASSES)


def _step(qtbot: QtBot, window: MainWindow, action: str) -> None:
    with qtbot.waitSignal(window.session.document_changed):
        window.actions_by_name[action].trigger()


def _copy(qtbot: QtBot, window: MainWindow) -> None:
    window.actions_by_name["copy-previous"].trigger()
    qtbot.waitUntil(lambda: not window.canvas.is_working)


def _corrections(window: MainWindow) -> np.ndarray:
    assert window.session.document is not None
    return window.session.document.corrections.snapshot()


@pytest.fixture
def sequence(rocket: Path) -> list[Path]:
    """Two images of one size and one of another, in one folder."""
    second = Path(shutil.copy(rocket, rocket.with_name("second.png")))
    third = rocket.with_name("third.png")
    Image.new("RGB", (64, 48)).save(third)
    return [rocket, second, third]


@pytest.fixture
def sequence_window(
    qtbot: QtBot, window: MainWindow, sequence: list[Path], drag: Callable[..., None]
) -> MainWindow:
    """The window on the first image of the sequence, with a stroke of class 1 on it."""
    _open(qtbot, window, sequence[0])
    window.session.project.add_images(sequence)
    window.classes.choose(1)
    drag(window, [(100.0, 100.0), (300.0, 120.0)])
    assert (_corrections(window) == 1).any()
    return window


def test_labels_of_the_image_before_are_copied_as_one_step(
    qtbot: QtBot, sequence_window: MainWindow, drag: Callable[..., None]
) -> None:
    window = sequence_window
    before = _corrections(window)
    _step(qtbot, window, "next")
    window.classes.choose(2)
    drag(window, [(200.0, 80.0), (200.0, 140.0)])
    own = _corrections(window)
    steps = window.session.project.undo_stack.count()

    _copy(qtbot, window)

    expected = np.where(own == IGNORE_INDEX, before, own)
    np.testing.assert_array_equal(_corrections(window), expected)
    assert window.session.project.undo_stack.count() == steps + 1
    window.session.undo()
    np.testing.assert_array_equal(_corrections(window), own)
    window.session.redo()
    np.testing.assert_array_equal(_corrections(window), expected)


def test_copying_waits_for_what_is_worked_out_and_the_window_does_not(
    qtbot: QtBot, sequence_window: MainWindow
) -> None:
    window, go = sequence_window, threading.Event()
    before = _corrections(window)
    _step(qtbot, window, "next")
    region = Region(Box(90, 150, 130, 250), np.ones((40, 100), dtype=bool))

    def compute() -> Edit:
        assert go.wait(60)
        return Edit(region, 2, "drawn first")

    window.canvas.work_out(Pending(compute, "Drawing"))
    window.actions_by_name["copy-previous"].trigger()
    assert window.canvas.is_working
    assert (_corrections(window) == IGNORE_INDEX).all()
    go.set()
    steps = window.session.project.undo_stack
    qtbot.waitUntil(lambda: steps.count() == 3)
    expected = before.copy()
    expected[90:130, 150:250] = 2
    assert (before[90:130, 150:250] == 1).any()
    np.testing.assert_array_equal(_corrections(window), expected)


def test_copied_labels_come_from_disk_and_obey_locks(
    qtbot: QtBot, sequence_window: MainWindow, another: Callable[[], MainWindow]
) -> None:
    before = _corrections(sequence_window)
    image = sequence_window.session.project.images[1]
    sequence_window.close()
    window = another()
    _open(qtbot, window, image)
    document, session = window.session.document, window.session
    assert document is not None
    prediction = np.zeros(document.corrections.size, np.uint8)
    prediction[:110] = 2
    document.set_prediction(prediction, prediction)
    session.edit_classes(session.project.classes.lock(2, True), "Lock a class")

    _copy(qtbot, window)

    expected = before.copy()
    expected[:110] = IGNORE_INDEX
    np.testing.assert_array_equal(_corrections(window), expected)
    assert (expected != IGNORE_INDEX).any()
    session.undo()
    session.edit_classes(session.project.classes.lock(2, False), "Unlock a class")
    session.project.paint_only = frozenset({2})
    _copy(qtbot, window)
    expected = before.copy()
    expected[110:] = IGNORE_INDEX
    np.testing.assert_array_equal(_corrections(window), expected)


def test_what_cannot_be_copied_is_said(qtbot: QtBot, sequence_window: MainWindow) -> None:
    window = sequence_window
    _copy(qtbot, window)
    assert "first image" in window.messages.text
    _step(qtbot, window, "next")
    _copy(qtbot, window)
    _copy(qtbot, window)
    assert "labeled here already" in window.messages.text
    _step(qtbot, window, "next")
    _copy(qtbot, window)
    assert "640×427" in window.messages.text
    assert "64×48" in window.messages.text
    assert window.session.project.undo_stack.count() == 2
    # The two copied labels stay apart from an image that has none.
    _step(qtbot, window, "previous")
    _step(qtbot, window, "previous")
    _step(qtbot, window, "undo")  # shows its image
    _step(qtbot, window, "undo")
    _step(qtbot, window, "next")
    _copy(qtbot, window)
    assert "no labels of yours" in window.messages.text


def _replace(image: Path) -> None:
    with Image.open(image) as opened:
        turned = opened.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned.save(image)


def _refused(qtbot: QtBot, window: MainWindow, image: Path) -> None:
    _step(qtbot, window, "next")
    _replace(image)
    with qtbot.waitSignal(window.session.image_failed):
        window.actions_by_name["previous"].trigger()


def test_a_replaced_file_is_taken_from_the_message(
    qtbot: QtBot, sequence_window: MainWindow, sequence: list[Path]
) -> None:
    window, painted = sequence_window, _corrections(sequence_window)
    assert not window.actions_by_name["accept-image"].isEnabled()
    _refused(qtbot, window, sequence[0])
    assert "not the picture that was labeled" in window.messages.text
    (button,) = window.messages.findChildren(QPushButton)
    assert button.isVisible()

    with qtbot.waitSignal(window.session.document_changed):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    assert window.session.document is not None
    assert window.session.document.path == sequence[0]
    np.testing.assert_array_equal(_corrections(window), painted)
    assert not window.actions_by_name["accept-image"].isEnabled()
    window.messages.say("something else")
    assert not button.isVisible()


def test_a_replaced_file_is_taken_from_the_list(
    qtbot: QtBot, sequence_window: MainWindow, sequence: list[Path]
) -> None:
    window = sequence_window
    _refused(qtbot, window, sequence[0])
    window.messages.hide()
    action = window.actions_by_name["accept-image"]
    assert action in window.images.list.actions()
    assert action.isEnabled()
    with qtbot.waitSignal(window.session.document_changed):
        action.trigger()
    assert window.session.document is not None
    assert window.session.document.path == sequence[0]


def test_a_window_that_may_only_look_says_so(
    qtbot: QtBot,
    sequence_window: MainWindow,
    sequence: list[Path],
    another: Callable[[], MainWindow],
) -> None:
    assert sequence_window.session.journal.store()
    assert not sequence_window.status.read_only.isVisible()
    second = another()
    _open(qtbot, second, sequence[0])
    assert second.status.read_only.isVisible()
    assert "open the project again" in second.status.read_only.toolTip()
    sequence_window.close()
    second.close()
    third = another()
    _open(qtbot, third, sequence[0])
    assert not third.status.read_only.isVisible()


def test_tools_are_as_they_were(window: MainWindow, another: Callable[[], MainWindow]) -> None:
    bar = window.options_bar
    bar.restore({"shape": "square", "tolerance": 7, "contiguous": False, "diameter": 33})
    bar.restore({"shape": "oval", "tolerance": 4000, "contiguous": 1, "superpixel_size": "x"})
    window.actions_by_name["tool-wand"].trigger()
    assert window.close()

    again = another()

    options = again.options_bar.options
    assert (options.shape, options.tolerance, options.contiguous) == ("square", 7, False)
    assert (options.diameter, options.superpixel_size) == (33, 20)
    assert again.actions_by_name["tool-wand"].isChecked()
    assert again.canvas._tool is again._made["wand"]
    assert again.canvas._options == options


def test_the_history_is_held_to_what_the_preferences_say(
    qtbot: QtBot, sequence_window: MainWindow
) -> None:
    window = sequence_window
    session = window.session
    generator = np.random.default_rng(0)
    box = Box(0, 0, 427, 640)
    document = session.document
    assert document is not None
    for _ in range(90):  # noise does not shrink: some 200 kB each
        labels = generator.integers(0, 250, 427 * 640, dtype=np.uint8)
        session.edit(document.path, Edit(Region(box, np.ones(box.shape, bool)), labels, "noise"))
    assert session.journal.store()
    stack = session.project.undo_stack
    assert stack.stored_bytes > 16 << 20
    kept = stack.count()
    window.actions_by_name["preferences"].trigger()
    dialog = window.findChild(PreferencesDialog)
    assert dialog is not None

    dialog.history.selectAll()
    qtbot.keyClicks(dialog.history, "16")
    assert stack.count() == kept  # not while it is being typed
    qtbot.keyClick(dialog.history, Qt.Key.Key_Return)

    assert stack.count() < kept
    assert stack.stored_bytes <= 16 << 20
    assert "held to 16 MB" in window.messages.text
    dialog.close()
    window.close()
    assert load_settings().history_mb == 16


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A 16-bit image whose bright end hides what is in the dark."""
    folder = tmp_path / "wide"
    folder.mkdir()
    values = np.full((50, 60), 1000, np.uint16)
    values[:, 30:] = 3000
    values[:, 50:] = 60_000
    tifffile.imwrite(folder / "wide.tif", values)
    tifffile.imwrite(folder / "other.tif", values + 1)
    return folder / "wide.tif"


def _choose_window(qtbot: QtBot, window: MainWindow, low: float, high: float) -> None:
    bar = window.canvas._overlays.window_bar
    with qtbot.waitSignal(window.session.document_changed, check_params_cb=bool):
        bar.low.setValue(low)
        bar.high.setValue(high)


def test_an_image_is_seen_as_it_was_also_by_the_model(
    qtbot: QtBot, window: MainWindow, wide: Path, another: Callable[[], MainWindow]
) -> None:
    _open(qtbot, window, wide)
    _choose_window(qtbot, window, 1000, 5000)
    session = window.session
    assert session.document is not None
    seen = session.document.image.copy()
    stroke = edit_of_stroke(Stroke(((9.0, 9.0), (40.0, 30.0)), 7, 1), 50, 60)
    assert stroke is not None
    session.edit(wide, stroke)
    (corrected,) = session.teacher._corrected_files()
    np.testing.assert_array_equal(read_image(wide, corrected.window), seen)
    window.close()

    again = another()
    _open(qtbot, again, wide)

    assert again.session.document is not None
    np.testing.assert_array_equal(again.session.document.image, seen)
    assert again.canvas._overlays.window_bar.low.value() == 1000
    (corrected,) = again.session.teacher._corrected_files()
    np.testing.assert_array_equal(read_image(wide, corrected.window), seen)
    # Another image has its own.
    _open(qtbot, again, wide.with_name("other.tif"))
    assert again.session.document.image.max() > 0
    assert wide.with_name("other.tif") not in again.session.stored.windows


def test_a_damaged_window_is_passed_over(
    qtbot: QtBot, window: MainWindow, wide: Path, another: Callable[[], MainWindow]
) -> None:
    _open(qtbot, window, wide)
    _choose_window(qtbot, window, 1000, 5000)
    project = window.session.project_path
    assert project is not None
    window.close()
    with sqlite3.connect(project) as database:
        database.execute("UPDATE settings SET value = 'half' WHERE name = 'window wide.tif'")
    database.close()
    again = another()
    _open(qtbot, again, wide)
    assert again.session.document is not None
    assert again.session.document.image[0, 40, 0] < 100
    file = ProjectFile(project)
    assert file.windows() == {}
    file.close()


def test_an_image_that_is_being_read_is_said(
    qtbot: QtBot, window: MainWindow, rocket: Path
) -> None:
    said: list[str] = []
    window.session.image_asked.connect(
        lambda _image: said.extend((window.canvas._hint, window.status.busy.text))
    )
    _open(qtbot, window, rocket)
    assert said == ["Opening rocket.png …"] * 2
    assert "Drop images" in window.canvas._hint
    assert "Opening" not in window.status.busy.text
