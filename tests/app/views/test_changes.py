"""What a training changed, in the real window with the real model: stepped, accepted, refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.document.changes import Changes, changed_mask
from app.session import reviewed_image
from app.views.main_window import MainWindow
from mdlstm_core.config import IGNORE_INDEX


class Trained:
    """The window after a training, and both models' label maps of the image shown."""

    def __init__(self, qtbot: QtBot, window: MainWindow, drag: Callable[..., None]) -> None:
        self.window, self.session = window, window.session
        self.review = self.session.review.changes
        document = self.session.document
        assert document is not None
        assert document.prediction is not None
        self.document, self.before = document, document.prediction.copy()
        wrong = int(np.bincount(self.before[30:50].ravel()).argmax())
        window.classes.choose_label(6 if wrong != 6 else 2)
        drag(window, [(20.0, 40.0), (180.0, 40.0)])
        kept = self.session.teacher.timeline.kept
        with qtbot.waitSignal(kept):
            self.session.learn(120)
        with qtbot.waitSignal(self.session.prediction_changed):
            pass
        qtbot.waitUntil(lambda: self.review.compared > 0)
        self.after = document.prediction.copy()

    @property
    def corrections(self) -> np.ndarray:
        return self.document.corrections.snapshot()

    def mask(self) -> np.ndarray:
        return changed_mask(self.before, self.after, self.corrections)


@pytest.fixture
def trained(qtbot: QtBot, few_steps: None, small: MainWindow, drag: Callable[..., None]) -> Trained:
    return Trained(qtbot, small, drag)


def test_counts_what_the_model_changed_but_no_pixel_of_a_person(
    qtbot: QtBot, trained: Trained, photos: list[Path]
) -> None:
    mask = trained.mask()
    assert mask.any()
    review = trained.review
    pairs, pixels = np.unique(
        np.stack([trained.before[mask], trained.after[mask]]), axis=1, return_counts=True
    )
    expected = {(int(a), int(b)): int(n) for (a, b), n in zip(pairs.T, pixels, strict=True)}
    found = review._found[photos[0]].changes
    assert dict(found.counts) == expected
    for region in review.regions():
        inside = trained.mask()[region.region.box.slices]
        assert inside[region.region.mask].all()
    # The other image is compared too, though it was never shown.
    qtbot.waitUntil(lambda: review.compared == 2)
    panel = trained.window.learning_views.changes
    total = sum(review.counts().values())
    assert f"{total:,} pixels" in panel.summary
    assert panel.counts.topLevelItemCount() == len(review.counts())
    assert panel.images.topLevelItemCount() == len(review.images())


def test_keys_step_accept_and_refuse_and_undo_opens_again(qtbot: QtBot, trained: Trained) -> None:
    window, review = trained.window, trained.review
    count = len(review.regions())
    assert count > 1
    corrections = trained.corrections
    plain = window.canvas.grab().toImage()
    qtbot.keyClick(window, Qt.Key.Key_J)
    first = review.current
    assert first == review.regions()[0]
    assert window.canvas.grab().toImage() != plain
    assert f"1 of {count}" in window.learning_views.changes.region_text

    # Refused: the label before is the person's own now, and only there.
    stack = window.session.project.undo_stack
    steps = stack.count()
    qtbot.keyClick(window, Qt.Key.Key_Y, Qt.KeyboardModifier.ShiftModifier)
    assert stack.count() == steps + 1
    now = trained.corrections
    box, mask = first.region
    assert (now[box.slices][mask] == first.before).all()
    assert (now != corrections).sum() == first.pixels
    assert len(review.regions()) == count - 1
    assert review.current == review.regions()[0]  # it goes on by itself

    # Accepted: nothing is painted, and it is not offered again.
    second = review.current
    qtbot.keyClick(window, Qt.Key.Key_Y)
    np.testing.assert_array_equal(trained.corrections, now)
    assert second not in review.regions()
    assert len(review.regions()) == count - 2

    window.session.undo()
    np.testing.assert_array_equal(trained.corrections, corrections)
    assert first in review.regions()
    assert second not in review.regions()


def test_all_refused_is_one_step(qtbot: QtBot, trained: Trained) -> None:
    window, review = trained.window, trained.review
    corrections, mask = trained.corrections, trained.mask()
    window.actions_by_name["changes-refuse"].trigger()
    now = trained.corrections
    np.testing.assert_array_equal(now[mask], trained.before[mask])
    np.testing.assert_array_equal(now[~mask], corrections[~mask])
    assert review.regions() == []
    qtbot.keyClick(window, Qt.Key.Key_J)
    assert "Nothing that changed is left" in window.messages.text
    window.session.undo()
    np.testing.assert_array_equal(trained.corrections, corrections)
    assert review.regions()
    window.actions_by_name["changes-accept"].trigger()
    assert review.regions() == []
    np.testing.assert_array_equal(trained.corrections, corrections)


