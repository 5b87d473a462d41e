"""Learning that ends badly, in the real window: one sentence, and the model before stays."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from app.inference import model_worker
from app.inference.messages import Improved, Learned, Progress
from app.views.main_window import MainWindow

LINE = [(100.0, 100.0), (200.0, 120.0)]


def shown(window: MainWindow) -> np.ndarray:
    assert window.session.document is not None
    assert window.session.document.prediction is not None
    return window.session.document.prediction.copy()


@pytest.mark.usefixtures("long_learning")
def test_cancel_after_a_first_improvement_changes_nothing(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None]
) -> None:
    session, client = labeled_window.session, labeled_window.session._client
    before = shown(labeled_window)
    drag(labeled_window, LINE)
    with qtbot.waitSignal(client.improved) as improved:
        session.learn(60)
    assert isinstance(improved.args[0], Improved)
    qtbot.waitUntil(lambda: bool((shown(labeled_window) != before).any()))
    with qtbot.waitSignal(client.learning_failed) as failed:
        client.cancel_learning()
    assert failed.args == ["Learning was cancelled; the model before stays."]
    qtbot.waitUntil(lambda: bool((shown(labeled_window) == before).all()))


def test_cancel_when_all_is_learned_already_keeps_nothing(
    qtbot: QtBot,
    labeled_window: MainWindow,
    drag: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session, client = labeled_window.session, labeled_window.session._client
    before = shown(labeled_window)
    drag(labeled_window, LINE)
    # After the learner has looked last, and before the window hears of what was learned.
    monkeypatch.setattr(model_worker, "give_back", session.teacher.cancel)
    with qtbot.waitSignal(client.learning_failed) as failed:
        session.learn(2)
    assert failed.args == ["Learning was cancelled; the model before stays."]
    assert not session.is_learning
    qtbot.waitUntil(lambda: client.is_idle and not session.teacher.timeline.is_storing)
    assert session.teacher.timeline.rows == ()
    np.testing.assert_array_equal(shown(labeled_window), before)


def _gone(path: Path) -> None:
    path.unlink()


def _replaced(path: Path) -> None:
    with Image.open(path) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)


@pytest.mark.parametrize("harm", [_gone, _replaced])
def test_an_image_that_is_not_what_was_labeled_is_left_out(
    qtbot: QtBot,
    labeled_window: MainWindow,
    two_photos: list[Path],
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
    harm: Callable[[Path], None],
) -> None:
    session = labeled_window.session
    drag(labeled_window, LINE)
    with qtbot.waitSignal(session.prediction_changed):
        session.open_image(two_photos[1])
    drag(labeled_window, LINE)
    session.journal.store()
    harm(two_photos[0])
    ends: list[Learned] = []
    session._client.learned.connect(ends.append)
    with until_learned(session):
        session.learn(5)
    (learned,) = ends
    assert learned.notice.startswith("An image was left out of learning:")
    assert two_photos[0].name in learned.notice
    assert learned.strokes == 1
    assert len(learned.strokes_hash) == 64


@pytest.mark.usefixtures("long_learning")
def test_too_little_memory_is_said(
    qtbot: QtBot, labeled_window: MainWindow, drag: Callable[..., None], short_memory: Any
) -> None:
    session, client = labeled_window.session, labeled_window.session._client
    before = shown(labeled_window)
    drag(labeled_window, LINE)
    short_memory.only_learning = True  # what is tried on the way labels the image meanwhile

    def fail() -> None:
        raise MemoryError

    def on_progress(_progress: Progress) -> None:
        short_memory.fail, short_memory.fails = fail, [True]

    client._learner.progressed.connect(on_progress)
    with qtbot.waitSignal(client.learning_failed) as failed:
        session.learn(60)
    assert "not enough memory to learn" in failed.args[0]
    short_memory.fails = []
    qtbot.waitUntil(lambda: not client._busy and not client._waiting)
    np.testing.assert_array_equal(shown(labeled_window), before)
