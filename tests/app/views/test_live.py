"""The live switch in the real window: strokes are followed, and let go again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QProgressBar, QToolButton
from pytestqt.qtbot import QtBot

from app.document.edit import Edit
from app.document.stroke import Box, Region
from app.inference import live_follower
from app.inference.messages import LoadRequest
from app.session import LabelingSession, labeler
from app.storage.project_file import ProjectFile
from app.views.main_window import MainWindow
from mdlstm_core.config import IGNORE_INDEX

SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


def shown(window: MainWindow) -> np.ndarray:
    assert window.session.document is not None
    return window.session.document.displayed.copy()


def shown_path(window: MainWindow) -> Path:
    assert window.session.document is not None
    return window.session.document.path


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


def opened_anew(qtbot: QtBot, photo: Path) -> LabelingSession:
    """Return a new session that shows this photograph, labeled."""
    session = LabelingSession(device="cpu")
    session.start_model()
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([photo])
    return session


def starts_from_what_serves(session: LabelingSession) -> bool:
    worker = session._client._worker
    assert worker._follower._learner is not None
    assert worker._predictor is not None
    return worker._follower._learner.network is worker._predictor.network


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
    assert not starts_from_what_serves(session)
    assert (learned != followed).any()
    # Without a stroke, what is shown is what was learned.
    without = answer(qtbot, small, session.undo)
    let_go = answer(qtbot, small, lambda: session.set_live(False))
    np.testing.assert_array_equal(without, let_go)


def test_an_image_that_is_done_without_a_stroke_is_none_that_is_left_out(
    qtbot: QtBot,
    small: MainWindow,
    photos: list[Path],
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labeler, "_MOST_IMAGES", 0)
    session = small.session
    answer(qtbot, small, lambda: session.open_image(photos[1]))
    session.mark_done(True)
    qtbot.waitUntil(lambda: session.project.status(photos[1]) == "done")
    answer(qtbot, small, lambda: session.open_image(photos[0]))
    paint(small, drag, 6)()
    learned_on(small, until_learned)
    answer(qtbot, small, lambda: session.set_live(True))
    assert not starts_from_what_serves(session)


def test_learning_changes_nothing_of_what_it_follows(
    qtbot: QtBot,
    small: MainWindow,
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
) -> None:
    """It starts from the same model as before: what that saw of the images is kept."""
    session = small.session
    answer(qtbot, small, lambda: session.set_live(True))
    followed = answer(qtbot, small, paint(small, drag, 6))
    learner = session._client._worker._follower._learner
    with until_learned(session):
        session.learn(3)
    np.testing.assert_array_equal(shown(small), followed)
    assert not starts_from_what_serves(session)
    assert session._client._worker._follower._learner is learner


def test_what_it_does_not_follow_is_known_to_the_model_that_learned(
    qtbot: QtBot,
    small: MainWindow,
    photos: list[Path],
    drag: Callable[..., None],
    until_learned: Callable[..., AbstractContextManager[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The strokes of an image that is one too many are in that model alone."""
    monkeypatch.setattr(labeler, "_MOST_IMAGES", 0)
    paint(small, drag, 6)()
    learned_on(small, until_learned)
    assert small.close()
    session = opened_anew(qtbot, photos[1])
    assert session.document is not None
    own = session.document.displayed.copy()
    with qtbot.waitSignal(session.prediction_changed):
        session.set_live(True)
    np.testing.assert_array_equal(session.document.displayed, own)
    box = Box(30, 20, 50, 60)
    with qtbot.waitSignal(session.prediction_changed):
        session.edit(photos[1], Edit(Region(box, np.ones(box.shape, bool)), 2, "paint"))
    assert starts_from_what_serves(session)
    session.close()


