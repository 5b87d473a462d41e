"""Which model is the one before the last learning, whatever came of that and followed it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.inference.insight_messages import PairAnswer, PairRequest
from mdlstm_core.checkpoint import Checkpoint, save_checkpoint
from mdlstm_core.config import NetworkConfig
from mdlstm_core.insight.queries import Pixel

PLACE = Pixel(30, 60)
NONE = "has not learned since this project was opened"


class Learner:
    """The window with the comparison in front, and the ways in which a learning may end."""

    def __init__(
        self, explored: Any, qtbot: QtBot, drag: Callable[..., None], until_learned: Any
    ) -> None:
        self._explored, self._qtbot, self._until_learned = explored, qtbot, until_learned
        self.window, self.session = explored.window, explored.window.session
        explored.show("compare")
        self.window.learning._seconds.setValue(3)
        self.window.classes.choose(2)
        drag(self.window, [(PLACE.x - 9, PLACE.y), (PLACE.x + 9, PLACE.y)])

    def learn(self) -> None:
        """Learn to the end."""
        with self._until_learned(self.session):
            self.window.learning.ask()

    def cancel(self) -> None:
        """Begin to learn, and cancel when a first model on the way serves."""
        with self._until_learned(self.session):
            with self._qtbot.waitSignal(self.session.model_changed):
                self.window.learning.ask()
            self.session.teacher.cancel()

    def use(self, model: Path) -> None:
        """Choose another model."""
        with self._qtbot.waitSignal(self.session.model_changed):
            self.session.use_model(model)

    def go_back(self) -> None:
        """Let the first model of the timeline serve again."""
        with self._qtbot.waitSignal(self.session.model_changed):
            self.session.teacher.go_back(1)

    def undo(self) -> None:
        """Take the last step back, which changes the model."""
        with self._qtbot.waitSignal(self.session.model_changed):
            self._qtbot.keyClick(self.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)

    @property
    def before(self) -> object:
        """The model that the one which serves is compared with; None where it is said why not."""
        answers = self._explored.answers
        answers.clear()
        self._explored.panel.say_nothing()
        self._explored.panel.compare.refresh()
        if NONE in self._explored.panel.message:
            return None
        request = self._explored.wait(PairAnswer).request
        assert isinstance(request, PairRequest)
        return request.before


@pytest.fixture
def learner(explored: Any, qtbot: QtBot, drag: Callable[..., None], until_learned: Any) -> Learner:
    return Learner(explored, qtbot, drag, until_learned)


def test_a_cancelled_learning_is_none(learner: Learner) -> None:
    start = learner.session.model.source
    assert learner.before is None
    learner.cancel()
    assert learner.session.model.source == start
    assert learner.before is None
    learner.learn()
    first = learner.session.model.source
    assert first != start
    assert learner.before == start
    learner.cancel()
    assert learner.session.model.source == first
    assert learner.before == start
    learner.learn()
    assert learner.before == first


def test_a_chosen_model_has_none_before_it(
    learner: Learner,
    make_checkpoint: Callable[..., Checkpoint],
    scene_config: NetworkConfig,
    tmp_path: Path,
) -> None:
    start = learner.session.model.source
    learner.learn()
    assert learner.before == start
    learner.go_back()
    assert learner.before is None
    learner.undo()
    assert learner.before == start
    save_checkpoint(make_checkpoint(scene_config), tmp_path / "other.safetensors")
    learner.use(tmp_path / "other.safetensors")
    assert learner.before is None
