"""The learning panel in the real window tells of the model that serves, and of no other one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.document.class_table import ClassTable
from app.document.edit import Edit
from app.document.project_classes import ProjectClasses
from app.document.stroke import Box, Region
from app.session import LabelingSession
from app.views.main_window import MainWindow
from app.views.panels.figures_text import read_measured
from mdlstm_core.config import LabelClass
from mdlstm_core.learning.figures import Figures
from mdlstm_core.learning.measured import Measured

AT_FIRST = "Paint a correction"


def paint(session: LabelingSession, strokes: int) -> None:
    """Paint short strokes of two classes in turn, on a grid."""
    assert session.document is not None
    for at in range(strokes):
        top, left = 8 + 24 * (at // 6), 8 + 30 * (at % 6)
        box = Box(top, left, top + 4, left + 16)
        edit = Edit(Region(box, np.ones(box.shape, dtype=bool)), (6, 2)[at % 2], "paint")
        session.edit(session.document.path, edit)


def learn(qtbot: QtBot, session: LabelingSession) -> None:
    with qtbot.waitSignal(session.teacher.timeline.kept):
        session.learn(2)
    qtbot.settle(session)


def open_project(qtbot: QtBot, session: LabelingSession, image: Path) -> None:
    with qtbot.waitSignal(
        session.prediction_changed,
        check_params_cb=lambda: session.document is not None and session.document.path == image,
    ):
        session.open_paths([image])
    qtbot.settle(session)


@pytest.fixture
def elsewhere(photos: list[Path], tmp_path: Path) -> Path:
    """A photograph in another folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return Path(shutil.copy(photos[1], folder))


def test_figures_are_those_of_the_checkpoint_that_serves(
    qtbot: QtBot, small: MainWindow, photos: list[Path], elsewhere: Path
) -> None:
    session, panel = small.session, small.learning
    figures = panel.figures
    assert not figures.isVisible()
    paint(session, 30)
    learn(qtbot, session)
    assert panel.state.startswith("<b>Learned</b> after")
    assert panel.plot.losses
    of_learned, warning, names = figures.text, figures.warning, figures.matrix.names
    assert "Pixels right" in of_learned
    assert "before" in of_learned
    assert names

    session.teacher.go_back(1)
    qtbot.settle(session)
    assert panel.state.startswith("<b>Start:</b>")
    assert figures.text.startswith("No figures")
    assert (figures.warning, figures.matrix.isVisible(), panel.plot.losses) == ("", False, [])
    session.undo()
    qtbot.settle(session)
    assert panel.state.startswith("<b>Learned</b> from")
    assert (figures.text, figures.warning, figures.matrix.names) == (of_learned, warning, names)

    open_project(qtbot, session, elsewhere)
    assert panel.state.startswith(AT_FIRST)
    assert not figures.isVisible()
    assert figures.matrix.names == []
    open_project(qtbot, session, photos[0])
    assert panel.state.startswith("<b>Learned</b> from")
    assert figures.isVisible()
    assert (figures.text, figures.warning, figures.matrix.names) == (of_learned, warning, names)


def test_figures_go_by_the_names_of_today(qtbot: QtBot, small: MainWindow) -> None:
    session, figures = small.session, small.learning.figures
    paint(session, 30)
    learn(qtbot, session)
    name = session.classes[6].name
    assert name in figures.matrix.names
    session.edit_classes(session.project.classes.rename(6, "Haus"), "rename class")
    assert "Haus" in figures.matrix.names
    assert "Haus" in figures.text
    assert name not in figures.matrix.names
    timeline = small.learning_views.timeline
    timeline.choose(1, 2)
    timeline.compare.click()
    assert "IoU Haus" in timeline.comparison


def test_classes_that_were_merged_are_measured_as_one() -> None:
    model = ("sky", "tree", "grass", "gone")
    table = ClassTable.of([LabelClass(name, (0, 0, 0)) for name in model])
    table = table.remove(1, 2).remove(3).rename(2, "green")
    confusion = np.array([[5, 1, 0, 0], [0, 2, 3, 0], [1, 4, 8, 0], [0, 0, 0, 7]])
    stored = Measured(Figures(confusion, model, 14, 2), None, "It overfits.").to_json()
    found = read_measured(stored, ProjectClasses(table, model))
    assert found.figures is not None
    assert found.figures.classes == ("sky", "green", "gone")
    np.testing.assert_array_equal(found.figures.confusion, [[5, 1, 0], [1, 17, 0], [0, 0, 7]])
    assert (found.figures.strokes, found.figures.images) == (14, 2)
    assert found.overfits == "It overfits."


def test_damaged_figures_are_none() -> None:
    assert read_measured('{"confusion": 3', ProjectClasses(ClassTable(), ())).figures is None


def test_too_few_strokes_to_measure_are_said(qtbot: QtBot, small: MainWindow) -> None:
    paint(small.session, 2)
    learn(qtbot, small.session)
    figures = small.learning.figures
    assert figures.isVisible()
    assert "No stroke was set aside for measuring yet" in figures.warning
    assert figures.text == ""


def test_a_run_says_nothing_in_the_next_project(
    qtbot: QtBot, small: MainWindow, elsewhere: Path, long_learning: None
) -> None:
    session, panel = small.session, small.learning
    paint(session, 2)
    session.learn(60)
    with qtbot.waitSignal(session.progressed):
        pass
    open_project(qtbot, session, elsewhere)
    qtbot.waitUntil(lambda: not session.is_learning)
    assert panel.state.startswith(AT_FIRST)
    assert panel.plot.losses == []
    assert panel._learn.isEnabled()


def test_learned_is_said_when_it_is_stored(qtbot: QtBot, small: MainWindow) -> None:
    session, panel = small.session, small.learning
    states: list[str] = []
    session.teacher.learned.connect(lambda _learned: states.append(panel.state))
    session.teacher.timeline.kept.connect(lambda _number: states.append(panel.state))
    paint(session, 2)
    learn(qtbot, session)
    before, after = states
    assert before.startswith("<b>Storing</b>")
    assert after.startswith("<b>Learned</b> after")
