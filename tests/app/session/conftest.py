"""A project on disk, without a window and a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.document.edit import Edit
from app.document.label_map import LabelMap
from app.document.stroke import Box, Region
from app.session.stored_project import StoredProject
from app.storage.project_file import ProjectFile
from mdlstm_core.config import LabelClass

SIZE = (600, 600)
CLASSES = [LabelClass("sky", (0, 0, 255)), LabelClass("road", (90, 90, 90))]


class Bench:
    """A stored project with one image, and what was said of it."""

    size = SIZE
    classes = CLASSES

    def __init__(self, folder: Path, history_bytes: int = 1 << 30) -> None:
        folder.mkdir(exist_ok=True)
        self.path, self.image = folder / "work.mdlp", folder / "a.png"
        self.stored = StoredProject(history_bytes)
        self.said: list[str] = []
        self.warned: list[str] = []
        self.stored.said.connect(self.said.append)
        self.stored.warned.connect(self.warned.append)
        self.stored.open(self.path)
        self.stored.use_model_classes(CLASSES)
        self.stored.shown = self.image
        labels = self.stored.labels_of(self.image)
        found = LabelMap.empty(*SIZE) if labels is None else LabelMap(labels)
        self.stored.project.set_corrections(self.image, found)

    @property
    def values(self) -> np.ndarray:
        corrections = self.stored.project.corrections(self.image)
        assert corrections is not None
        return corrections.values

    def paint(self, seed: int, side: int = 500) -> None:
        """Paint noise, which does not get smaller on disk."""
        labels = np.random.default_rng(seed).integers(0, 2**8 - 1, side * side).astype(np.uint8)
        region = Region(Box(0, 0, side, side), np.ones((side, side), bool))
        self.stored.project.edit(self.image, Edit(region, labels, "paint"))

    def on_disk(self) -> np.ndarray | None:
        file = ProjectFile(self.path)
        stored = file.stored_labels(self.image)
        file.close()
        return stored.decode() if stored else None


@pytest.fixture
def make(tmp_path: Path, qtbot: QtBot) -> Iterator[Callable[..., Bench]]:
    """Return a function that opens a project; all are closed at the end."""
    made: list[Bench] = []

    def new(folder: str = "work", history_bytes: int = 1 << 30) -> Bench:
        made.append(Bench(tmp_path / folder, history_bytes))
        return made[-1]

    yield new
    for bench in made:
        bench.stored.close()