def test_strokes_painted_before_the_project_was_opened_are_followed(
    qtbot: QtBot, small: MainWindow, photos: list[Path], drag: Callable[..., None]
) -> None:
    answer(qtbot, small, lambda: small.session.open_image(photos[1]))
    own = shown(small)
    answer(qtbot, small, lambda: small.session.open_image(photos[0]))
    label = next(n for n in (6, 2) if (own == n).mean() < 0.2)
    with qtbot.waitSignal(small.session.journal.stored):
        paint(small, drag, label)()
    answer(qtbot, small, lambda: small.session.set_live(True))
    followed = answer(qtbot, small, lambda: small.session.open_image(photos[1]))
    assert (followed == label).sum() > (own == label).sum()
    assert small.close()
    session = opened_anew(qtbot, photos[1])
    assert session.document is not None
    np.testing.assert_array_equal(session.document.displayed, own)
    with qtbot.waitSignal(session.prediction_changed):
        session.set_live(True)
    np.testing.assert_array_equal(session.document.displayed, followed)
    session.close()


def _gone(photo: Path) -> None:
    photo.unlink()


def _another(photo: Path) -> None:
    with Image.open(photo) as image:
        turned = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned.save(photo)


@pytest.mark.parametrize("spoil", [_gone, _another])
def test_an_image_that_is_not_there_any_more_does_not_keep_it_from_following(
    qtbot: QtBot,
    small: MainWindow,
    photos: list[Path],
    drag: Callable[..., None],
    spoil: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    paint(small, drag, 6)()
    assert small.close()
    session = opened_anew(qtbot, photos[1])
    assert session.document is not None
    own = session.document.displayed.copy()
    spoil(photos[0])
    with qtbot.waitSignal(session.prediction_changed):
        session.set_live(True)
    np.testing.assert_array_equal(session.document.displayed, own)
    assert "are not followed" in caplog.text
    box = Box(30, 20, 50, 60)
    with qtbot.waitSignal(session.prediction_changed):
        session.edit(photos[1], Edit(Region(box, np.ones(box.shape, bool)), 2, "paint"))
    assert (session.document.displayed != own).sum() > 1000
    session.close()


def paint_on_two(qtbot: QtBot, window: MainWindow, photo: Path, drag: Callable[..., None]) -> None:
    """Paint on the photograph shown and on a third one."""
    third = photo.with_name("third.png")
    shutil.copy(photo, third)
    window.session.open_paths([photo.parent])
    assert shown_path(window) == photo
    paint(window, drag, 6)()
    answer(qtbot, window, lambda: window.session.open_image(third))
    paint(window, drag, 2)()


def test_many_images_are_read_a_few_at_a_time(
    qtbot: QtBot,
    small: MainWindow,
    photos: list[Path],
    drag: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other requests come between; what is shown follows all of them."""
    paint_on_two(qtbot, small, photos[0], drag)
    monkeypatch.setattr(live_follower, "_READING_SECONDS", 1e-9)
    assert small.close()
    session = opened_anew(qtbot, photos[1])
    answers: list[int] = []
    session._client.fell_behind.connect(answers.append)
    session._client.predicted.connect(lambda _found: answers.append(0))
    with qtbot.waitSignal(session.prediction_changed):
        session.set_live(True)
    assert answers == [2, 1, 0]
    assert session.document is not None
    followed = session.document.displayed.copy()
    session.close()
    monkeypatch.setattr(live_follower, "_READING_SECONDS", 60.0)
    session = opened_anew(qtbot, photos[1])
    with qtbot.waitSignal(session.prediction_changed):
        session.set_live(True)
    np.testing.assert_array_equal(session.document.displayed, followed)
    session.close()


def test_it_says_how_many_images_strokes_are_read_on(
    qtbot: QtBot,
    small: MainWindow,
    photos: list[Path],
    drag: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session, busy = small.session, small.status.busy
    paint_on_two(qtbot, small, photos[0], drag)
    answer(qtbot, small, lambda: session.open_image(photos[1]))
    monkeypatch.setattr(live_follower, "_READING_SECONDS", 1e-9)
    (bar,) = busy.findChildren(QProgressBar)
    said: list[tuple[str, int, int]] = []
    session.labeler.strokes_read.connect(
        lambda *_: said.append((busy.text, bar.value(), bar.maximum()))
    )
    answer(qtbot, small, lambda: session.set_live(True))
    text = "Reading your strokes on other images: {} of 2 …"
    assert said == [(text.format(read), read, 2) for read in (0, 1)]
    assert busy.text == ""


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
