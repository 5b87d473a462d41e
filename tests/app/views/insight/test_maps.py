"""Maps in the real window: values, scales, the pointer, and what cannot be shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.inference.insight_messages import (
    ContextAnswer,
    MapAnswer,
    PairAnswer,
    SheetAnswer,
    WhyAnswer,
)
from app.views.insight.shown_map import number
from app.views.insight.words import STATE_NAMES
from mdlstm_core import host_memory
from mdlstm_core.checkpoint import Checkpoint, save_checkpoint
from mdlstm_core.config import DIRECTIONS, STATES, NetworkConfig
from mdlstm_core.insight.gates import gate_map
from mdlstm_core.insight.queries import Components, GateQuery, Pixel, Strongest
from mdlstm_core.predictor import Predictor

PLACES = (Pixel(3, 4), Pixel(50, 40), Pixel(99, 79))


def test_every_map_is_that_of_the_model_and_says_its_value(
    explored: Any, predictor: Predictor
) -> None:
    explored.show("maps")
    explored.wait(MapAnswer)
    recording = predictor.record(explored.image)
    for direction, gate in enumerate(("input", "cell", "candidate", "hidden")):
        explored.panel.chooser.choose(min(direction, 2), direction, gate, direction)
        query = explored.panel.chooser.query
        found = explored.wait(MapAnswer, lambda a, q=query: a.found.query == q).found
        expected = gate_map(recording, GateQuery(min(direction, 2), direction, gate, direction))
        np.testing.assert_allclose(found.values, expected.values, atol=1e-5)
        for pixel in PLACES:
            explored.point(pixel)
            value = float(expected.values[expected.cell_at(pixel)])
            assert number(value) in explored.panel.maps.value.text()
        scale = explored.panel.maps.bar.scale
        assert scale is not None
        if gate == "input":
            assert (scale.low, scale.high) == (found.values.min(), found.values.max())
        else:
            assert scale.low == -scale.high == -np.abs(found.values).max()


def test_the_pointer_asks_the_model_nothing(explored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    explored.show("maps")
    explored.wait(MapAnswer)
    sent: list[object] = []
    monkeypatch.setattr(explored.window.session._client, "send", sent.append)
    texts = set()
    for pixel in PLACES:
        explored.point(pixel)
        texts.add(explored.panel.maps.value.text())
    assert len(texts) == len(PLACES)
    assert sent == []


def test_the_strongest_unit_follows_the_pointer(explored: Any, predictor: Predictor) -> None:
    explored.show("maps")
    explored.wait(MapAnswer)
    explored.panel.chooser.choose(gate="hidden", unit="strongest")
    explored.point(PLACES[1])
    strongest = Strongest(PLACES[1])
    found = explored.wait(MapAnswer, lambda a: a.found.query.unit == strongest).found
    expected = predictor.gate_map(explored.image, found.query)
    assert found.unit == expected.unit
    assert f"unit {found.unit + 1}" in explored.panel.maps.bar.label


def test_components_are_seen_as_colours(explored: Any, qtbot: QtBot) -> None:
    explored.show("maps")
    explored.panel.chooser.choose(unit="components")
    qtbot.waitUntil(lambda: "variance" in explored.panel.maps.bar.label)
    (shown,) = explored.panel.maps.maps()
    assert shown.pixels.shape == (*shown.values.shape[:2], 3)
    assert explored.panel.maps.bar.scale is None
    explored.point(PLACES[0])
    assert all(number(float(v)) in explored.panel.maps.value.text() for v in shown.values[0, 0])
    assert isinstance(explored.panel.chooser.query.unit, Components)


def test_a_map_covers_the_image_and_goes(explored: Any, qtbot: QtBot) -> None:
    before = explored.canvas.grab().toImage()
    qtbot.keyClick(explored.window, Qt.Key.Key_X, Qt.KeyboardModifier.ShiftModifier)
    explored.wait(MapAnswer)
    assert explored.canvas.transform is not None
    assert explored.canvas.grab().toImage() != before
    qtbot.keyClick(explored.window, Qt.Key.Key_X, Qt.KeyboardModifier.ShiftModifier)
    assert explored.panel.mode.value == "off"
    assert explored.canvas.grab().toImage() == before


def test_a_click_on_the_contact_sheet_chooses(explored: Any, qtbot: QtBot) -> None:
    explored.show("maps")
    explored.panel.maps.sheet_button.click()
    maps = explored.wait(SheetAnswer).maps
    assert {(m.query.direction, m.query.gate) for m in maps} == {
        (direction, gate) for direction in range(len(DIRECTIONS)) for gate in STATES
    }
    sheet = explored.panel.maps.sheet
    for direction, gate in ((3, "cell"), (0, "input")):
        place = sheet.place(direction, gate).center()
        qtbot.mouseClick(sheet, Qt.MouseButton.LeftButton, pos=place)
        query = explored.panel.chooser.query
        assert (query.direction, query.gate) == (direction, gate)
    assert set(STATE_NAMES) == set(STATES)


def test_nothing_is_kept_once_the_panel_is_closed(explored: Any, qtbot: QtBot) -> None:
    handler = explored.window.session._client._worker._insight
    assert handler._recording is None  # not opened yet
    before = explored.canvas.grab().toImage()
    explored.show("maps")
    explored.wait(MapAnswer)
    assert handler._recording is not None
    explored.window.docks.show("Images")
    qtbot.waitUntil(lambda: handler._recording is None)
    assert handler._image is None
    assert explored.canvas.grab().toImage() == before


def test_nothing_is_kept_of_what_is_not_shown_any_more(explored: Any, qtbot: QtBot) -> None:
    handler = explored.window.session._client._worker._insight
    explored.show("compare")
    explored.panel.compare.before.setCurrentIndex(1)
    explored.wait(PairAnswer)
    assert handler._other_recording is not None
    explored.window.explorer.pin(Pixel(3, 4))
    explored.show("why")
    explored.wait(WhyAnswer, lambda a: bool(a.followed))
    assert handler._fit is not None
    assert handler._other is handler._other_recording is None
    explored.show("maps")
    explored.wait(MapAnswer)
    assert handler._fit is handler._followed is None


def test_nothing_is_kept_once_the_panel_or_the_project_is_closed(
    explored: Any, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = explored.window.session
    handler = session._client._worker._insight
    explored.show("maps")
    explored.wait(MapAnswer)
    # No question comes of the next image, since no model serves when it is shown.
    monkeypatch.setattr(type(explored.insight), "is_ready", property(lambda _self: False))
    explored.insight.set_document(session.document)
    explored.window.docks.show("Images")
    qtbot.waitUntil(lambda: handler._recording is None)
    monkeypatch.undo()
    explored.show("maps")
    explored.wait(MapAnswer)
    explored.insight.set_document(None)
    qtbot.waitUntil(lambda: handler._recording is None)


def test_requests_that_nobody_waits_for_are_dropped(explored: Any, qtbot: QtBot) -> None:
    explored.show("maps")
    explored.wait(MapAnswer)
    for unit in range(40):
        explored.panel.chooser.choose(unit=unit)
    last = explored.panel.chooser.query
    answered: list[GateQuery] = []
    explored.insight.answered.connect(lambda a: answered.append(a.found.query))
    qtbot.waitUntil(lambda: last in answered)
    assert len(answered) <= 2


def test_a_unit_out_of_range_is_refused_in_a_sentence(explored: Any) -> None:
    explored.show("maps")
    explored.wait(MapAnswer)
    explored.panel.chooser.choose(layer=0, unit=98)
    reason = explored.refused()
    assert reason == "Layer 1 has units 1 to 48, no unit 99."
    assert explored.panel.message == reason
    assert explored.panel.maps.maps() == ()
    explored.panel.chooser.choose(unit=3)
    explored.wait(MapAnswer)
    assert explored.panel.message == ""
    assert explored.panel.maps.maps() != ()


def test_a_model_without_2d_lstm_layers_is_refused_in_a_sentence(
    explored: Any,
    qtbot: QtBot,
    make_checkpoint: Callable[..., Checkpoint],
    scene_config: NetworkConfig,
    tmp_path: Path,
) -> None:
    config = dataclasses.replace(scene_config, recurrent=False)
    file = tmp_path / "convolutions.safetensors"
    save_checkpoint(make_checkpoint(config), file)
    session = explored.window.session
    with qtbot.waitSignal(session.model_changed):
        session.use_model(file)
    for tab in ("maps", "health", "sweep"):
        explored.show(tab)
        assert explored.refused() == (
            "This model has no 2D-LSTM layers, so it has no gates to show."
        )
        assert "no 2D-LSTM layers" in explored.panel.message


def test_what_would_not_fit_into_memory_is_refused_in_a_sentence(
    explored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_memory, "host_memory", lambda: (1 << 30, 1 << 20))
    explored.show("maps")
    reason = explored.refused()
    assert reason.startswith("Recording the gates of an image of 100×80 pixels needs about ")
    assert explored.panel.message == reason


def test_an_image_smaller_than_a_window_is_shown_and_said_to_be_so(
    explore: Callable[[Path], Any], tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    values = np.random.default_rng(4).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(values).save(folder / "tiny.png")
    explored = explore(folder / "tiny.png")
    explored.show("maps")
    answer = explored.wait(MapAnswer)
    assert np.isfinite(answer.found.values).all()
    assert explored.panel.message == (
        "As the network looks at it, the image is smaller than one window of 16×16 pixels, so "
        "its border was repeated."
    )
    said, pixel = explored.panel.message, Pixel(3, 2)
    explored.window.explorer.pin(pixel)
    explored.show("why")
    explored.wait(ContextAnswer)
    assert explored.panel.message == said  # by each answer, and once
