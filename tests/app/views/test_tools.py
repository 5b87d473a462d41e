"""Every tool of the registry in the real window, with real mouse events."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import Qt, QTimer
from pytestqt.qtbot import QtBot

from app.document.class_table import ClassTable
from app.views.tools import all_tools
from app.views.tools.options import OPTIONS
from app.views.tools.tool import ToolOptions, ToolSpec
from mdlstm_core.config import IGNORE_INDEX

if TYPE_CHECKING:
    from conftest import Scene

PATH = [(45.0, 42.0), (90.0, 45.0), (85.0, 80.0)]
EDITING = [spec for spec in all_tools() if spec.name != "pick"]
SLOW = [spec for spec in all_tools() if spec.name in ("superpixels", "scribble-cut")]


def _by_name(specs: Sequence[ToolSpec]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("spec", specs, ids=[spec.name for spec in specs])


def _perform(qtbot: QtBot, scene: Scene, spec: ToolSpec, *, shift: bool = False) -> None:
    """Do what the tool asks for: a drag, or clicks and Enter."""
    scene.use(spec.name)
    if spec.name == "polygon":
        for point in PATH:
            scene.drag(scene.window, [point], shift=shift)
        scene.canvas.grab()
        qtbot.keyClick(scene.canvas, Qt.Key.Key_Return)
    else:
        scene.drag(scene.window, PATH, shift=shift, release=False)
        scene.canvas.grab()  # what is shown meanwhile is drawn without a complaint
        qtbot.mouseRelease(scene.canvas, Qt.MouseButton.LeftButton, pos=scene.view(*PATH[-1]))
    scene.wait()


def test_every_tool_can_be_told_apart_and_explained() -> None:
    specs = all_tools()
    assert len(specs) == 17
    for attribute in ("name", "text", "shortcut", "order", "icon", "make"):
        assert len({getattr(spec, attribute) for spec in specs}) == len(specs), attribute
    assert [spec.order for spec in specs] == sorted(spec.order for spec in specs)
    for spec in specs:
        assert len(spec.hint) > 20
        assert set(spec.options) <= OPTIONS.keys()


def test_every_option_has_a_range_that_holds_its_default() -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(ToolOptions)}
    assert OPTIONS.keys() | {"label", "color"} == defaults.keys()
    assert {name for spec in all_tools() for name in spec.options} == OPTIONS.keys()
    for name, spec in OPTIONS.items():
        if name != "diameter":
            assert isinstance(defaults[name], bool) or defaults[name] in (spec.allowed or ())


@_by_name(EDITING)
def test_a_gesture_is_one_step_that_can_be_undone(
    qtbot: QtBot, scene: Scene, spec: ToolSpec
) -> None:
    if spec.name == "eraser":
        scene.accept_everything()
    before, steps = scene.corrections, scene.stack.count()
    _perform(qtbot, scene, spec)
    after = scene.corrections
    assert (after != before).any()
    assert scene.stack.count() == steps + 1
    assert scene.stack.undoText()
    scene.window.session.undo()
    np.testing.assert_array_equal(scene.corrections, before)
    scene.window.session.redo()
    np.testing.assert_array_equal(scene.corrections, after)


@_by_name(EDITING)
def test_locks_and_paint_only_hold(qtbot: QtBot, scene: Scene, spec: ToolSpec) -> None:
    session = scene.window.session
    session.edit_classes(ClassTable.of(scene.classes), "classes")
    if spec.name == "eraser":
        scene.accept_everything()
    before, shown = scene.corrections, scene.document.displayed

    def changed() -> np.ndarray:
        _perform(qtbot, scene, spec)
        found = scene.corrections != before
        if found.any():
            session.undo()
        np.testing.assert_array_equal(scene.corrections, before)
        return found

    free = changed()
    assert free.any()
    for label in np.unique(shown[free]).tolist():
        session.edit_classes(session.project.classes.lock(label, True), "lock")
        np.testing.assert_array_equal(changed(), free & (shown != label))
        session.undo()
        session.project.paint_only = frozenset({label})
        np.testing.assert_array_equal(changed(), free & (shown == label))
        session.project.paint_only = None
    session.project.paint_only = frozenset({IGNORE_INDEX})  # every pixel shows some class
    assert not changed().any()


@_by_name(EDITING)
def test_shift_takes_back_what_a_person_set(qtbot: QtBot, scene: Scene, spec: ToolSpec) -> None:
    scene.accept_everything()
    before = scene.corrections
    _perform(qtbot, scene, spec, shift=True)
    kept = scene.is_set
    assert kept.any()
    assert not kept.all()
    np.testing.assert_array_equal(scene.corrections[kept], before[kept])


@_by_name(all_tools())
def test_escape_leaves_no_trace(qtbot: QtBot, scene: Scene, spec: ToolSpec) -> None:
    scene.use(spec.name)
    scene.drag(scene.window, PATH, release=False)
    scene.canvas.grab()
    qtbot.keyClick(scene.window, Qt.Key.Key_Escape)
    qtbot.mouseRelease(scene.canvas, Qt.MouseButton.LeftButton, pos=scene.view(*PATH[-1]))
    qtbot.keyClick(scene.canvas, Qt.Key.Key_Return)
    scene.wait()
    assert not scene.is_set.any()
    assert scene.stack.count() == 0


@_by_name(SLOW)
def test_escape_drops_what_is_worked_out(scene: Scene, spec: ToolSpec) -> None:
    scene.use(spec.name)
    scene.drag(scene.window, PATH)
    assert scene.canvas.is_working
    assert scene.canvas.abort_gesture()
    assert not scene.canvas.is_working
    # The next one ends after the one that was dropped would have.
    scene.drag(scene.window, [(5.0, 5.0), (20.0, 5.0)])
    scene.wait()
    assert scene.stack.count() == 1
    assert not scene.is_set[70:, 75:].any()


@_by_name(SLOW)
def test_slow_tools_leave_the_window_alive(scene: Scene, spec: ToolSpec) -> None:
    scene.open("large.png", times=6)
    ticks, texts = [], []
    timer = QTimer(interval=1)
    timer.timeout.connect(lambda: ticks.append(scene.canvas.is_working))
    scene.canvas.work_changed.connect(texts.append)
    scene.use(spec.name)
    timer.start()
    scene.drag(scene.window, [(6 * x, 6 * y) for x, y in PATH])
    scene.wait()
    timer.stop()
    assert sum(ticks) > 20
    assert texts[0]
    assert texts[-1] == ""
    assert scene.is_set.any()


def test_picks_the_class_under_the_pointer(scene: Scene) -> None:
    picked: list[int] = []
    scene.canvas.label_picked.connect(picked.append)
    scene.use("pick")
    for point in ((5.0, 5.0), (50.0, 50.0), (-5.0, 5.0)):
        scene.drag(scene.window, [point])
    assert picked == [0, 1]
    assert scene.stack.count() == 0


@pytest.mark.parametrize(
    ("kind", "path"),
    [("scribble", [(45.0, 40.0), (90.0, 75.0)]), ("rectangle", [(28.0, 22.0), (145.0, 108.0)])],
)
def test_the_cut_finds_the_thing(scene: Scene, kind: str, path: list[tuple[float, float]]) -> None:
    scene.canvas.set_options(dataclasses.replace(scene.options, cut_from=kind, diameter=3))
    scene.use("scribble-cut")
    scene.drag(scene.window, path)
    scene.wait()
    thing = scene.labels == 1
    overlap = (scene.is_set & thing).sum() / (scene.is_set | thing).sum()
    assert overlap > 0.85


def test_accepting_keeps_what_a_person_set(scene: Scene) -> None:
    scene.use("rectangle")
    scene.drag(scene.window, [(50.5, 40.5), (70.5, 55.5)])
    for name in ("accept", "accept-region"):
        scene.use(name)
        scene.drag(scene.window, PATH)
    assert (scene.corrections[40:56, 50:71] == 0).all()
    others = scene.is_set
    others[40:56, 50:71] = False
    assert others.any()
    np.testing.assert_array_equal(scene.corrections[others], scene.labels[others])


def test_a_region_beyond_the_first_window_is_worked_out_in_a_thread(scene: Scene) -> None:
    scene.open("large.png", times=6)
    scene.use("fill")
    scene.drag(scene.window, [(300.0, 300.0)])
    assert scene.canvas.is_working
    scene.wait()
    np.testing.assert_array_equal(scene.is_set, scene.labels == 1)
    scene.use("fill-holes")
    scene.window.session.undo()
    scene.drag(scene.window, [(300.0, 300.0)])
    scene.wait()
    np.testing.assert_array_equal(scene.is_set, scene.labels == 2)


def test_superpixels_show_under_the_pointer(qtbot: QtBot, scene: Scene) -> None:
    scene.use("superpixels")
    plain = scene.canvas.grab().toImage()
    qtbot.mouseMove(scene.canvas, scene.view(60, 50))
    scene.wait()
    shown = scene.canvas.grab().toImage()
    assert shown != plain
    qtbot.mouseMove(scene.canvas, scene.view(60, 70))
    assert scene.canvas.grab().toImage() != shown
    assert not scene.is_set.any()
