"""Choosing another model in the window: it serves if it fits the project."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.views.main_window import MainWindow
from mdlstm_core.checkpoint import load_checkpoint, save_checkpoint
from resources import model_names


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A model of the user's own: the shipped one's classes by other names."""
    shipped = load_checkpoint("scene")
    renamed = tuple(dataclasses.replace(c, name=f"my {c.name}") for c in shipped.classes)
    path = tmp_path / "mine.safetensors"
    save_checkpoint(dataclasses.replace(shipped, classes=renamed), path)
    return path


def choose(window: MainWindow, text: str) -> None:
    next(action for action in window.models.actions() if action.text() == text).trigger()


def names(window: MainWindow) -> list[str]:
    return [c.name for c in window.session.classes]


def test_shipped_models_are_listed(labeled_window: MainWindow) -> None:
    texts = [action.text() for action in labeled_window.models.actions() if action.text()]
    assert texts == [*model_names(), "From a &file …"]


def test_model_of_the_users_own_serves(
    qtbot: QtBot, labeled_window: MainWindow, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = lambda *_arguments: (str(mine), "")  # noqa: E731
    monkeypatch.setattr(QFileDialog, "getOpenFileName", chosen)

    with qtbot.waitSignal(labeled_window.session.prediction_changed):
        choose(labeled_window, "From a &file …")

    assert names(labeled_window)[0].startswith("my ")


def test_model_with_other_classes_does_not_take_a_labeled_project(
    qtbot: QtBot, labeled_window: MainWindow, mine: Path, drag: Callable[..., None]
) -> None:
    session = labeled_window.session
    drag(labeled_window, [(100.0, 100.0), (150.0, 120.0)])
    before = names(labeled_window)

    with (
        qtbot.waitSignal(session.model_changed),
        qtbot.waitSignal(session.warned) as warned,
    ):
        session.use_model(mine)

    assert "labeled with the classes" in warned.args[0]
    assert names(labeled_window) == before
    model = session.model
    assert model is not None
    assert [c.name for c in model.classes] == before


def test_damaged_model_leaves_the_present_one(
    qtbot: QtBot, labeled_window: MainWindow, tmp_path: Path
) -> None:
    session = labeled_window.session
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    before = names(labeled_window)

    with (
        qtbot.assertNotEmitted(session.model_changed),
        qtbot.waitSignal(session.warned) as warned,
    ):
        session.use_model(broken)

    assert "truncated or is not a model file" in warned.args[0]
    assert names(labeled_window) == before
