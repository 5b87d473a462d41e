"""What is written to files in the real window, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.inference.insight_messages import (
    HealthAnswer,
    MapAnswer,
    PairAnswer,
    SheetAnswer,
    WhyAnswer,
)
from mdlstm_core.config import SIGMOID_GATES
from mdlstm_core.insight.drawing import LEFT, TOP, drawn_size
from mdlstm_core.insight.queries import Pixel

PLACE = Pixel(30, 60)


def saved(explored: Any, qtbot: QtBot, folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Save what is shown, and return the files' names."""
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    with qtbot.waitSignal(explored.insight.saved):
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
            assert_same(about, other)
        else:
            pictures = [np.asarray(Image.open(folder / name), int) for folder in (mine, its)]
            # A value that lies between two colours may fall to either.
            assert np.abs(pictures[0] - pictures[1]).max() <= 8


def assert_same(mine: Any, its: Any) -> None:
    """Check that two JSON values say the same, up to rounding."""
    assert type(mine) is type(its)
    if isinstance(mine, dict):
        assert list(mine) == list(its)
        assert_same(list(mine.values()), list(its.values()))
    elif isinstance(mine, list):
        for one, other in zip(mine, its, strict=True):
            assert_same(one, other)
    else:
        assert mine == (pytest.approx(its, abs=1e-4) if isinstance(its, float) else its)


@pytest.mark.parametrize("kind", ["gradient", "hiding"])
def test_files_of_a_pixel_are_those_of_the_command_line(
    explored: Any, qtbot: QtBot, mdlstm: Any, tmp_path: Path, monkeypatch: Any, kind: str
) -> None:
    explored.show("why")
    why = explored.panel.why
    why.kind.choose(kind)
    explored.window.explorer.pin(PLACE)
    qtbot.waitUntil(lambda: None not in (why.context, why.answer) and why.context.is_whole)
    names = saved(explored, qtbot, tmp_path / "window", monkeypatch)
    file = {"gradient": "gradient", "hiding": "occlusion"}[kind]
    assert f"rocket_at_30_60_{file}.npy" in names
    few = ("--direction", "top-left", "--gate", "cell", "--at", "30,60", "--seconds", 100)
    options = ("--out", tmp_path / "command", "--device", "cpu", *few)
    assert mdlstm("gates", explored.path, *options).code == 0
    assert_same_files(tmp_path / "window", tmp_path / "command", others=True)
    assert not np.isnan(np.load(tmp_path / "window" / f"rocket_at_30_60_{file}.npy")).any()


