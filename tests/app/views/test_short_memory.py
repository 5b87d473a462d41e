"""What the window shows when the GPU's memory, or the computer's, does not suffice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.views.main_window import MainWindow
from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.data.images import read_image
from mdlstm_core.memory import COARSER, ON_CPU
from mdlstm_core.predictor import Predictor

LINE = [(100.0, 100.0), (200.0, 120.0)]


@pytest.fixture
def said(window: MainWindow) -> list[str]:
    """Everything that the message bar was given to say."""
    texts: list[str] = []
    window.session.said.connect(texts.append)
    return texts


def _step(qtbot: QtBot, window: MainWindow, key: Qt.Key) -> None:
    with qtbot.waitSignal(window.session.prediction_changed):
        qtbot.keyClick(window, key)


def _prediction(window: MainWindow) -> Any:
    assert window.session.document is not None
    return window.session.document.prediction


def test_a_coarser_prediction_is_shown_and_said(
    qtbot: QtBot, window: MainWindow, rocket: Path, short_memory: Any
) -> None:
    short_memory.fails = [True]
    with qtbot.waitSignal(window.session.prediction_changed):
        window.session.open_paths([rocket])
    assert window.messages.isVisible()
    assert window.messages.text == COARSER
    shipped = load_checkpoint("scene")
    config = shipped.config
    halved = dataclasses.replace(config, working_pixels=config.working_pixels // 2)
    expected = Predictor(dataclasses.replace(shipped, config=halved), "cpu")
    found = expected.predict(read_image(rocket)).label_map
    np.testing.assert_array_equal(_prediction(window), found)


def test_the_same_is_said_once_until_it_changes(
    qtbot: QtBot,
    window: MainWindow,
    two_photos: list[Path],
    said: list[str],
    short_memory: Any,
) -> None:
    short_memory.fails = [True, True]
    with qtbot.waitSignal(window.session.prediction_changed):
        window.session.open_paths([two_photos[0].parent])
    assert said == [ON_CPU]
    assert window.messages.text == ON_CPU
    window.messages.hide()

    short_memory.fails = [True, True]
    _step(qtbot, window, Qt.Key.Key_D)
    assert window.messages.text == ""

    short_memory.fails = [True]
    _step(qtbot, window, Qt.Key.Key_A)
    assert window.messages.text == COARSER

    _step(qtbot, window, Qt.Key.Key_D)
    short_memory.fails = [True]
    _step(qtbot, window, Qt.Key.Key_A)
    assert said == [ON_CPU, COARSER, COARSER]


def test_gates_come_from_the_cpu(
    qtbot: QtBot, labeled_window: MainWindow, rocket: Path, short_memory: Any
) -> None:
    session = labeled_window.session
    short_memory.fails = [True, True]
    with qtbot.waitSignal(session.insight.answered) as shown:
        labeled_window.actions_by_name["gates"].trigger()
    assert labeled_window.messages.text == ON_CPU
    answer = shown.args[0]
    query = answer.request.query
    expected = Predictor(load_checkpoint("scene"), "cpu").gate_map(read_image(rocket), query)
    np.testing.assert_allclose(answer.found.values, expected.values, atol=1e-5)


def test_learning_goes_on_and_says_how(
    qtbot: QtBot,
    labeled_window: MainWindow,
    said: list[str],
    drag: Callable[..., None],
    short_memory: Any,
    until_learned: Callable[..., AbstractContextManager[None]],
) -> None:
    session = labeled_window.session
    drag(labeled_window, LINE)
    short_memory.only_learning = True  # the first improvement is shown meanwhile
    short_memory.fails = [True, True]
    with qtbot.waitSignal(session.progressed):
        qtbot.keyClick(labeled_window, Qt.Key.Key_L)
    assert labeled_window.messages.text == ON_CPU
    with until_learned(session):
        session.teacher.stop()
    assert said[-2] == ON_CPU
    assert said[-1].startswith("The model has learned from your corrections.")


def test_a_model_that_does_not_fit_serves_from_the_cpu(
    qtbot: QtBot,
    window: MainWindow,
    said: list[str],
    rocket: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    move, moves = torch.nn.Module.to, []

    def move_once_in_vain(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
        moves.append(device)
        if len(moves) == 1:
            raise torch.OutOfMemoryError
        return move(module, device)

    monkeypatch.setattr(torch.nn.Module, "to", move_once_in_vain)
    with qtbot.waitSignal(window.session.prediction_changed):
        window.session.open_paths([rocket])
    assert said == [ON_CPU]
    assert "cpu (the GPU has too little free memory)" in window.learning._model.text()


def test_too_little_memory_of_the_computer_is_said_and_nothing_dies(
    qtbot: QtBot, window: MainWindow, two_photos: list[Path], short_memory: Any
) -> None:
    session = window.session
    short_memory.fail, short_memory.fails = lambda: torch.empty(10**15), [True]
    with qtbot.waitSignal(session.warned):
        session.open_paths([two_photos[0].parent])
    assert window.messages.text == (
        "There is not enough memory for this image; close other programs and try again."
    )
    _step(qtbot, window, Qt.Key.Key_D)
    assert _prediction(window) is not None
