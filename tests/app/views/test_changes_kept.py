"""What a training changed on all images of a project, and what was accepted: kept, however many."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot
from skimage import data

from app.session import LabelingSession, change_review, survey
from app.session.reviewed_image import ReviewedImage, reviewed
from app.views.main_window import MainWindow

pytestmark = pytest.mark.usefixtures("few_steps", "quick_looks")

IMAGES = 42
"""More than the survey looks at to say where the model is unsure."""


def learn(qtbot: QtBot, window: MainWindow, drag: Callable[..., None]) -> None:
    """Let the model learn from a stroke, and wait until it has labeled the image shown."""
    document = window.session.document
    assert document is not None
    assert document.prediction is not None
    wrong = int(np.bincount(document.prediction[30:50].ravel()).argmax())
    window.classes.choose_label(6 if wrong != 6 else 2)
    drag(window, [(20.0, 40.0), (document.width - 20.0, 40.0)])
    with qtbot.waitSignal(window.session.teacher.timeline.kept):
        window.session.learn(120)
    review = window.session.review.changes
    qtbot.waitUntil(lambda: bool(review.regions()))


def test_all_images_of_a_large_project_are_compared(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, drag: Callable[..., None]
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(IMAGES):
        crop = data.rocket()[200:280, 60 + 5 * number : 140 + 5 * number]
        Image.fromarray(np.ascontiguousarray(crop)).save(folder / f"{number:02}.png")
    session, review = window.session, window.session.review.changes
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([folder])
    learn(qtbot, window, drag)
    panel = window.learning_views.changes
    assert f"looked at so far, of {IMAGES} in the project" in panel.summary
    qtbot.waitUntil(lambda: review.compared == IMAGES)
    assert panel.summary.endswith(f"of {IMAGES} images looked at so far.")
    assert set(review._found) == set(session.project.images)
    assert len(session.project.images) == IMAGES


def regions_in_memory(session: LabelingSession) -> dict[Path, int]:
    found: dict[Path, ReviewedImage] = session.review.changes._found
    return {image: len(of_image.changes.regions) for image, of_image in found.items()}


def test_little_is_kept_of_images_that_are_not_shown_and_nothing_is_lost(
    qtbot: QtBot,
    small: MainWindow,
    photos: list[Path],
    drag: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    until_shown: Callable[..., object],
) -> None:
    monkeypatch.setattr(survey, "_MOST_BYTES", 0)
    session, review = small.session, small.session.review.changes
    learn(qtbot, small, drag)
    qtbot.waitUntil(lambda: review.compared == 2 and session.review.survey.is_resting)
    counts, count = review.counts(), len(review.regions())
    assert regions_in_memory(session) == {photos[0]: count, photos[1]: 0}
    # No label map of an image that is not shown, and it is not looked at again and again.
    assert session.teacher.source is not None
    assert session.review.survey.look(session.teacher.source, photos[1]) is None

    qtbot.keyClick(small, Qt.Key.Key_J)
    qtbot.keyClick(small, Qt.Key.Key_Y)
    refused = review.current
    assert refused is not None
    qtbot.keyClick(small, Qt.Key.Key_Y, Qt.KeyboardModifier.ShiftModifier)
    with until_shown(session, photos[1]):
        session.open_image(photos[1])
    qtbot.waitUntil(lambda: bool(review.regions()))
    assert regions_in_memory(session)[photos[0]] == 0
    with until_shown(session, photos[0]):
        session.open_image(photos[0])
    qtbot.waitUntil(lambda: len(review.regions()) == count - 2)
    session.undo()  # what was refused before the image was left opens again
    qtbot.waitUntil(lambda: len(review.regions()) == count - 1)
    largest = review.regions()[0]
    assert largest.region.box == refused.region.box
    np.testing.assert_array_equal(largest.region.mask, refused.region.mask)
    qtbot.waitUntil(lambda: review.counts() == counts)

    # Another class changes no label: what was found and accepted stays.
    classes = session.project.classes
    session.edit_classes(classes.add("moss", (1, 2, 3)), "Add a class")
    qtbot.waitUntil(lambda: review.compared == 2)
    assert review.counts() == counts
    assert len(review.regions()) == count - 1


def test_where_nothing_is_compared_label_maps_do_not_pile_up(
    qtbot: QtBot, small: MainWindow, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "_MOST_BYTES", 0)
    looks, source = small.session.review.survey, small.session.teacher.source
    assert source is not None
    qtbot.waitUntil(lambda: looks.is_resting)
    assert looks.look(source, photos[1]) is None
    assert looks.has_looked(photos[1])  # where the model is unsure stays known


def test_what_waits_when_the_classes_are_edited_is_let_go(
    qtbot: QtBot, small: MainWindow, drag: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what was accepted before an edit could stand for what was accepted after it."""
    session, review = small.session, small.session.review.changes
    learn(qtbot, small, drag)
    qtbot.waitUntil(lambda: review.compared == 2)
    small.actions_by_name["changes-accept"].trigger()
    compared, may_go_on = [], threading.Event()

    def slow(*given: Any) -> ReviewedImage:
        compared.append(given)
        assert may_go_on.wait(60)
        return reviewed(*given)

    monkeypatch.setattr(change_review, "reviewed", slow)
    for name in ("moss", "fern", "reed"):
        classes = session.project.classes
        session.edit_classes(classes.add(name, (1, 2, 3)), "Add a class")
    qtbot.keyClick(small, Qt.Key.Key_J)
    assert review.current is None
    may_go_on.set()
    qtbot.waitUntil(lambda: review.compared == 2)
    assert len(compared) <= 3  # the one that was under way, and each image once
    assert review.regions() == []  # accepted

    classes = session.project.classes
    assert session.document is not None
    after = review._found[session.document.path].packed[0].after
    other = next(c.label for c in classes.classes if c.label != after)
    session.edit_classes(classes.remove(after, other), "Merge")
    qtbot.waitUntil(lambda: review.compared == 2)
    assert review.regions() == []


