"""Projects of the command line: made by it, looked at on disk and in a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from app.document.edit import Edit
from app.document.label_map import LabelMap
from app.document.stroke import Box, Region
from app.session import LabelingSession
from app.session.stored_project import StoredProject
from app.storage.project_file import ProjectFile

Mdlstm = Callable[..., Any]


class Disk:
    """Looks at projects as they lie on disk, paints as the window does, and opens them."""

    @staticmethod
    def labels_in(project: Path, image: Path) -> np.ndarray | None:
        file = ProjectFile(project)
        stored = file.stored_labels(image)
        file.close()
        return stored.decode() if stored else None

    @staticmethod
    def paint(project: Path, image: Path, label: int, box: Box) -> None:
        """Paint a rectangle as the window does."""
        stored = StoredProject()
        stored.open(project)
        with Image.open(image) as opened:
            width, height = opened.size
        before = stored.labels_of(image)
        corrections = LabelMap.empty(height, width) if before is None else LabelMap(before)
        stored.project.set_corrections(image, corrections)
        stored.project.edit(image, Edit(Region(box, np.ones(box.shape, bool)), label, "paint"))
        assert stored.journal.store()
        stored.close()

    @staticmethod
    def open_in(session: LabelingSession, project: Path, qtbot: QtBot) -> None:
        session.open_paths([project])
        qtbot.waitUntil(lambda: session.document is not None)

    @staticmethod
    def is_labeled(session: LabelingSession, image: Path) -> bool:
        document = session.document
        return document is not None and document.path == image and document.prediction is not None


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def project(mdlstm: Mdlstm, tiny_dataset: Path, qtbot: QtBot) -> Path:
    """A project of the tiny dataset's images and classes, in which nothing is labeled."""
    path = tiny_dataset / "images" / "images.mdlp"
    made = mdlstm(
        "project", "new", tiny_dataset / "images", "--classes", tiny_dataset / "classes.json"
    )
    assert (made.code, made.out, made.err) == (0, f"{path}: 4 images.\n", "")
    return path


@pytest.fixture
def filled(mdlstm: Mdlstm, project: Path, tiny_dataset: Path) -> Path:
    """The project with the dataset's labels, but for those of the last image."""
    (tiny_dataset / "labels" / "scene_3.png").unlink()
    result = mdlstm("import", tiny_dataset, "--format", "dataset", "--into", project)
    assert result.code == 0, result.err
    return project


@pytest.fixture
def session(qtbot: QtBot, checkpoint_file: Path) -> Iterator[LabelingSession]:
    session = LabelingSession(checkpoint_file, device="cpu")
    yield session
    session.close()
