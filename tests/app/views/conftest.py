"""A small generated scene for tests of tools, without a model; small photographs with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, QPointF
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot
from skimage import data

from app.document.document import ImageDocument
from app.document.edit import Edit
from app.document.stroke import Box, Region
from app.session import LabelingSession
from app.views.main_window import MainWindow
from app.views.tools import all_tools
from app.views.tools.tool import ToolOptions
from mdlstm_core.config import IGNORE_INDEX, LabelClass

_CLASSES = tuple(
    LabelClass(name, color)
    for name, color in (("ground", (90, 60, 30)), ("thing", (200, 90, 20)), ("hole", (9, 9, 200)))
)


class Scene:
    """A ragged thing (label 1) with a hole and a speck (2) on the ground (0), in the window.

    Its labels are shown as the model's; nothing is set by a person yet.
    """

    classes = _CLASSES
    options = ToolOptions(diameter=9, label=0, color=QColor(90, 60, 30), superpixel_size=12)

    def __init__(self, qtbot: QtBot, window: MainWindow, folder: Path, drag: Callable[..., None]):
        self.window, self.canvas, self.drag = window, window.canvas, drag
        self._qtbot, self._folder = qtbot, folder
        self.stack = window.session.project.undo_stack
        self.open("scene.png")

    def open(self, name: str, times: int = 1) -> None:
        """Open the scene as an image file, each pixel `times` as large."""
        labels = np.zeros((120, 160), dtype=np.uint8)
        labels[30:100, 35:120] = 1
        labels[60:62, 120:140] = 1
        labels[84:92, 100:110] = 2
        labels[60:63, 60:63] = 2
        labels = labels.repeat(times, axis=0).repeat(times, axis=1)
        colors = np.array([(60, 90, 160), (210, 120, 40), (30, 200, 60)])
        noise = np.random.default_rng(2).integers(-9, 10, (*labels.shape, 1))
        path = self._folder / name
        Image.fromarray((colors[labels] + noise).astype(np.uint8)).save(path)
        session = self.window.session
        with self._qtbot.waitSignal(
            session.document_changed, check_params_cb=lambda d: d is not None and d.path == path
        ):
            session.open_paths([path])
        assert session.document is not None
        self.document: ImageDocument = session.document
        self.labels = labels
        self.document.set_prediction(labels, np.full_like(labels, 200))
        self.canvas.set_classes(_CLASSES)
        self.canvas.set_options(self.options)

    @property
    def corrections(self) -> np.ndarray:
        """What a person set, as it is now."""
        return self.document.corrections.snapshot()

    @property
    def is_set(self) -> np.ndarray:
        """Which pixels have a label of the person."""
        return self.corrections != IGNORE_INDEX

    def use(self, name: str) -> None:
        """Choose a tool of the registry."""
        (spec,) = (spec for spec in all_tools() if spec.name == name)
        self.canvas.set_tool(spec.make())

    def accept_everything(self) -> None:
        """Make every label that is displayed the person's."""
        box = Box(0, 0, self.document.height, self.document.width)
        whole = Region(box, np.ones(box.shape, dtype=bool))
        labels = self.document.displayed.ravel().copy()
        self.window.session.edit(self.document.path, Edit(whole, labels, "all"))

    def view(self, x: float, y: float) -> QPoint:
        """Return where a point of the image is seen."""
        return QPointF(*self.canvas.transform.to_view(x, y)).toPoint()

    def wait(self) -> None:
        """Wait for what is worked out in a thread."""
        self._qtbot.waitUntil(lambda: not self.canvas.is_working)


@pytest.fixture
def scene(
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    window: MainWindow,
    tmp_path: Path,
    drag: Callable[..., None],
) -> Scene:
    """The scene, open in the window."""
    monkeypatch.setattr(LabelingSession, "start_model", lambda _self: None)
    return Scene(qtbot, window, tmp_path, drag)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two small parts of photographs: quick for the model."""
    folder = tmp_path / "small"
    folder.mkdir()
    crops = [data.rocket()[200:360, 100:300], data.astronaut()[:150, :200]]
    paths = [folder / "a.png", folder / "b.png"]
    for path, crop in zip(paths, crops, strict=True):
        Image.fromarray(np.ascontiguousarray(crop)).save(path)
    return paths


@pytest.fixture
def small(
    qtbot: QtBot, quick_looks: None, window: MainWindow, photos: list[Path]
) -> Iterator[MainWindow]:
    """The window with both photographs open, the first one labeled by the model."""
    with qtbot.waitSignal(window.session.prediction_changed):
        window.session.open_paths(photos)
    yield window
    assert window.close()