@pytest.mark.parametrize("how", ["one", "all"])
def test_what_was_accepted_is_not_asked_again_after_a_restart(
    qtbot: QtBot, small: MainWindow, photos: list[Path], drag: Callable[..., None], how: str
) -> None:
    session, review = small.session, small.session.review.changes
    learn(qtbot, small, drag)
    count, document = len(review.regions()), session.document
    assert document is not None
    if how == "one":
        qtbot.keyClick(small, Qt.Key.Key_J)
        accepted = review.current
        assert accepted is not None
        qtbot.keyClick(small, Qt.Key.Key_Y)
        # Painted over in part, the rest of it is what was accepted nonetheless.
        box, mask = accepted.region
        rows, columns = np.nonzero(mask)
        small.options_bar.set_diameter(3)
        x, y = box.left + int(columns[0]) + 0.5, box.top + int(rows[0]) + 0.5
        drag(small, [(x, y), (x + 1, y)])
        left = len(review.regions())
        assert 0 < left < count
    else:
        small.actions_by_name["changes-accept"].trigger()
        left = 0
    corrections = document.corrections.snapshot()
    project = session.project_path
    assert project is not None
    assert small.close()

    again = LabelingSession(device="cpu")
    window = MainWindow(again)
    qtbot.addWidget(window)
    window.show()
    with qtbot.waitSignal(again.prediction_changed):
        again.open_paths([project])
    window.learning_views.timeline.choose(1, 2)
    qtbot.mouseClick(window.learning_views.timeline.compare, Qt.MouseButton.LeftButton)
    changes = again.review.changes
    qtbot.waitUntil(lambda: changes.compared == 2)
    assert sum(changes.counts().values()) > 0  # the model did change it
    assert len(changes.regions()) == left
    window.actions_by_name["changes-refuse"].trigger()
    shown = again.document
    assert shown is not None
    if how == "one":
        free = mask & (corrections[box.slices] == 255)
        assert free.any()
        assert (shown.corrections.values[box.slices][free] == 255).all()
    else:
        np.testing.assert_array_equal(shown.corrections.values, corrections)
    assert window.close()