def test_refusing_all_leaves_what_was_accepted(qtbot: QtBot, trained: Trained) -> None:
    window, review = trained.window, trained.review
    corrections, expected = trained.corrections, trained.mask()
    qtbot.keyClick(window, Qt.Key.Key_J)
    accepted = review.current
    assert accepted is not None
    qtbot.keyClick(window, Qt.Key.Key_Y)
    refused = review.current
    assert refused is not None
    qtbot.keyClick(window, Qt.Key.Key_Y, Qt.KeyboardModifier.ShiftModifier)
    window.actions_by_name["changes-refuse"].trigger()
    assert review.regions() == []
    box, mask = accepted.region
    expected[box.slices][mask] = False
    np.testing.assert_array_equal(trained.corrections[~expected], corrections[~expected])
    np.testing.assert_array_equal(trained.corrections[expected], trained.before[expected])

    # What was accepted at once stays so, too, when another region opens again.
    window.session.undo()
    window.actions_by_name["changes-accept"].trigger()
    window.session.undo()
    assert review.regions() == [refused]
    window.actions_by_name["changes-refuse"].trigger()
    box, mask = refused.region
    assert (trained.corrections[box.slices][mask] == refused.before).all()
    assert (trained.corrections != corrections).sum() == refused.pixels


def test_counts_follow_refusals_strokes_and_undoing_on_each_image(
    qtbot: QtBot, trained: Trained, photos: list[Path], drag: Callable[..., None]
) -> None:
    window, session, review = trained.window, trained.session, trained.review
    panel = window.learning_views.changes
    qtbot.waitUntil(lambda: review.compared == 2)

    def others() -> int:
        return dict(review.images())[photos[1]]

    def wait_for(pixels: int) -> None:
        qtbot.waitUntil(lambda: sum(review.counts().values()) == pixels)
        assert f"{pixels:,} pixels" in panel.summary

    whole, other = int(trained.mask().sum()), others()
    wait_for(whole + other)
    qtbot.keyClick(window, Qt.Key.Key_J)
    region = review.current
    assert region is not None
    qtbot.keyClick(window, Qt.Key.Key_Y, Qt.KeyboardModifier.ShiftModifier)
    wait_for(whole + other - region.pixels)
    drag(window, [(20.0, 100.0), (180.0, 60.0)])
    painted = int(trained.mask().sum())
    assert painted < whole - region.pixels
    wait_for(painted + other)
    window.actions_by_name["changes-refuse"].trigger()
    wait_for(other)
    assert review.images() == [(photos[1], other)]
    for left in (painted, whole - region.pixels, whole):
        session.undo()
        wait_for(left + other)

    # On an image that was compared before it was painted on, too.
    with qtbot.waitSignal(session.prediction_changed):
        session.open_image(photos[1])
    qtbot.waitUntil(lambda: bool(review.regions()))
    window.actions_by_name["changes-refuse"].trigger()
    qtbot.waitUntil(lambda: review.images() == [(photos[0], whole)])


def test_how_many_images_are_left_out_is_said(
    qtbot: QtBot, trained: Trained, photos: list[Path]
) -> None:
    panel = trained.window.learning_views.changes
    qtbot.waitUntil(lambda: trained.review.compared == 2)
    assert panel.summary.endswith("of 2 images looked at so far.")
    trained.session.project.add_images([photos[0].with_name("c.png")])
    assert "of 2 images looked at so far, of 3 in the project; those around" in panel.summary


def test_merged_classes_change_nothing_between_them(qtbot: QtBot, trained: Trained) -> None:
    review = trained.review
    before, after = max(review.counts(), key=lambda pair: review.counts()[pair])
    trained.session.merge_class(after, before)
    qtbot.waitUntil(lambda: review.compared == 2)
    assert not any(after in pair for pair in review.counts())
    assert (before, before) not in review.counts()


def test_a_locked_class_is_not_refused_and_that_is_said(qtbot: QtBot, trained: Trained) -> None:
    qtbot.keyClick(trained.window, Qt.Key.Key_J)
    region = trained.review.current
    assert region is not None
    classes = trained.session.project.classes
    trained.session.edit_classes(classes.lock(region.after, True), "Lock a class")
    assert trained.review.current is region  # a lock changes no label
    corrections = trained.corrections
    trained.review.refuse()
    np.testing.assert_array_equal(trained.corrections, corrections)
    assert "locked" in trained.window.messages.text


def test_nothing_is_compared_before_a_training(qtbot: QtBot, small: MainWindow) -> None:
    assert "Nothing to compare" in small.learning_views.changes.summary
    qtbot.keyClick(small, Qt.Key.Key_J)
    assert "Nothing" in small.messages.text
    document = small.session.document
    assert document is not None
    assert (document.corrections.values == IGNORE_INDEX).all()


def test_a_comparison_under_way_does_not_outlive_its_classes(
    qtbot: QtBot, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    review, session = trained.review, trained.session
    assert review.models is not None
    qtbot.waitUntil(lambda: review.compared == 2)
    began, may_go_on, compare = threading.Event(), threading.Event(), reviewed_image.find_changes

    def slow(*maps: np.ndarray) -> Changes:
        began.set()
        assert may_go_on.wait(60)
        return compare(*maps)

    label = next(after for (_, after) in review.counts() if after != IGNORE_INDEX)
    assert session.journal.store()
    monkeypatch.setattr(reviewed_image, "find_changes", slow)
    review.compare(*review.models)
    qtbot.waitUntil(began.is_set)
    session.merge_class(label, next(c.label for c in session.project.classes.classes[::-1]))
    may_go_on.set()
    qtbot.waitUntil(lambda: review.compared == 2)
    assert label not in {each for pair in review.counts() for each in pair}
    found = [r for reviewed in review._found.values() for r in reviewed.packed]
    assert label not in {r.after for r in found} | {r.before for r in found}
