"""Choosing another model in the window: it serves if it fits the project."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.inference import model_worker
from app.views.main_window import MainWindow
from mdlstm_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
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
        qtbot.waitSignal(session.model_changed),
        qtbot.waitSignal(session.warned) as warned,
    ):
        session.use_model(broken)

    assert "truncated or is not a model file" in warned.args[0]
    assert names(labeled_window) == before


def test_a_model_whose_place_another_one_takes_at_once_is_not_compared(
    qtbot: QtBot, labeled_window: MainWindow, mine: Path
) -> None:
    teacher = labeled_window.session.teacher
    replaced: list[tuple[object, object]] = []
    teacher.model_replaced.connect(lambda *pair: replaced.append(pair))
    with qtbot.waitSignal(teacher.model_replaced):
        teacher.use("scene-33")
        teacher.use(mine)
    assert replaced == [("scene", mine)]
    with qtbot.waitSignal(teacher.warned):
        teacher.use("scene-33")
        teacher.use(mine.parent / "nothing.safetensors")
    qtbot.waitUntil(
        lambda: teacher.settled_source == mine and labeled_window.session.model is not None
    )
    assert replaced == [("scene", mine)]
    assert names(labeled_window)[0].startswith("my ")


def test_learning_does_not_begin_while_a_model_is_being_loaded(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None]
) -> None:
    session = labeled_window.session
    drag(labeled_window, [(100.0, 100.0), (150.0, 120.0)])
    with qtbot.waitSignal(session.model_changed):
        session.use_model("scene")
        with qtbot.waitSignal(session.warned) as warned:
            session.learn(2)
    assert warned.args == ["Another model is just being loaded; try again in a moment."]
    assert not session.is_learning


def test_a_model_that_memory_does_not_suffice_for_leaves_the_present_one(
    qtbot: QtBot, labeled_window: MainWindow, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, before = labeled_window.session, names(labeled_window)
    load = model_worker.load_model

    def short(model: str | Path | bytes, pixels: int | None) -> Checkpoint:
        if model == mine:
            raise MemoryError
        return load(model, pixels)

    monkeypatch.setattr(model_worker, "load_model", short)
    with qtbot.waitSignal(session.warned) as warned, qtbot.waitSignal(session.model_changed):
        session.use_model(mine)
    assert warned.args == ["There is not enough memory for this model. The model before stays."]
    assert names(labeled_window) == before
    assert session.teacher.settled_source == "scene"
