"""A small photograph in the real window, labeled by the real model, and hands for the gates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, QPointF
from pytestqt.qtbot import QtBot
from skimage import data, transform

from app.inference.insight_messages import InsightAnswer, Refusal
from app.offscreen import point
from app.views.main_window import MainWindow
from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.data.images import read_image
from mdlstm_core.insight.queries import Pixel
from mdlstm_core.predictor import Predictor

_Answer = TypeVar("_Answer", bound=InsightAnswer)


class Explored:
    """The window with an image open, and what the model answered."""

    def __init__(self, qtbot: QtBot, window: MainWindow, path: Path) -> None:
        self.window, self.panel, self.canvas = window, window.gates, window.canvas
        self.path, self.image = path, read_image(path)
        self.insight = window.session.insight
        self.answers: list[InsightAnswer] = []
        self.insight.answered.connect(self.answers.append)
        self._qtbot = qtbot

    def wait(
        self, kind: type[_Answer], accept: Callable[[_Answer], bool] = lambda _answer: True
    ) -> _Answer:
        """Wait for an answer of a kind since the last wait, one that is accepted."""

        def found() -> list[_Answer]:
            return [a for a in self.answers if isinstance(a, kind) and accept(a)]

        self._qtbot.waitUntil(lambda: bool(found()))
        answer = found()[-1]
        self.answers.clear()
        return answer

    def refused(self) -> str:
        """Wait for a refusal and return it."""
        return self.wait(Refusal).reason

    def view(self, pixel: Pixel) -> QPoint:
        """Return where a pixel's middle is seen on the canvas."""
        place = self.canvas.transform.to_view(pixel.x + 0.5, pixel.y + 0.5)
        return QPointF(*place).toPoint()

    def point(self, pixel: Pixel) -> None:
        """Move the mouse to a pixel."""
        point(self.window, pixel.x + 0.5, pixel.y + 0.5)
        assert self.window._pixel == pixel

    def show(self, tab: str, mode: str = "over") -> None:
        """Bring a tab to the front, with its maps over the image."""
        self.panel.tabs.choose(tab)
        self.window.docks.show("Gates")
        self._qtbot.waitUntil(lambda: self.panel.is_seen)
        self.panel.mode.choose(mode)


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    """A real photograph, 100×80."""
    folder = tmp_path / "photos"
    folder.mkdir()
    small = transform.resize(data.rocket(), (80, 100), anti_aliasing=True)
    path = folder / "rocket.png"
    Image.fromarray((small * 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def explore(qtbot: QtBot, window: MainWindow) -> Callable[[Path], Explored]:
    """Return a function that opens an image and waits for its labels."""

    def opened(path: Path) -> Explored:
        with qtbot.waitSignal(window.session.prediction_changed):
            window.session.open_paths([path])
        return Explored(qtbot, window, path)

    return opened


@pytest.fixture
def explored(explore: Callable[[Path], Explored], photo_file: Path) -> Explored:
    """The window with the small photograph open and labeled."""
    return explore(photo_file)


@pytest.fixture
def predictor() -> Predictor:
    """The shipped model, to compare with."""
    return Predictor(load_checkpoint("scene"), "cpu")
