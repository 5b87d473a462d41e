"""Strokes of one class teach little: with Live on, the window says why, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.views.main_window import MainWindow

CTRL = Qt.KeyboardModifier.ControlModifier


def answer(qtbot: QtBot, window: MainWindow, do: Callable[[], object]) -> str:
    """Do something and return what the window has said when the model has answered."""
    window.messages.hide()
    with qtbot.waitSignal(window.session.prediction_changed):
        do()
    return window.messages.text


def stroke(
    window: MainWindow, drag: Callable[..., None], label: int, y: float
) -> Callable[[], None]:
    """Return a call that paints a line with a class."""

    def do() -> None:
        window.classes.choose_label(label)
        drag(window, [(20.0, y), (180.0, y)])

    return do


def test_of_a_model_that_knows_others(
    qtbot: QtBot, small: MainWindow, photos: list[Path], drag: Callable[..., None]
) -> None:
    session = small.session
    name = session.project.classes.get(6).name
    said = f"All strokes are of the class {name}; paint where it ends, too."
    assert said not in answer(qtbot, small, lambda: qtbot.keyClick(small, Qt.Key.Key_L, CTRL))
    assert said in answer(qtbot, small, stroke(small, drag, 6, 40.0))
    assert said not in answer(qtbot, small, stroke(small, drag, 6, 90.0))  # once is enough
    assert "strokes are of" not in answer(qtbot, small, stroke(small, drag, 2, 60.0))
    assert said in answer(qtbot, small, session.undo)
    # Those on other images count as well.
    answer(qtbot, small, session.redo)
    answer(qtbot, small, lambda: session.open_image(photos[1]))
    assert "strokes are of" not in answer(qtbot, small, stroke(small, drag, 6, 40.0))


def test_of_a_model_that_knows_none(
    qtbot: QtBot,
    small: MainWindow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    drag: Callable[..., None],
) -> None:
    names = tmp_path / "classes.txt"
    names.write_text("disc\nbox\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_arguments: (str(names), ""))
    small.actions_by_name["class-import"].trigger()
    answer(qtbot, small, lambda: small.session.set_live(True))
    assert (
        "All strokes are of the class disc and the model knows no other; paint a second class."
        in answer(qtbot, small, stroke(small, drag, 0, 40.0))
    )
    assert "strokes are of" not in answer(qtbot, small, stroke(small, drag, 1, 60.0))
