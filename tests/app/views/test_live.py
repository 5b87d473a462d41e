"""The live switch in the real window: strokes are followed, and let go again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QToolButton
from pytestqt.qtbot import QtBot

from app.document.edit import Edit
from app.document.stroke import Box, Region
from app.inference.messages import LoadRequest
from app.session import LabelingSession
from app.storage.project_file import ProjectFile
from app.views.main_window import MainWindow
from mdlstm_core.config import IGNORE_INDEX

SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


def shown(window: MainWindow) -> np.ndarray:
    assert window.session.document is not None
    return window.session.document.displayed.copy()


def answer(qtbot: QtBot, window: MainWindow, do: Callable[[], object]) -> np.ndarray:
    """Do something and return what is shown after the model's answer."""
    with qtbot.waitSignal(window.session.prediction_changed):
        do()
    return shown(window)


def paint(window: MainWindow, drag: Callable[..., None], label: int) -> Callable[[], None]:
    """Return a call that paints with a class along the image's upper part."""

    def do() -> None:
        window.classes.choose_label(label)
        drag(window, [(20.0, 40.0), (180.0, 40.0)])

    return do


def test_off_at_first_and_a_stroke_changes_only_what_it_covers(
    small: MainWindow, drag: Callable[..., None]
) -> None:
    before = shown(small)
    assert not small.session.is_live
    assert small.status.live.isHidden()
    assert "Off" in small.learning.live_state
    paint(small, drag, 6)()
    document = small.session.document
    assert document is not None
    untouched = document.corrections.values == IGNORE_INDEX
    np.testing.assert_array_equal(shown(small)[untouched], before[untouched])


def test_follows_strokes_undo_and_redo_and_lets_go(
    qtbot: QtBot, small: MainWindow, drag: Callable[..., None]
) -> None:
    own = shown(small)
    wrong = int(np.bincount(own[30:50].ravel()).argmax())
    label = 6 if wrong != 6 else 2
    (switch,) = (
        b for b in small.learning.findChildren(QToolButton) if b.defaultAction() is not None
    )
    switched = answer(qtbot, small, lambda: qtbot.mouseClick(switch, Qt.MouseButton.LeftButton))
    np.testing.assert_array_equal(switched, own)  # nothing painted: the model's own answer
    assert small.status.live.isVisible()
    assert "On" in small.learning.live_state
    assert small.actions_by_name["live"].isChecked()

    followed = answer(qtbot, small, paint(small, drag, label))

    document = small.session.document
    assert document is not None
    is_set = document.corrections.values != IGNORE_INDEX
    assert (followed[is_set] == label).all()
    assert ((followed == label) & ~is_set).sum() > ((own == label) & ~is_set).sum() + 500
    np.testing.assert_array_equal(answer(qtbot, small, small.session.undo), own)
    np.testing.assert_array_equal(answer(qtbot, small, small.session.redo), followed)

    let_go = answer(qtbot, small, lambda: qtbot.keyClick(small, Qt.Key.Key_L, CTRL))
    assert small.status.live.isHidden()
    np.testing.assert_array_equal(let_go[~is_set], own[~is_set])
    assert (let_go[is_set] == label).all()


def test_strokes_count_on_the_next_image_too(
    qtbot: QtBot, small: MainWindow, photos: list[Path], drag: Callable[..., None]
) -> None:
    answer(qtbot, small, lambda: small.session.open_image(photos[1]))
    own = shown(small)
    answer(qtbot, small, lambda: small.session.open_image(photos[0]))
    label = next(n for n in (6, 2) if (own == n).mean() < 0.2)
    paint(small, drag, label)()
    small.session.journal.store()
    answer(qtbot, small, lambda: small.session.set_live(True))
    followed = answer(qtbot, small, lambda: small.session.open_image(photos[1]))
    assert (followed == label).sum() > (own == label).sum()


def learned_on(
    window: MainWindow, until_learned: Callable[..., AbstractContextManager[None]]
) -> np.ndarray:
    """Learn, and return what the model shows that serves then."""
    before = shown(window)
    with until_learned(window.session):
        window.session.learn(3)
    roles = window.session.teacher.timeline.roles
    assert roles is not None
    assert roles.learned != roles.base
    after = shown(window)
    assert (after != before).any()
    return after


