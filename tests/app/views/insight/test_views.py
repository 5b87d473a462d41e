"""Sweep, comparison, health, the linked views and files, in the real window."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QFileDialog
from pytestqt.qtbot import QtBot

from app.inference.insight_messages import HealthAnswer, MapAnswer, PairAnswer, SheetAnswer
from mdlstm_core.checkpoint import Checkpoint, save_checkpoint
from mdlstm_core.config import NetworkConfig
from mdlstm_core.insight.drawing import LEFT, TOP, drawn_size
from mdlstm_core.insight.gates import GateMap
from mdlstm_core.insight.health import health
from mdlstm_core.insight.queries import Pixel
from mdlstm_core.predictor import Predictor

PATIENCE_MS = 30_000
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
    qtbot.waitUntil(lambda: not sweep.is_playing, timeout=PATIENCE_MS)
    assert sweep.diagonal == sweep.slider.maximum()
    sweep.back.click()
    qtbot.waitUntil(lambda: sweep.diagonal < sweep.slider.maximum() - 2, timeout=PATIENCE_MS)
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
    with qtbot.waitSignal(window.session.model_changed, timeout=PATIENCE_MS):
        window.actions_by_name["learn"].trigger()
    qtbot.waitUntil(lambda: not window.session.is_learning, timeout=PATIENCE_MS)
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
    with qtbot.waitSignal(window.session.model_changed, timeout=PATIENCE_MS):
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
    with qtbot.waitSignal(window.session.model_changed, timeout=PATIENCE_MS):
        window.actions_by_name["learn"].trigger()
    qtbot.waitUntil(lambda: not window.session.is_learning, timeout=2 * PATIENCE_MS)
    qtbot.waitUntil(lambda: not explored.insight.is_trial, timeout=PATIENCE_MS)
    explored.show("health")
    expected = health(predictor.record(explored.image))

    def is_moved() -> bool:
        """The first model on the way has the gates before; wait for the one that is kept."""
        return bool(table.before) and any(
            table.before[row.layer, row.direction].closed != row.closed for row in table.rows
        )

    qtbot.waitUntil(is_moved, timeout=PATIENCE_MS)
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
    qtbot.waitUntil(lambda: text in explored.panel.maps.value.text(), timeout=PATIENCE_MS)


def saved(explored: Any, qtbot: QtBot, folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Save what is shown, and return the files' names."""
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    with qtbot.waitSignal(explored.insight.saved, timeout=4 * PATIENCE_MS):
        explored.panel.save_button.click()
    return {path.name for path in folder.iterdir()}


