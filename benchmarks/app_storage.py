"""How long a stroke takes until it is on disk, and how long the window's thread is held.

`python -m benchmarks.app_storage` prints the figures.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np

from app.document.edit import Edit, edit_of_stroke
from app.document.stroke import Stroke
from app.storage.changes import Change
from app.storage.journal import Failed, Journal, LetGo, Written

_SIDE = 8192
_DIAMETER = 64
_STROKES = 150


def run(strokes: int = _STROKES) -> dict[str, float]:
    """Paint strokes of a 64-pixel brush on an 8192×8192 image, one at a time.

    Returns:
        commit_p95_ms: from the edit to its acknowledgement by the journal, 95th percentile.
        commit_gui_max_ms: longest time that the window's thread was in the
            journal, recording a stroke or taking its receipt.
        commit_gui_processor_max_ms: what of it the thread worked, whoever else did.
    """
    from PySide6.QtCore import QEventLoop

    from app.document.label_map import LabelMap
    from app.session import stored_project
    from benchmarks.app_start import application
    from mdlstm_core.config import LabelClass

    running = application()
    held: list[tuple[float, float]] = []
    commits: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(stored_project, "Journal", _timed_journal(held)),
    ):
        stored = stored_project.StoredProject()
        stored.open(Path(folder) / "storage.mdlp")
        stored.use_model_classes([LabelClass("sky", (0, 0, 255)), LabelClass("road", (90, 90, 90))])
        image = Path(folder) / "large.png"
        stored.project.set_corrections(image, LabelMap.empty(_SIDE, _SIDE))
        stored.shown = image
        loop = QEventLoop()
        stored.journal.stored.connect(loop.quit)
        for edit in _edits(strokes):
            began = time.perf_counter()
            stored.project.edit(image, edit)
            while stored.journal.has_unsaved:
                loop.exec()
            commits.append(time.perf_counter() - began)
        stored.close()
    del running
    return {
        "commit_p95_ms": float(np.percentile(commits, 95)) * 1000,
        "commit_gui_max_ms": max(wall for wall, _ in held) * 1000,
        "commit_gui_processor_max_ms": max(worked for _, worked in held) * 1000,
    }


def _edits(count: int) -> Iterator[Edit]:
    """Yield strokes that wander over the image, as a hand does."""
    generator = np.random.default_rng(0)
    for number in range(count):
        steps = generator.uniform(-60, 60, (40, 2)).cumsum(axis=0)
        points = generator.uniform(500, _SIDE - 500, 2) + steps
        stroke = Stroke(tuple((float(x), float(y)) for x, y in points), _DIAMETER, number % 2)
        edit = edit_of_stroke(stroke, _SIDE, _SIDE)
        assert edit is not None
        yield edit


def _timed_journal(held: list[tuple[float, float]]) -> type[Journal]:
    """Return a journal that notes how long the window's thread is in it."""

    class TimedJournal(Journal):
        def record(self, change: Change) -> int:
            began = time.perf_counter(), time.thread_time()
            number = super().record(change)
            held.append((time.perf_counter() - began[0], time.thread_time() - began[1]))
            return number

        def _on_answered(self, answer: Written | Failed | LetGo) -> None:
            began = time.perf_counter(), time.thread_time()
            super()._on_answered(answer)
            held.append((time.perf_counter() - began[0], time.thread_time() - began[1]))

    return TimedJournal


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
