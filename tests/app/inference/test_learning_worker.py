"""Learning in its worker, without a thread: what the time that the user gave is spent on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.document.class_table import ClassTable
from app.document.project_classes import ProjectClasses
from app.inference import model_worker
from app.inference.messages import CorrectedFile, Learned, LearnRequest, Progress
from app.inference.model_worker import LearningWorker
from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.config import IGNORE_INDEX


@pytest.fixture
def request_of(
    checkpoint_file: Path, tiny_checkpoint: Checkpoint
) -> Callable[[float], LearnRequest]:
    """Makes a request to learn from two strokes in so many seconds."""
    image = checkpoint_file.with_name("a.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)).save(image)
    labels = np.full((32, 32), IGNORE_INDEX, np.uint8)
    labels[4:8, 4:20], labels[20:24, 4:20] = 0, 1
    classes = ClassTable.of(tiny_checkpoint.classes)
    known = ProjectClasses(classes, tuple(c.name for c in tiny_checkpoint.classes))
    files = (CorrectedFile(image, lambda: labels),)
    project = checkpoint_file.with_suffix(".mdlp")

    def ask(seconds: float) -> LearnRequest:
        return LearnRequest(project, lambda: checkpoint_file, files, known, seconds, "cpu")

    return ask


@pytest.mark.parametrize(("loading", "has_time"), [(0.0, True), (500.0, False)])
def test_the_time_that_loading_the_model_takes_is_part_of_the_limit(
    request_of: Callable[[float], LearnRequest],
    monkeypatch: pytest.MonkeyPatch,
    loading: float,
    has_time: bool,
) -> None:
    load, late = model_worker.load_model, [0.0]
    monotonic = time.monotonic

    def slowly(model: str | Path | bytes) -> Checkpoint:
        late[0] += loading
        return load(model)

    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + late[0])
    monkeypatch.setattr(model_worker, "load_model", slowly)
    worker, steps, ends = LearningWorker(), list[Progress](), list[Learned]()
    worker.progressed.connect(steps.append)
    worker.learned.connect(ends.append)
    worker.learn(request_of(400))
    assert len(ends) == 1
    assert bool(steps) == has_time