def test_files_of_live_logits_name_what_they_are_of(
    explored: Any, qtbot: QtBot, drag: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    window, why = explored.window, explored.panel.why
    drag(window, [(PLACE.x - 5, PLACE.y), (PLACE.x + 5, PLACE.y)])
    with qtbot.waitSignal(window.session.prediction_changed):
        window.actions_by_name["live"].trigger()
    explored.show("why")
    window.explorer.pin(PLACE)
    explored.answers.clear()
    explored.wait(WhyAnswer, lambda a: a.request.pixel == PLACE and a.request.is_live)
    qtbot.waitUntil(lambda: why.context is not None)
    saved(explored, qtbot, tmp_path / "live", monkeypatch)
    logits, gradient = (
        json.loads((tmp_path / "live" / f"rocket_at_30_60_{what}.json").read_text())
        for what in ("logits", "gradient")
    )
    assert logits["model"] == "scene, its last layer fit to the strokes"
    assert gradient["model"] == "scene"
    name = why.answer.classes[0].name
    assert logits["classes"][name]["logit"] == pytest.approx(why.answer.parts.logits[0], abs=1e-4)


def test_files_of_the_health_have_that_before_the_learning(
    explored: Any, qtbot: QtBot, drag: Any, until_learned: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    window = explored.window
    window.learning._seconds.setValue(3)
    window.classes.choose(2)
    drag(window, [(PLACE.x - 9, PLACE.y), (PLACE.x + 9, PLACE.y)])
    with until_learned(window.session):
        window.learning.ask()
    explored.show("health")
    answer = explored.wait(HealthAnswer)
    assert answer.before
    saved(explored, qtbot, tmp_path / "health", monkeypatch)
    about = json.loads((tmp_path / "health" / "rocket_health.json").read_text())
    assert about["axes"][0]["values"] == ["now", "before"]
    values = np.load(tmp_path / "health" / "rocket_health.npy")
    for shown, rows, name in zip(
        values, (answer.rows, answer.before), ("health", "before"), strict=True
    ):
        assert_same(about[name], [row.to_json() for row in rows])
        for row in rows:
            figures = shown[row.layer, row.direction]
            closed, count = [row.closed[gate] for gate in SIGMOID_GATES], len(row.cell_by_diagonal)
            np.testing.assert_allclose(figures[:8:2], closed, atol=1e-4)
            np.testing.assert_allclose(figures[9 : 9 + count], row.cell_by_diagonal, atol=1e-4)
    grey = np.asarray(Image.open(tmp_path / "health" / "rocket_health.png").convert("RGB"), int)
    assert ((np.ptp(grey, axis=2) < 3) & (abs(grey[..., 0] - 178) < 3)).sum() > 100  # its lines


def test_files_of_a_pixel_have_what_a_stroke_changed(
    explored: Any, qtbot: QtBot, drag: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    window, why = explored.window, explored.panel.why
    explored.show("why", "off")
    window.explorer.pin(PLACE)
    explored.answers.clear()
    explored.wait(WhyAnswer, lambda a: a.request.pixel == PLACE and bool(a.followed))
    drag(window, [(PLACE.x - 5, PLACE.y), (PLACE.x + 5, PLACE.y)])
    qtbot.waitUntil(lambda: bool(why.changes.by_class))
    names = saved(explored, qtbot, tmp_path / "why", monkeypatch)
    assert {"rocket_at_30_60_changes.npy", "rocket_at_30_60_changes.json"} <= names
    about = json.loads((tmp_path / "why" / "rocket_at_30_60_changes.json").read_text())
    changed = dict(
        zip(about["axes"][0]["values"], np.load(tmp_path / "why" / about["values"]), strict=True)
    )
    assert changed == pytest.approx(dict(why.changes.by_class))
    assert about["cause"] == why.changes.cause == "the last stroke, if the last layer followed it"
    with Image.open(tmp_path / "why" / "rocket_at_30_60_logits.png") as picture:
        wide = picture.width
    window.explorer.pin(Pixel(70, 20))  # nothing was told to have changed there
    explored.answers.clear()
    explored.wait(WhyAnswer, lambda a: a.request.pixel == Pixel(70, 20) and bool(a.followed))
    names = saved(explored, qtbot, tmp_path / "other", monkeypatch)
    assert not any("changes" in name for name in names)
    with Image.open(tmp_path / "other" / "rocket_at_70_20_logits.png") as picture:
        assert picture.width == wide - 90  # a column less


def test_every_view_can_be_saved(
    explored: Any, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explored.show("health")
    explored.wait(HealthAnswer)
    names = saved(explored, qtbot, tmp_path / "health", monkeypatch)
    assert names == {f"rocket_health.{suffix}" for suffix in ("png", "npy", "json")}
    explored.show("why")
    explored.window.explorer.pin(PLACE)
    why = explored.panel.why
    qtbot.waitUntil(lambda: None not in (why.context, why.answer))
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
    with qtbot.waitSignal(explored.insight.save_failed) as failed:
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
    qtbot.waitUntil(lambda: session._client.is_idle and len(said) >= 2)
    for folder in folders[:2]:
        assert f"Saved 3 files in {folder}." in said
        assert {path.suffix for path in folder.iterdir()} == {".png", ".npy", ".json"}
    told = warned[-1] if leave == "panel" else explored.panel.message
    assert str(tmp_path / "file") in told
    handler = session._client._worker._insight
    assert (handler._recording is None) == (leave == "panel")


def test_what_is_to_be_saved_is_saved_though_the_program_ends(
    explored: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    explored.show("maps")
    explored.wait(MapAnswer)
    (tmp_path / "file").write_text("")
    folders = [tmp_path / "first", tmp_path / "file", tmp_path / "second"]
    targets = iter(folders)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(next(targets)))
    explored.panel.chooser.choose(gate="input")  # under way, so that the others wait
    for _ in folders:
        explored.panel.save_button.click()
    explored.window.close()
    for folder in (folders[0], folders[2]):
        assert {path.suffix for path in folder.iterdir()} == {".png", ".npy", ".json"}
    assert str(tmp_path / "file") in caplog.text
