"""Why this class here, in the real window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from app.inference.insight_messages import GradientRequest, MapAnswer, Refusal, WhyAnswer
from app.views.insight.contribution_bars import parts_of, signed
from mdlstm_core import host_memory
from mdlstm_core.checkpoint import checkpoint_from_bytes
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.insight.context import gradient, occlusion
from mdlstm_core.insight.contributions import contributions
from mdlstm_core.insight.queries import ContextQuery, Pixel
from mdlstm_core.prediction import network_input
from mdlstm_core.predictor import Predictor

PLACE, OTHER = Pixel(30, 60), Pixel(70, 20)


def pinned(explored: Any, qtbot: QtBot, pixel: Pixel = PLACE) -> WhyAnswer:
    """Pin a pixel with the key, and return why it has its class."""
    explored.point(pixel)
    explored.answers.clear()
    qtbot.keyClick(explored.window, Qt.Key.Key_X)
    answer: WhyAnswer = explored.wait(
        WhyAnswer, lambda a: a.request.pixel == explored.panel.why.pin and bool(a.followed)
    )
    return answer


def logits_at(predictor: Predictor, image: NDArray[np.uint8], pixel: Pixel) -> NDArray[np.float32]:
    """Return the logits of a pixel by the first of the looks that its label is the mean of."""
    working = network_input(image, predictor.network, predictor.network.config.scales[0] ** 2)
    size = working.shape[2:]
    with torch.no_grad():
        full = predictor.network.enlarge(predictor.network(working), *size)
    return full[0, :, *reversed(pixel.moved(image.shape[:2], size))].numpy()


def test_the_bars_sum_to_the_networks_own_logits(
    explored: Any, qtbot: QtBot, predictor: Predictor
) -> None:
    answer = pinned(explored, qtbot)
    logits = logits_at(predictor, explored.image, PLACE)
    np.testing.assert_allclose(parts_of(answer.parts).sum(axis=1), logits, atol=1e-5)
    why = explored.panel.why
    assert explored.panel.tabs.value == "why"
    assert why.pin == PLACE
    best = int(logits.argmax())
    assert why.class_index == best
    assert why.bars.order == np.argsort(-logits).tolist()
    for value in (*parts_of(answer.parts)[best], logits[best]):
        assert signed(float(value)) in why.sum.text()


def test_the_logits_follow_the_pointer_until_a_pixel_is_pinned(
    explored: Any, qtbot: QtBot, predictor: Predictor
) -> None:
    explored.show("why", "off")
    why, recording = explored.panel.why, predictor.record(explored.image)
    for pixel in (PLACE, OTHER):
        explored.point(pixel)
        qtbot.waitUntil(
            lambda p=pixel: why.answer is not None and why.answer.parts.pixel == p,
        )
        expected = contributions(recording, pixel).logits
        np.testing.assert_allclose(why.answer.parts.logits, expected, atol=1e-5)
    pinned(explored, qtbot)
    explored.point(OTHER)
    qtbot.wait(100)
    assert why.answer.parts.pixel == PLACE
    why.unpin.click()
    assert why.pin is None


def test_a_click_pins_and_paints_nothing(explored: Any, qtbot: QtBot) -> None:
    explored.show("why", "off")
    explored.panel.why.pick.click()
    place = explored.view(OTHER)
    qtbot.mousePress(explored.canvas, Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseRelease(explored.canvas, Qt.MouseButton.LeftButton, pos=place)
    assert explored.panel.why.pin == OTHER
    document = explored.window.session.document
    assert (document.corrections.values == IGNORE_INDEX).all()
    qtbot.mouseClick(explored.canvas, Qt.MouseButton.LeftButton, pos=place)  # paints again
    assert (document.corrections.values != IGNORE_INDEX).any()


def test_the_key_alone_shows_parts_and_context(explored: Any, qtbot: QtBot) -> None:
    panel, canvas = explored.panel, explored.canvas
    assert not panel.is_seen
    assert panel.mode.value == "off"
    before = canvas.grab().toImage()
    pinned(explored, qtbot)
    qtbot.waitUntil(lambda: panel.why.context is not None)
    assert panel.mode.value == "over"
    assert canvas.grab().toImage() != before
    panel.mode.choose("beside")
    qtbot.keyClick(explored.window, Qt.Key.Key_X)
    assert (panel.why.pin, panel.mode.value) == (None, "beside")


def test_the_context_is_the_gradient_then_what_hiding_does(
    explored: Any, qtbot: QtBot, predictor: Predictor
) -> None:
    explored.show("why")
    answer = pinned(explored, qtbot)
    best = int(answer.parts.logits.argmax())
    qtbot.waitUntil(lambda: explored.panel.why.context is not None)
    context = explored.panel.why.context
    expected = gradient(predictor.network, explored.image, ContextQuery(PLACE, best))
    np.testing.assert_allclose(context.values, expected.values, rtol=1e-3, atol=1e-6)
    other = int(np.argsort(-answer.parts.logits)[1])
    row = explored.panel.why.bars.row(other).center()
    qtbot.mouseClick(explored.panel.why.bars, Qt.MouseButton.LeftButton, pos=row)
    qtbot.waitUntil(lambda: explored.panel.why.context.class_index == other)
    explored.panel.why.kind.choose("hiding")
    assert explored.panel.why.context is None
    qtbot.waitUntil(
        lambda: explored.panel.why.context is not None and explored.panel.why.context.is_whole,
    )
    query = ContextQuery(PLACE, other, patches=8, seconds=60)
    whole = occlusion(predictor.network, explored.image, query)
    np.testing.assert_allclose(explored.panel.why.context.values, whole.values, atol=1e-4)


def test_the_look_is_named_and_where_the_label_is_another(
    explored: Any, qtbot: QtBot, predictor: Predictor
) -> None:
    why, document = explored.panel.why, explored.window.session.document
    recording = predictor.record(explored.image)
    places = [Pixel(x, y) for y in range(2, 80, 3) for x in range(2, 100, 3)]
    best = {p: int(contributions(recording, p).logits.argmax()) for p in places}
    same = next(p for p in places if best[p] == document.prediction[p.y, p.x])
    other = next(p for p in places if best[p] != document.prediction[p.y, p.x])
    explored.show("why", "off")
    assert explored.panel.look == (
        "Shown is the look at the whole size, one of 4 whose mean the labels are."
    )
    assert explored.panel._look.isVisible()
    for pixel in (same, other):
        explored.window.explorer.pin(pixel)
        explored.answers.clear()
        explored.wait(WhyAnswer, lambda a, p=pixel: a.request.pixel == p and bool(a.followed))
        is_other = pixel is other
        assert why.label.isVisible() == is_other
        if is_other:
            name = predictor.classes[int(document.prediction[pixel.y, pixel.x])].name
            assert why.label.text() == f"Drawn here is another class: {name}."


@pytest.mark.parametrize("live", [False, True])
def test_a_stroke_here_shows_what_it_changed(
    explored: Any, qtbot: QtBot, drag: Callable[..., None], live: bool
) -> None:
    window = explored.window
    if live:
        with qtbot.waitSignal(window.session.prediction_changed):
            window.actions_by_name["live"].trigger()
    explored.show("why", "off")
    before = pinned(explored, qtbot)
    worst = int(before.parts.logits.argmin())
    name = before.classes[worst].name
    assert not explored.panel.why.change.isVisible()
    window.classes.choose(worst)
    drag(window, [(PLACE.x - 5, PLACE.y), (PLACE.x + 5, PLACE.y)])
    changes = explored.panel.why.changes
    qtbot.waitUntil(lambda: bool(changes.by_class))
    assert changes.by_class[name] == max(changes.by_class.values()) > 0.1
    assert ("last layer fit" in changes.text) is not live
    assert ("a classifier of its own" in explored.panel.why.label.text()) is live
    if live:
        now = explored.panel.why.answer
        names = [c.name for c in now.classes]
        change = now.parts.logits[names.index(name)] - before.parts.logits[worst]
        assert change == pytest.approx(changes.by_class[name], abs=1e-4)
    first = dict(changes.by_class)
    window.actions_by_name["undo"].trigger()
    qtbot.waitUntil(lambda: changes.by_class[name] < 0)
    assert changes.by_class == pytest.approx({k: -v for k, v in first.items()}, abs=1e-6)


@pytest.mark.parametrize("tab", ["why", "health"])
def test_after_learning_the_column_compares_with_the_model_before(
    explored: Any, qtbot: QtBot, drag: Callable[..., None], predictor: Predictor, tab: str
) -> None:
    """With the tab in front all the time, or only when the new model is there."""
    window, changes = explored.window, explored.panel.why.changes
    explored.show("why", "off")
    before = pinned(explored, qtbot)
    worst = int(before.parts.logits.argmin())
    window.classes.choose(worst)
    drag(window, [(PLACE.x - 9, PLACE.y), (PLACE.x + 9, PLACE.y)])
    qtbot.waitUntil(lambda: bool(changes.by_class))  # by the stroke

    served: list[bool] = []
    window.session.model_changed.connect(lambda _info: served.append(explored.insight.is_trial))
    window.learning._seconds.setValue(20)
    explored.show(tab, "off")
    window.actions_by_name["learn"].trigger()
    qtbot.waitUntil(lambda: len(served) == 2 and not window.session.is_learning)
    assert served == [True, False]  # on the way, and what came of it
    explored.show("why", "off")
    source = window.session.model.source
    learned = Predictor(checkpoint_from_bytes(source), "cpu")
    now = learned.contributions(explored.image, PLACE).logits
    qtbot.waitUntil(
        lambda: np.allclose(explored.panel.why.answer.parts.logits, now, atol=1e-4),
    )
    then = predictor.contributions(explored.image, PLACE).logits
    names = [c.name for c in learned.classes]
    expected = dict(zip(names, (now - then).tolist(), strict=True))
    assert changes.by_class == pytest.approx(expected, abs=1e-4)
    assert expected[names[worst]] > 0.1
    assert explored.panel.why.change.text() == "Compared with the model before: last column."
    assert explored.panel.why.change.isVisible()


def test_a_refused_gradient_stays_said_beside_the_parts_of_the_logits(
    explored: Any, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    explored.show("why", "over")
    explored.point(PLACE)
    explored.wait(WhyAnswer)  # recorded, so that only the gradient asks for more memory
    monkeypatch.setattr(host_memory, "host_memory", lambda: (1 << 30, 1 << 20))
    why, panel = explored.panel.why, explored.panel
    refused, split = [], []
    explored.insight.answered.connect(
        lambda a: (refused if isinstance(a, Refusal) else split).append(a)
    )
    qtbot.keyClick(explored.window, Qt.Key.Key_X)
    qtbot.waitUntil(lambda: bool(refused) and bool(split))
    assert isinstance(refused[0].request, GradientRequest)
    assert refused[0].reason.startswith("The gradient over an image of ")
    assert isinstance(split[-1], WhyAnswer)
    assert panel.message == refused[0].reason
    assert panel._message.isVisible()
    assert why.answer is split[-1]
    assert why.context is None
    monkeypatch.undo()
    why.unpin.click()  # the context is asked for no more
    assert panel.message == ""
    pinned(explored, qtbot)
    qtbot.waitUntil(lambda: why.context is not None)
    assert panel.message == ""


def test_that_a_class_is_new_stays_said(
    explored: Any, qtbot: QtBot, drag: Callable[..., None]
) -> None:
    window, panel = explored.window, explored.panel
    explored.show("why", "over")
    window.actions_by_name["class-add"].trigger()
    added = window.session.project.classes.classes[-1]
    window.classes.rename_asked.emit(added.label, "moss")
    window.classes.choose_label(added.label)
    with qtbot.waitSignal(window.session.prediction_changed):
        window.actions_by_name["live"].trigger()
    drag(window, [(PLACE.x - 5, PLACE.y), (PLACE.x + 5, PLACE.y)])
    answer = pinned(explored, qtbot)
    names = [c.name for c in answer.classes]
    place = panel.why.bars.row(names.index("moss")).center()
    qtbot.mouseClick(panel.why.bars, Qt.MouseButton.LeftButton, pos=place)
    assert panel.message.startswith("moss is new")
    explored.answers.clear()
    window.explorer._refresh()
    explored.wait(WhyAnswer)
    assert panel.message.startswith("moss is new")


def test_a_unit_leads_to_its_map(explored: Any, qtbot: QtBot) -> None:
    answer = pinned(explored, qtbot)
    why = explored.panel.why
    why.units_button.click()
    direction, unit, value = why.units.units[0]
    best = int(answer.parts.logits.argmax())
    units_DH = answer.parts.units_KDH[best]
    assert value == pytest.approx(units_DH[direction, unit])
    assert abs(value) == pytest.approx(np.abs(units_DH).max())
    explored.answers.clear()
    qtbot.mouseClick(why.units, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
    qtbot.waitUntil(lambda: bool(explored.panel.maps.maps()))
    found = explored.wait(MapAnswer).found
    query = explored.panel.chooser.query
    assert (query.layer, query.direction, query.gate, query.unit) == (2, direction, "hidden", unit)
    assert found.query.layer == 2