def test_files_are_those_of_the_command_line(
    explored: Any, qtbot: QtBot, mdlstm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explored.panel.chooser.choose(layer=1)
    explored.show("maps")
    explored.panel.maps.sheet_button.click()
    explored.wait(SheetAnswer)
    names = saved(explored, qtbot, tmp_path / "window", monkeypatch)
    options = ("--out", tmp_path / "command", "--layer", 2, "--contact-sheet", "--device", "cpu")
    assert mdlstm("gates", explored.path, *options).code == 0
    assert len(names) == 4 * 7 * 3 + 1
    assert_same_files(tmp_path / "window", tmp_path / "command")


@pytest.mark.parametrize("pin", [None, PLACE])
def test_files_of_the_sweep_are_those_of_the_command_line_up_to_the_diagonal_shown(
    explored: Any, qtbot: QtBot, mdlstm: Any, tmp_path: Path, monkeypatch: Any, pin: Pixel | None
) -> None:
    explored.panel.chooser.choose(layer=2, direction=1, gate="cell")
    explored.show("sweep")
    explored.wait(MapAnswer)
    explored.window.explorer.pin(pin)
    sweep = explored.panel.sweep
    sweep.slider.setValue(8)
    (shown,) = sweep.maps()
    names = saved(explored, qtbot, tmp_path / "window", monkeypatch)
    end = "" if pin is None else "_at_30_60"
    stem = f"rocket_layer3_top-right_cell_mean_diagonal9{end}"
    assert names == {f"{stem}.{suffix}" for suffix in ("png", "npy", "json")}
    at = () if pin is None else ("--at", "30,60", "--seconds", 0.1)
    few = ("--direction", "top-right", "--gate", "cell", "--diagonal", 9, "--device", "cpu", *at)
    assert mdlstm("gates", explored.path, "--out", tmp_path / "command", *few).code == 0
    assert_same_files(tmp_path / "window", tmp_path / "command", others=pin is not None)

    values = np.load(tmp_path / "window" / f"{stem}.npy")
    rows, columns = values.shape
    numbers = np.add.outer(np.arange(rows), np.arange(columns)[::-1])
    np.testing.assert_array_equal(np.isnan(values), numbers > 8)
    np.testing.assert_array_equal(values[numbers <= 8], shown.values[numbers <= 8])
    about = json.loads((tmp_path / "window" / f"{stem}.json").read_text())
    assert (about["diagonal"], about["diagonals"]) == (9, rows + columns - 1)
    assert (about["colors"]["low"], about["colors"]["high"]) == (shown.scale.low, shown.scale.high)
    # The picture has the colours that the window shows, here on white.
    rgba = shown.pixels.astype(float)
    expected = 255 + (rgba[..., :3] - 255) * rgba[..., 3:] / 255
    side = drawn_size(rows, columns)[0] // rows
    png = np.asarray(Image.open(tmp_path / "window" / f"{stem}.png").convert("RGB"))
    drawn = png[TOP + side // 2 :: side, LEFT + side // 2 :: side][:rows, :columns]
    np.testing.assert_allclose(drawn, expected, atol=1.5)


def assert_same_files(mine: Path, its: Path, *, others: bool = False) -> None:
    """Check that the files of one folder are those of another one, which may have more."""
    names, other_names = ({path.name for path in folder.iterdir()} for folder in (mine, its))
    assert names <= other_names if others else names == other_names
    for name in names:
        if name.endswith(".npy"):
            np.testing.assert_allclose(np.load(mine / name), np.load(its / name), atol=1e-5)
        elif name.endswith(".json"):
            about, other = (json.loads((folder / name).read_text()) for folder in (mine, its))
            for key in ("low", "high"):
                value = about["colors"].pop(key)
                assert value == pytest.approx(other["colors"].pop(key), abs=1e-5)
            assert about == other
        else:
            pictures = [np.asarray(Image.open(folder / name), int) for folder in (mine, its)]
            # A value that lies between two colours may fall to either.
            assert np.abs(pictures[0] - pictures[1]).max() <= 8


def test_every_view_can_be_saved(
    explored: Any, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explored.show("health")
    explored.wait(HealthAnswer)
    names = saved(explored, qtbot, tmp_path / "health", monkeypatch)
    assert names == {"rocket_health.png", "rocket_health.json"}
    explored.show("why")
    explored.window.explorer.pin(PLACE)
    why = explored.panel.why
    qtbot.waitUntil(lambda: None not in (why.context, why.answer), timeout=PATIENCE_MS)
    names = saved(explored, qtbot, tmp_path / "why", monkeypatch)
    assert names == {
        f"rocket_at_30_60_{what}.{suffix}"
        for what in ("logits", "gradient")
        for suffix in ("png", "npy", "json")
    }
    explored.show("compare")
    explored.panel.compare.before.setCurrentIndex(1)
    explored.wait(PairAnswer)
    names = saved(explored, qtbot, tmp_path / "pair", monkeypatch)
    assert len(names) == 9
    assert sum("difference" in name for name in names) == 3


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(
    explored: Any, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "file"))
    explored.show("maps")
    explored.wait(MapAnswer)
    with qtbot.waitSignal(explored.insight.save_failed, timeout=PATIENCE_MS) as failed:
        explored.panel.save_button.click()
    (reason,) = failed.args
    assert str(tmp_path / "file") in reason
    assert explored.panel.message == reason
    assert explored.panel.maps.maps() != ()


@pytest.mark.parametrize("leave", ["panel", "image"])
def test_what_is_to_be_saved_is_saved_though_one_leaves(
    explored: Any, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave: str
) -> None:
    """Two saves that wait while the model answers something else, and a third that fails."""
    other = tmp_path / "other.png"
    Image.fromarray(explored.image[:40]).save(other)
    explored.panel.chooser.choose(gate="cell")
    explored.show("maps")
    explored.wait(MapAnswer)
    (tmp_path / "file").write_text("")
    folders = [tmp_path / "first", tmp_path / "second", tmp_path / "file"]
    targets = iter(folders)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(next(targets)))
    session, said, warned = explored.window.session, [], []
    session.said.connect(said.append)
    session.warned.connect(warned.append)
    explored.panel.chooser.choose(gate="input")  # under way, so that the others wait
    for _ in folders:
        explored.panel.save_button.click()
    if leave == "panel":
        explored.window.docks.show("Images")
    else:
        session.open_paths([other])
    qtbot.waitUntil(lambda: session._client.is_idle and len(said) >= 2, timeout=PATIENCE_MS)
    for folder in folders[:2]:
        assert f"Saved 3 files in {folder}." in said
        assert {path.suffix for path in folder.iterdir()} == {".png", ".npy", ".json"}
    told = warned[-1] if leave == "panel" else explored.panel.message
    assert str(tmp_path / "file") in told
    handler = session._client._worker._insight
    assert (handler._recording is None) == (leave == "panel")
