"""Sweep, comparison, health, the linked views and files, in the real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.inference.insight_messages import HealthAnswer, MapAnswer, PairAnswer
from mdlstm_core.checkpoint import Checkpoint, save_checkpoint
from mdlstm_core.config import NetworkConfig
from mdlstm_core.insight.gates import GateMap
from mdlstm_core.insight.health import health
from mdlstm_core.insight.queries import Pixel
from mdlstm_core.predictor import Predictor

PLACE = Pixel(30, 60)


def test_the_sweep_covers_what_it_has_reached(explored: Any, qtbot: QtBot) -> None:
    explored.panel.chooser.choose(layer=2, direction=1, gate="hidden")
    explored.show("sweep")
    explored.wait(MapAnswer)
    sweep = explored.panel.sweep
    rows, columns = sweep.maps()[0].values.shape
    assert sweep.slider.maximum() == rows + columns - 2
    sweep.slider.setValue(0)
    (shown,) = sweep.maps()
    assert np.argwhere(shown.wavefront.cover).tolist() == [[0, columns - 1]]  # from the top right
    for step in (1, 4, sweep.slider.maximum()):
        sweep.slider.setValue(step)
        (shown,) = sweep.maps()
        row, column = np.nonzero(shown.wavefront.front)
        assert (row + (columns - 1 - column) == step).all()
        assert (shown.wavefront.cover > 0).sum() == sum(
            r + c <= step for r in range(rows) for c in range(columns)
        )
    assert (shown.wavefront.cover == 255).all()
    whole = shown.values
    sweep.slider.setValue(0)
    sweep.forward.click()
    qtbot.waitUntil(lambda: not sweep.is_playing)
    assert sweep.diagonal == sweep.slider.maximum()
    sweep.back.click()
    qtbot.waitUntil(lambda: sweep.diagonal < sweep.slider.maximum() - 2)
    sweep.pause.click()
    assert not sweep.is_playing
    np.testing.assert_array_equal(sweep.maps()[0].values, whole)


def test_the_sweep_shows_what_it_knew_at_the_pinned_pixel(explored: Any) -> None:
    explored.panel.chooser.choose(layer=2, direction=0)
    explored.show("sweep")
    explored.wait(MapAnswer)
    explored.window.explorer.pin(PLACE)
    sweep = explored.panel.sweep
    sweep.to_pin.click()
    (shown,) = sweep.maps()
    row, column = shown.cell_at(PLACE)
    assert sweep.diagonal == row + column
    known = np.zeros(shown.values.shape, dtype=bool)
    known[: row + 1, : column + 1] = True
    np.testing.assert_array_equal(shown.wavefront.cover == 255, known)


def test_two_models_side_by_side(
    explored: Any, qtbot: QtBot, drag: Callable[..., None], predictor: Predictor
) -> None:
    window, compare = explored.window, explored.panel.compare
    explored.show("compare", "beside")
    assert "has not learned" in explored.panel.message
    compare.before.setCurrentIndex(1)
    pair = explored.wait(PairAnswer).pair
    assert not pair.difference.any()  # nothing was learned since the beginning
    compare.before.setCurrentIndex(0)

    window.learning._seconds.setValue(20)
    window.classes.choose(2)
    drag(window, [(PLACE.x - 9, PLACE.y), (PLACE.x + 9, PLACE.y)])
    with qtbot.waitSignal(window.session.model_changed):
        window.actions_by_name["learn"].trigger()
    qtbot.waitUntil(lambda: not window.session.is_learning)
    # The first improvement is the last layer's alone, whose gates are those before.
    pair = explored.wait(PairAnswer, lambda answer: answer.pair.difference.any()).pair
    expected = predictor.gate_map(explored.image, pair.before.query)
    np.testing.assert_allclose(pair.before.values, expected.values, atol=1e-5)
    assert np.abs(pair.difference).max() > 1e-4
    qtbot.waitUntil(lambda: sum(v.isVisible() for v in window.beside.views) == 3)
    assert [v.title for v in window.beside.views] == ["before", "after", "after less before"]
    first = compare.maps()[1]
    assert first.scale == compare.maps()[2].scale  # the two can be compared by eye
    assert compare.maps()[3].scale.signed


def test_health_is_the_models_and_is_told_anew_of_another_one(
    explored: Any,
    qtbot: QtBot,
    predictor: Predictor,
    make_checkpoint: Callable[..., Checkpoint],
    scene_config: NetworkConfig,
    tmp_path: Path,
) -> None:
    explored.show("health")
    rows = explored.wait(HealthAnswer).rows
    expected = health(predictor.record(explored.image))
    for row, other in zip(rows, expected, strict=True):
        assert (row.layer, row.direction) == (other.layer, other.direction)
        assert row.closed == pytest.approx(other.closed, abs=1e-3)
        assert row.open == pytest.approx(other.open, abs=1e-3)
        np.testing.assert_allclose(row.cell_by_diagonal, other.cell_by_diagonal, atol=1e-4)
    window, table = explored.window, explored.panel.health.table
    assert table.before == {}
    save_checkpoint(make_checkpoint(scene_config), tmp_path / "other.safetensors")
    with qtbot.waitSignal(window.session.model_changed):
        window.session.use_model(tmp_path / "other.safetensors")
    again = explored.wait(HealthAnswer, lambda a: len(a.rows) == 2 * 4).rows  # layers, directions
    assert all(row.closed != other.closed for row, other in zip(again, rows, strict=False))
    assert table.before == {}  # nothing was learned


def test_health_after_a_learning_has_that_before_it_though_nobody_looked_then(
    explored: Any, qtbot: QtBot, drag: Callable[..., None], predictor: Predictor
) -> None:
    window, table = explored.window, explored.panel.health.table
    window.learning._seconds.setValue(20)
    window.classes.choose(2)
    drag(window, [(PLACE.x - 9, PLACE.y), (PLACE.x + 9, PLACE.y)])
    with qtbot.waitSignal(window.session.model_changed):
        window.actions_by_name["learn"].trigger()
    qtbot.waitUntil(lambda: not window.session.is_learning)
    qtbot.waitUntil(lambda: not explored.insight.is_trial)
    explored.show("health")
    expected = health(predictor.record(explored.image))

    def is_moved() -> bool:
        """The first model on the way has the gates before; wait for the one that is kept."""
        return bool(table.before) and any(
            table.before[row.layer, row.direction].closed != row.closed for row in table.rows
        )

    qtbot.waitUntil(is_moved)
    assert len(table.rows) == len(table.before) == len(expected)
    for row in expected:
        found = table.before[row.layer, row.direction]
        assert found.closed == pytest.approx(row.closed, abs=1e-3)
        np.testing.assert_allclose(found.cell_by_diagonal, row.cell_by_diagonal, atol=1e-4)


def wheel(view: Any, place: QPointF) -> None:
    event = QWheelEvent(
        place,
        view.mapToGlobal(place),
        QPoint(),
        QPoint(0, 240),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view, event)


def test_zoom_and_pan_are_linked_both_ways(explored: Any, qtbot: QtBot) -> None:
    explored.show("maps", "beside")
    explored.wait(MapAnswer)
    (view,) = explored.window.beside.views
    canvas = explored.canvas
    qtbot.waitUntil(lambda: view.isVisible() and abs(view.width() - canvas.width()) < 3)

    def is_linked() -> bool:
        middle = (canvas.width() / 2, canvas.height() / 2)
        own = (view.width() / 2, view.height() / 2)
        return np.allclose(
            canvas.transform.to_image(*middle), view.transform.to_image(*own), atol=0.5
        ) and np.isclose(canvas.transform.zoom, view.transform.zoom, rtol=0.02)

    assert is_linked()
    for _ in range(4):
        canvas.zoom_by_steps(1)
        assert is_linked()
    at = QPointF(view.width() * 0.3, view.height() * 0.6)
    before, zoom = view.transform.to_image(at.x(), at.y()), canvas.transform.zoom
    wheel(view, at)
    assert canvas.transform.zoom == pytest.approx(zoom * 1.25**2)
    assert view.transform.to_image(at.x(), at.y()) == pytest.approx(before, abs=0.5)
    assert is_linked()
    start = QPoint(100, 100)
    left = canvas.transform.left
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(view, start + QPoint(40, 0))
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=start + QPoint(40, 0))
    assert canvas.transform.left == pytest.approx(left + 40, abs=1.5)
    assert is_linked()


def test_the_pointer_is_the_same_in_both(explored: Any, qtbot: QtBot) -> None:
    explored.show("maps", "beside")
    explored.wait(MapAnswer)
    (view,) = explored.window.beside.views
    qtbot.waitUntil(lambda: view.isVisible() and view.width() > 150)
    place = QPointF(*view.transform.to_view(PLACE.x + 0.5, PLACE.y + 0.5)).toPoint()
    qtbot.mouseMove(view, place)
    shown: GateMap = explored.panel.maps.maps()[0]
    row, column = shown.cell_at(PLACE)
    text = f"row {row + 1}, column {column + 1}"
    qtbot.waitUntil(lambda: text in explored.panel.maps.value.text())
