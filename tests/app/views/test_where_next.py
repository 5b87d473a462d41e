"""Key N and the map of uncertainty, in the real window."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot
from skimage import data

from app.document.edit import Edit
from app.document.stroke import Box, Region
from app.views.main_window import MainWindow


@pytest.fixture
def opened(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> MainWindow:
    """Two small photographs in the window, the first one labeled by the model."""
    folder = tmp_path / "small"
    folder.mkdir()
    for name, crop in (("a", data.rocket()[200:320, 100:260]), ("b", data.astronaut()[:120, :160])):
        Image.fromarray(np.ascontiguousarray(crop)).save(folder / f"{name}.png")
    with qtbot.waitSignal(window.session.prediction_changed):
        window.session.open_paths([folder])
    return window


def say(window: MainWindow, unsure: list[tuple[slice, slice]]) -> None:
    """Let the model be unsure in these parts of the image shown, and nowhere else."""
    document = window.session.document
    assert document is not None
    assert document.prediction is not None
    uncertainty = np.zeros((document.height, document.width), np.uint8)
    for part in unsure:
        uncertainty[part] = 240
    document.set_prediction(document.prediction, 255 - uncertainty, uncertainty)


def center(window: MainWindow) -> tuple[float, float]:
    canvas = window.canvas
    return canvas.transform.to_image(canvas.width() / 2, canvas.height() / 2)


def test_the_models_own_margin_is_shown(opened: MainWindow, qtbot: QtBot) -> None:
    document = opened.session.document
    assert document is not None
    assert document.uncertainty is not None
    assert document.uncertainty.shape == (120, 160)
    before = opened.canvas.grab().toImage()
    qtbot.keyClick(opened, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    assert opened.actions_by_name["uncertainty"].isChecked()
    assert opened.canvas.grab().toImage() != before
    with qtbot.waitSignal(opened.session.insight.answered):
        opened.actions_by_name["gates"].trigger()  # one map at a time
    assert not opened.actions_by_name["uncertainty"].isChecked()
    opened.actions_by_name["uncertainty"].trigger()
    assert opened.gates.mode.value == "off"
    opened.actions_by_name["uncertainty"].trigger()
    assert opened.canvas.grab().toImage() == before


def test_goes_to_the_most_unsure_place_then_to_the_next_image(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None]
) -> None:
    say(opened, [(slice(20, 44), slice(100, 130))])
    zoom = opened.canvas.transform.zoom
    qtbot.keyClick(opened, Qt.Key.Key_N)
    x, y = center(opened)
    assert 100 <= x <= 130
    assert 20 <= y <= 44
    assert opened.canvas.transform.zoom > 1.5 * zoom
    assert "unsure here: 9" in opened.messages.text
    assert "pixels that nobody labeled" in opened.messages.text

    # What a person labeled is done with; nothing is left here, so the next image is shown.
    opened.canvas.fit()
    opened.options_bar.set_diameter(60)
    drag(opened, [(90.0, 32.0), (140.0, 32.0)])
    session = opened.session
    with qtbot.waitSignal(session.prediction_changed):
        qtbot.keyClick(opened, Qt.Key.Key_N)
    assert session.document is not None
    assert session.document.path.name == "b.png"
    assert "unsure here" in opened.messages.text or "no place left" in opened.messages.text


def test_says_when_there_is_nowhere_to_go(qtbot: QtBot, opened: MainWindow) -> None:
    session = opened.session
    assert session.document is not None
    session.project.images.remove(session.project.images[1])
    say(opened, [])
    qtbot.keyClick(opened, Qt.Key.Key_N)
    assert "no place left" in opened.messages.text
    assert session.document.path.name == "a.png"


def test_goes_on_to_the_image_where_a_stroke_brings_most(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    folder = tmp_path / "three"
    folder.mkdir()
    crops = {
        "a": data.rocket()[200:320, 100:260],
        "b": np.full((120, 160, 3), 90, np.uint8),
        "c": data.astronaut()[:120, :160],
    }
    for name, crop in crops.items():
        Image.fromarray(np.ascontiguousarray(crop)).save(folder / f"{name}.png")
    session = window.session
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([folder])
    survey = session.review.survey
    others = [folder / "b.png", folder / "c.png"]
    qtbot.waitUntil(lambda: all(survey.has_looked(p) for p in others))
    none_labeled = np.zeros((0, 3), np.float32)
    ranked = [path for _, path, _ in survey.ranked(none_labeled)]
    worths = [value for value, _, _ in survey.ranked(none_labeled)]
    assert worths == sorted(worths, reverse=True)
    say(window, [])
    if ranked:
        with qtbot.waitSignal(session.prediction_changed):
            qtbot.keyClick(window, Qt.Key.Key_N)
        assert session.document is not None
        assert session.document.path == ranked[0]
        assert "unsure here" in window.messages.text
        assert "nothing is labeled so far" in window.messages.text
    # Images without an unsure place are not gone to.
    assert set(ranked) <= set(others)


def test_what_looks_like_labeled_pixels_ranks_lower(qtbot: QtBot, opened: MainWindow) -> None:
    session = opened.session
    survey = session.review.survey
    other = session.project.images[1]
    qtbot.waitUntil(lambda: survey.has_looked(other))
    places = survey.ranked(np.zeros((0, 3), np.float32))
    assert places, "the model is unsure somewhere on the astronaut"
    value, image, region = places[0]
    again = survey.ranked(np.array([region.color], np.float32))
    assert next(v for v, i, r in again if (i, r) == (image, region)) == pytest.approx(0.2 * value)


def test_what_is_labeled_on_another_image_counts_in_the_reason(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    folder = tmp_path / "twins"
    folder.mkdir()
    for name in "ab":
        Image.fromarray(np.ascontiguousarray(data.rocket()[200:320, 100:260])).save(
            folder / f"{name}.png"
        )
    session = window.session
    with qtbot.waitSignal(session.prediction_changed):
        session.open_paths([folder])
    survey = session.review.survey
    qtbot.waitUntil(lambda: survey.has_looked(folder / "b.png"))
    assert not len(survey.labeled_colors())
    with qtbot.waitSignal(session.prediction_changed):
        session.open_image(folder / "b.png")
    box = Box(0, 0, 120, 160)
    whole = Region(box, np.ones(box.shape, dtype=bool))
    session.edit(folder / "b.png", Edit(whole, np.full(120 * 160, 5, np.uint8), "all"))
    with qtbot.waitSignal(session.prediction_changed):
        session.open_image(folder / "a.png")
    # It was looked at before it was labeled, and is looked at again.
    qtbot.waitUntil(lambda: len(survey.labeled_colors()) > 0)
    say(window, [(slice(20, 44), slice(100, 130))])
    qtbot.keyClick(window, Qt.Key.Key_N)
    told = re.search(r"colours (\d+)% unlike those labeled", window.messages.text)
    assert told is not None
    assert 20 <= int(told[1]) < 50


def test_what_another_model_says_does_not_pass_for_a_new_look(
    qtbot: QtBot, opened: MainWindow, drag: Callable[..., None]
) -> None:
    """Both models look at the image shown while it is painted, but only one is to be unsure."""
    session = opened.session
    survey, teacher = session.review.survey, session.teacher
    shown, other = session.project.images
    qtbot.waitUntil(lambda: survey.is_resting)
    with qtbot.waitSignal(session.prediction_changed):
        session.open_image(other)
    qtbot.waitUntil(lambda: survey.is_resting and survey.has_looked(shown))
    before = survey.look(teacher.source, shown)
    with qtbot.waitSignal(session.prediction_changed):
        session.open_image(shown)
    drag(opened, [(20.0, 60.0), (140.0, 60.0)])
    survey.set_models("scene-33")
    qtbot.waitUntil(lambda: survey.look("scene-33", shown) is not None)
    with qtbot.waitSignal(session.prediction_changed):
        session.open_image(other)
    qtbot.waitUntil(lambda: survey.look(teacher.source, shown) is not before)
    look = survey.look(teacher.source, shown)
    assert look is not None
    assert look.colors is not None
    assert len(look.colors)


def test_the_entropy_is_shown_in_place_of_the_margin(qtbot: QtBot, opened: MainWindow) -> None:
    document = opened.session.document
    assert document is not None
    assert document.entropy is not None
    assert document.entropy.shape == (120, 160)
    opened.actions_by_name["uncertainty"].trigger()
    margin = opened.canvas.grab().toImage()
    opened.actions_by_name["measure-entropy"].trigger()
    entropy = opened.canvas.grab().toImage()
    assert entropy != margin
    opened.actions_by_name["measure-margin"].trigger()
    assert opened.canvas.grab().toImage() == margin
