"""What a gesture came to is worked out in a thread: order, leaving, undo, failures."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.document.class_table import ClassTable
from app.document.edit import Edit
from app.document.stroke import Box, Region
from app.views.tools.tool import Outcome, Pending, ToolContext
from app.views.tools.wand import Wand
from mdlstm_core.config import IGNORE_INDEX

if TYPE_CHECKING:
    from conftest import Scene


class _Held(Wand):
    """A tool whose edit of the whole scene waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def at_pixel(self, x: int, y: int, context: ToolContext) -> Outcome:
        return Pending(partial(self._work, context), "Holding")

    def _work(self, context: ToolContext) -> Edit:
        self.go.wait(timeout=60)
        box = Box(0, 0, 120, 160)
        return Edit(
            Region(box, np.ones(box.shape, dtype=bool)), np.full(120 * 160, 2, np.uint8), ""
        )


@pytest.fixture
def held(scene: Scene) -> _Held:
    """Such a tool, clicked."""
    tool = _Held()
    scene.canvas.set_tool(tool)
    scene.drag(scene.window, [(5.0, 5.0)])
    assert scene.canvas.is_working
    return tool


def test_a_late_edit_leaves_strokes_alone_that_came_meanwhile(scene: Scene, held: _Held) -> None:
    scene.use("rectangle")
    scene.drag(scene.window, [(50.5, 40.5), (70.5, 55.5)])
    held.go.set()
    scene.wait()
    expected = np.full((120, 160), 2)
    expected[40:56, 50:71] = 0
    np.testing.assert_array_equal(scene.corrections, expected)


def test_edits_are_worked_out_in_the_order_they_began(scene: Scene, held: _Held) -> None:
    scene.canvas.set_tool(second := _Held())
    scene.drag(scene.window, [(5.0, 5.0)])
    second.go.set()
    assert not scene.is_set.any()
    held.go.set()
    scene.wait()
    assert scene.is_set.all()


def test_undo_drops_what_is_being_worked_out(qtbot: QtBot, scene: Scene, held: _Held) -> None:
    scene.use("rectangle")
    scene.drag(scene.window, [(50.5, 40.5), (70.5, 55.5)])
    before = scene.corrections
    for key in (Qt.Key.Key_Y, Qt.Key.Key_Z):  # there is nothing to make again
        qtbot.keyClick(scene.window, key, Qt.KeyboardModifier.ControlModifier)
    held.go.set()
    scene.wait()
    assert not scene.canvas.is_working
    np.testing.assert_array_equal(scene.corrections, before)
    qtbot.keyClick(scene.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not scene.is_set.any()


@pytest.mark.parametrize("change", ["delete", "merge"])
def test_no_class_leaves_while_something_of_it_may_be_worked_out(
    scene: Scene, held: _Held, change: str
) -> None:
    session = scene.window.session
    session.project.set_classes(ClassTable.of(scene.classes))
    before, warned = session.project.classes, list[str]()
    session.warned.connect(warned.append)
    take = (
        partial(session.merge_class, 2, 1)
        if change == "merge"
        else partial(session.delete_class, 2)
    )
    take()
    assert warned == ["What you drew is still being worked out; try again after that."]
    assert session.project.classes == before
    held.go.set()
    scene.wait()
    assert (scene.corrections == 2).all()
    assert session.journal.store()
    take()
    assert session.project.classes != before
    assert not (scene.corrections == 2).any()


@pytest.mark.parametrize("leave", ["close", "image", "project"])
def test_what_is_worked_out_is_waited_for_before_its_image_goes(
    scene: Scene, held: _Held, tmp_path: Path, leave: str
) -> None:
    document = scene.document
    scene.canvas.set_tool(second := _Held())
    scene.drag(scene.window, [(5.0, 5.0)])
    second.go.set()
    timer = threading.Timer(0.2, held.go.set)
    timer.start()
    if leave == "close":
        assert scene.window.close()
    else:
        elsewhere = tmp_path / leave if leave == "project" else tmp_path
        elsewhere.mkdir(exist_ok=True)
        scene.open(str(elsewhere / "other.png"))
        assert not scene.is_set.any()
    timer.join()
    assert (document.corrections.values == 2).all()
    assert not scene.canvas.is_working


@pytest.mark.parametrize("end", ["done", "dropped"])
def test_the_window_is_alive_while_another_image_waits_for_what_is_worked_out(
    qtbot: QtBot, scene: Scene, held: _Held, tmp_path: Path, end: str
) -> None:
    session, document, other = scene.window.session, scene.document, tmp_path / "other.png"
    Image.fromarray(np.zeros((120, 160, 3), np.uint8)).save(other)
    held_back: list[bool] = []
    may_leave = session.may_leave
    session.may_leave = lambda: held_back.append(may_leave()) or held_back[-1]
    session.open_paths([other])
    qtbot.waitUntil(lambda: held_back == [False])
    assert session.document is document
    scene.use("rectangle")
    scene.drag(scene.window, [(50.5, 40.5), (70.5, 55.5)])
    assert (document.corrections.values[40:56, 50:71] == 0).all()
    if end == "done":
        held.go.set()
    else:
        qtbot.keyClick(scene.window, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: session.document.path == other)
    held.go.set()
    rest = np.ones((120, 160), dtype=bool)
    rest[40:56, 50:71] = False
    expected = 2 if end == "done" else IGNORE_INDEX
    assert (document.corrections.values[rest] == expected).all()
    assert (document.corrections.values[~rest] == 0).all()
    assert (session.document.corrections.values == IGNORE_INDEX).all()


def test_superpixels_looked_for_ahead_are_not_waited_for(qtbot: QtBot, scene: Scene) -> None:
    scene.use("superpixels")
    qtbot.mouseMove(scene.canvas, scene.view(60, 50))
    assert scene.canvas.is_working
    scene.canvas.finish_work()
    assert not scene.canvas.is_working
    assert scene.stack.count() == 0


def test_a_computation_that_fails_is_said(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> Edit:
        raise MemoryError("too large")

    said: list[str] = []
    scene.canvas.work_failed.connect(said.append)
    monkeypatch.setattr(_Held, "_work", fail)
    scene.canvas.set_tool(_Held())
    scene.drag(scene.window, [(5.0, 5.0)])
    scene.wait()
    assert said == ["Holding failed, nothing was changed; see the log."]
    assert "too large" in caplog.text
    assert scene.stack.count() == 0


def test_says_what_is_under_way(qtbot: QtBot, scene: Scene, held: _Held) -> None:
    qtbot.waitUntil(scene.canvas._busy.isVisible)
    assert scene.canvas._busy.text() == "Holding … Esc drops it"
    qtbot.keyClick(scene.window, Qt.Key.Key_Escape)
    assert not scene.canvas._busy.isVisible()
    held.go.set()
