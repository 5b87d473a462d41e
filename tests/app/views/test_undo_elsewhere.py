"""Undo of a change on an image that is not shown: seen first, or not done."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.session import LabelingSession
from app.storage.schema import connect_writer
from app.views.main_window import MainWindow
from mdlstm_core.config import IGNORE_INDEX, LabelClass

CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def two_painted(
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    window: MainWindow,
    rocket: Path,
    drag: Callable[..., None],
) -> tuple[MainWindow, Path, Path]:
    """The window on the second of two images, after two strokes on the first and one there."""
    monkeypatch.setattr(LabelingSession, "start_model", lambda _self: None)
    second = Path(shutil.copy(rocket, rocket.with_name("second.png")))
    for image in (rocket, second):
        _show(qtbot, window, lambda image=image: window.session.open_paths([image]), image)
        names = ("ground", "thing")
        window.session.stored.use_model_classes([LabelClass(name, (9, 9, 9)) for name in names])
        window.classes.choose(1)
        for y in (100.0, 200.0)[: 2 if image == rocket else 1]:
            drag(window, [(100.0, y), (300.0, y)])
    assert window.session.journal.store()
    return window, rocket, second


def _show(qtbot: QtBot, window: MainWindow, act: Callable[[], object], image: Path) -> None:
    """Do something, and wait until the image is shown."""
    with qtbot.waitSignal(
        window.session.document_changed,
        check_params_cb=lambda d: d is not None and d.path == image,
    ):
        act()


def _undo(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.keyClick(window, Qt.Key.Key_Z, CTRL)


def _is_labeled(window: MainWindow, image: Path) -> bool:
    labels = window.session.stored.labels_of(image)
    return labels is not None and bool((labels != IGNORE_INDEX).any())


def test_nothing_is_undone_before_its_image_is_shown(
    qtbot: QtBot, two_painted: tuple[MainWindow, Path, Path]
) -> None:
    window, first, second = two_painted
    stack = window.session.project.undo_stack
    _undo(qtbot, window)
    assert not _is_labeled(window, second)
    assert stack.index() == 2

    def three_times() -> None:
        for _ in range(3):
            _undo(qtbot, window)
        assert stack.index() == 2
        assert window.session.document is not None
        assert window.session.document.path == second

    _show(qtbot, window, three_times, first)
    assert stack.index() == 1  # one of them, which is seen now
    assert window.session.document is not None
    values = window.session.document.corrections.values
    assert (values[200, 100:300] == IGNORE_INDEX).all()
    assert (values[100, 110:290] == 1).all()
    _undo(qtbot, window)
    assert stack.index() == 0
    assert (values == IGNORE_INDEX).all()


def test_nothing_is_undone_on_an_image_that_cannot_be_shown(
    qtbot: QtBot, two_painted: tuple[MainWindow, Path, Path]
) -> None:
    window, first, second = two_painted
    stack, content = window.session.project.undo_stack, first.read_bytes()
    _undo(qtbot, window)
    first.write_bytes(b"no picture")
    with qtbot.waitSignal(window.session.image_failed):
        _undo(qtbot, window)
    qtbot.waitUntil(lambda: "is not undone" in window.messages.text)
    assert "not an image" in window.messages.text
    assert stack.index() == 2
    assert _is_labeled(window, first)
    assert window.session.document is not None
    assert window.session.document.path == second
    first.write_bytes(content)
    _show(qtbot, window, lambda: _undo(qtbot, window), first)
    assert stack.index() == 1


def test_an_undo_is_given_up_when_another_image_is_asked_for(
    qtbot: QtBot, two_painted: tuple[MainWindow, Path, Path]
) -> None:
    window, first, second = two_painted
    stack = window.session.project.undo_stack
    _undo(qtbot, window)

    def change_of_mind() -> None:
        _undo(qtbot, window)
        window.session.open_image(second)

    _show(qtbot, window, change_of_mind, second)
    assert stack.index() == 2
    _show(qtbot, window, lambda: window.session.open_image(first), first)
    assert stack.index() == 2


def test_made_again_where_it_is_seen(
    qtbot: QtBot, two_painted: tuple[MainWindow, Path, Path]
) -> None:
    window, first, second = two_painted
    session = window.session
    _undo(qtbot, window)
    _show(qtbot, window, lambda: session.open_image(first), first)
    session.redo()
    assert session.project.undo_stack.index() == 2
    before = np.array(session.stored.labels_of(second))
    assert (before == IGNORE_INDEX).all()
    _show(qtbot, window, lambda: None, second)
    assert session.project.undo_stack.index() == 3
    assert _is_labeled(window, second)


def test_an_undo_is_given_up_when_another_project_is_opened(
    qtbot: QtBot, two_painted: tuple[MainWindow, Path, Path]
) -> None:
    window, first, _ = two_painted
    session, other = window.session, first.parent.parent / "empty.mdlp"
    _undo(qtbot, window)
    connect_writer(other).close()
    session.undo()
    session.open_paths([other])
    assert session.project_path == other
    assert session.document is None
    session.edit_classes(session.project.classes.add("new", (1, 2, 3)), "add class")
    _undo(qtbot, window)
    assert session.project.undo_stack.index() == 0
    assert session.classes == ()