def test_it_starts_from_the_model_before_learning(
    qtbot: QtBot,
    small: MainWindow,
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
) -> None:
    """One that learned has seen the strokes: they would teach it nothing."""
    session = small.session
    paint(small, drag, 6)()
    followed = answer(qtbot, small, lambda: session.set_live(True))
    answer(qtbot, small, lambda: session.set_live(False))
    learned = learned_on(small, until_learned)
    again = answer(qtbot, small, lambda: session.set_live(True))
    np.testing.assert_array_equal(again, followed)
    worker = session._client._worker
    assert worker._live is not None
    assert worker._predictor is not None
    assert worker._live.network is not worker._predictor.network
    assert (learned != followed).any()
    # Without a stroke, what is shown is what was learned.
    without = answer(qtbot, small, session.undo)
    let_go = answer(qtbot, small, lambda: session.set_live(False))
    np.testing.assert_array_equal(without, let_go)


def test_what_it_does_not_follow_is_known_to_the_model_that_learned(
    qtbot: QtBot,
    small: MainWindow,
    photos: list[Path],
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
) -> None:
    """The strokes of an image that was not shown since the start are in that model alone."""
    paint(small, drag, 6)()
    learned_on(small, until_learned)
    assert small.close()
    session = LabelingSession(device="cpu")
    session.start_model()
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([photos[1]])
    assert session.document is not None
    own = session.document.displayed.copy()
    with qtbot.waitSignal(session.prediction_changed):
        session.set_live(True)
    np.testing.assert_array_equal(session.document.displayed, own)
    box = Box(30, 20, 50, 60)
    with qtbot.waitSignal(session.prediction_changed):
        session.edit(photos[1], Edit(Region(box, np.ones(box.shape, bool)), 2, "paint"))
    worker = session._client._worker
    assert worker._live is not None
    assert worker._predictor is not None
    assert worker._live.network is worker._predictor.network
    session.close()


def test_a_model_before_that_is_damaged_is_done_without(
    qtbot: QtBot, small: MainWindow, drag: Callable[..., None]
) -> None:
    session = small.session
    paint(small, drag, 6)()
    followed = answer(qtbot, small, lambda: session.set_live(True))
    session._client.send(LoadRequest("scene", base=lambda: b"no model"))
    again = answer(qtbot, small, lambda: [session.set_live(False), session.set_live(True)])
    np.testing.assert_array_equal(again, followed)


def test_fast_strokes_end_at_the_newest(
    qtbot: QtBot, small: MainWindow, drag: Callable[..., None]
) -> None:
    session: LabelingSession = small.session
    answer(qtbot, small, lambda: session.set_live(True))
    seen: list[None] = []
    session.prediction_changed.connect(lambda: seen.append(None))
    for _ in range(5):
        for label in (6, 2):
            paint(small, drag, label)()
    qtbot.waitUntil(lambda: not session._client._busy)
    assert 1 <= len(seen) < 10  # those that were overtaken are not worked out
    last = shown(small)
    again = answer(qtbot, small, lambda: [session.set_live(False), session.set_live(True)])
    qtbot.waitUntil(lambda: not session._client._busy)
    again = shown(small)
    np.testing.assert_array_equal(last, again)


def test_the_stored_model_is_not_touched_and_what_is_shown_is_exported(
    qtbot: QtBot, small: MainWindow, drag: Callable[..., None], tmp_path: Path
) -> None:
    session = small.session
    answer(qtbot, small, lambda: session.set_live(True))
    followed = answer(qtbot, small, paint(small, drag, 6))
    mask = tmp_path / "mask.png"
    with qtbot.waitSignal(session.exported):
        session.export_label_map(mask)
    np.testing.assert_array_equal(np.asarray(Image.open(mask)), followed)
    assert session.journal.store()
    assert session.project_path is not None
    file = ProjectFile(session.project_path)
    assert file.load_model("learned") is None
    file.close()
