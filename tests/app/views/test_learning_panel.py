"""Learning in the real window: its states, curves and figures; what goes wrong leaves the model."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from app.inference.messages import Progress
from app.session import labeler
from app.views.main_window import MainWindow
from app.views.panels.figures_view import ConfusionMatrix, FiguresView
from mdlstm_core.learning.figures import Figures
from mdlstm_core.learning.measured import Measured

LINES = [[(20.0, y), (180.0, y)] for y in (40.0, 120.0)]


def paint(window: MainWindow, drag: Callable[..., None]) -> None:
    for label, line in zip((6, 2), LINES, strict=True):
        window.classes.choose_label(label)
        drag(window, line)


def prediction(window: MainWindow) -> np.ndarray:
    document = window.session.document
    assert document is not None
    assert document.prediction is not None
    return document.prediction.copy()


def settle(qtbot: QtBot, window: MainWindow) -> None:
    session = window.session
    idle = lambda: session._client.is_idle and not session.teacher.timeline.is_storing  # noqa: E731
    qtbot.waitUntil(idle)
    session.journal.store()
    qtbot.waitUntil(idle)


@pytest.mark.usefixtures("long_learning")
def test_curves_grow_while_it_learns_and_stop_keeps_what_was_learned(
    qtbot: QtBot, small: MainWindow, drag: Callable[..., None]
) -> None:
    panel, session = small.learning, small.session
    paint(small, drag)
    steps: list[Progress] = []
    session.progressed.connect(steps.append)
    qtbot.keyClick(small, Qt.Key.Key_L)
    assert "Learning" in panel.state
    qtbot.waitUntil(lambda: len(steps) >= 3)
    qtbot.waitUntil(lambda: panel.plot._plot is not None)
    assert [loss for _, loss in panel.plot.losses] == [step.loss for step in steps]
    x, y = panel.plot._loss_curve.getData()
    np.testing.assert_allclose(y, [step.loss for step in steps])
    assert (np.diff(x) >= 0).all()
    with qtbot.waitSignal(session.teacher.timeline.kept):
        qtbot.keyClick(small, Qt.Key.Key_L, Qt.KeyboardModifier.ShiftModifier)
        assert "Stopping" in panel.state
    assert "Stopped" in panel.state
    settle(qtbot, small)
    assert len(session.teacher.timeline.rows) == 2


@pytest.mark.usefixtures("long_learning")
def test_a_time_limit_set_meanwhile_is_the_next_runs(
    qtbot: QtBot, small: MainWindow, drag: Callable[..., None]
) -> None:
    panel, session = small.learning, small.session
    panel._seconds.setValue(50)
    paint(small, drag)
    with qtbot.waitSignal(session.progressed):
        qtbot.keyClick(small, Qt.Key.Key_L)
    panel._seconds.setValue(600)
    with qtbot.waitSignal(session.progressed):
        pass
    assert "of at most 50 s" in panel.state
    assert panel._progress.maximum() == 50
    small.actions_by_name["cancel"].trigger()
    settle(qtbot, small)


@pytest.mark.usefixtures("long_learning")
@pytest.mark.parametrize("in_preparation", [True, False])
def test_cancel_keeps_nothing(
    qtbot: QtBot, small: MainWindow, drag: Callable[..., None], in_preparation: bool
) -> None:
    panel, session = small.learning, small.session
    own = prediction(small)
    paint(small, drag)
    session.learn(60)
    if not in_preparation:
        with qtbot.waitSignal(session.progressed):
            pass
    with qtbot.waitSignal(session.learning_changed):
        small.actions_by_name["cancel"].trigger()
        assert "Cancelling" in panel.state
    assert "Nothing was kept" in panel.state
    assert panel._learn.isEnabled()
    assert not panel._cancel.isEnabled()
    assert "cancelled" in small.messages.text
    settle(qtbot, small)
    np.testing.assert_array_equal(prediction(small), own)
    assert session.teacher.timeline.rows == ()


def test_an_image_removed_while_the_model_learns_is_said_and_the_rest_counts(
    qtbot: QtBot, small: MainWindow, photos: list[Path], drag: Callable[..., None]
) -> None:
    session = small.session
    paint(small, drag)
    with qtbot.waitSignal(session.prediction_changed):
        session.open_image(photos[1])
    paint(small, drag)
    assert session.journal.store()
    photos[0].unlink()
    said: list[str] = []
    session.said.connect(said.append)
    with qtbot.waitSignal(session.teacher.timeline.kept):
        session.learn(3)
    assert "a.png" in said[-1]
    photos[1].unlink()
    settle(qtbot, small)
    after = prediction(small)
    rows = session.teacher.timeline.rows
    with qtbot.waitSignal(session.learning_changed):
        session.learn(3)
        qtbot.waitUntil(lambda: not session.is_learning)
    assert "one before serves" in small.learning.state
    settle(qtbot, small)
    np.testing.assert_array_equal(prediction(small), after)
    assert session.teacher.timeline.rows == rows


def test_live_says_that_strokes_on_too_many_images_do_not_count(
    qtbot: QtBot,
    small: MainWindow,
    photos: list[Path],
    drag: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labeler, "_MOST_IMAGES", 0)
    session, text = small.session, "Strokes on 1 more image do not count in it."
    paint(small, drag)
    small.actions_by_name["live"].trigger()
    assert text not in small.learning.live_state  # they are on the image that is shown
    for photo, is_left_out in ((photos[1], True), (photos[0], False)):
        with qtbot.waitSignal(session.prediction_changed):
            session.open_image(photo)
        assert (text in small.learning.live_state) == is_left_out
        assert (text in small.status.live.toolTip()) == is_left_out
    small.actions_by_name["live"].trigger()
    assert small.learning.live_state == "Off: the stored model's labels"
    settle(qtbot, small)


def test_figures_are_shown_with_their_doubts(qtbot: QtBot) -> None:
    view = FiguresView()
    qtbot.addWidget(view)
    confusion = np.array([[80, 20, 0], [10, 90, 0], [0, 0, 0]])
    figures = Figures(confusion, ("sky", "tree", "road"), strokes=4, images=2)
    before = Figures(confusion[::-1].copy(), ("sky", "tree", "road"), strokes=4, images=2)
    view.show_measured(Measured(figures, before, "It may overfit."))
    view.resize(260, 400)
    view.show()
    assert "85%" in view.text
    assert "4 strokes on 2 images" in view.text
    assert "4 strokes only" in view.warning
    assert "It may overfit." in view.warning
    matrix = view.findChild(ConfusionMatrix)
    assert matrix is not None
    assert matrix.names == ["sky", "tree"]
    assert matrix.tip(matrix.cell(0, 1).center()) == "20 pixels of sky are given tree"
    assert matrix.tip(QPoint(0, 0)) == ""
    dark = matrix.grab().toImage().pixelColor(matrix.cell(1, 1).topLeft() + QPoint(2, 2))
    light = matrix.grab().toImage().pixelColor(matrix.cell(1, 0).topLeft() + QPoint(2, 2))
    assert dark.lightness() < light.lightness()


@pytest.mark.parametrize(
    ("right", "strokes", "is_advised"), [(74, 12, True), (75, 12, False), (74, 9, False)]
)
def test_live_is_advised_where_many_pixels_are_wrong(
    qtbot: QtBot, right: int, strokes: int, is_advised: bool
) -> None:
    view = FiguresView()
    qtbot.addWidget(view)
    confusion = np.array([[right, 100 - right], [100 - right, right]])
    figures = Figures(confusion, ("membrane", "cell"), strokes=strokes, images=2)
    view.show_measured(Measured(figures))
    view.show()
    assert ("Only 74% of these pixels are right" in view.warning) == is_advised
    assert ("Live may find more" in view.warning) == is_advised


def test_random_starts_stops_and_switches_leave_a_sound_window(
    qtbot: QtBot, small: MainWindow, photos: list[Path], drag: Callable[..., None]
) -> None:
    session, chosen = small.session, random.Random(3)
    threads = threading.active_count()
    small.learning._seconds.setValue(1)
    actions = small.actions_by_name
    kinds = ["learn", "learn", "stop", "cancel", "undo", "redo", "next", "live", "paint", "back"]
    for _ in range(60):
        kind = chosen.choice(kinds)
        if kind == "paint":
            paint(small, drag)
        elif kind == "back" and session.teacher.timeline.rows:
            small.learning_views.timeline.choose(chosen.choice(session.teacher.timeline.rows)[0])
            small.learning_views.timeline.back.click()
        elif kind != "back":
            actions[kind].trigger()
        qtbot.wait(chosen.randrange(60))
    session.set_live(False)
    session.teacher.cancel()
    settle(qtbot, small)
    assert not session.is_learning
    assert not session.journal.has_unsaved
    roles = session.teacher.timeline.roles
    assert session.project_path is not None
    assert session.journal.file is not None
    assert session.journal.file.roles() == roles
    assert threading.active_count() <= threads + 2  # those of the thread pools
    paint(small, drag)
    with qtbot.waitSignal(session.teacher.timeline.kept):
        session.learn(1)
