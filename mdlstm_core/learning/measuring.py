"""Measuring a model that learns, on the strokes that were set aside."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.learning.figures import Figures
from mdlstm_core.learning.lessons import Lesson, label_map_of
from mdlstm_core.metrics import confusion_matrix
from mdlstm_core.network import LabelingNetwork

_MOST_IMAGES = 8
"""Measured at a time: those with the most strokes set aside."""


class Measuring:
    """Measures on what was set aside, and on what was learned of the same images.

    Args:
        lessons: what is learned, and what is set aside.
        names: of the labels.

    Attributes:
        before: figures of the model before; None if nothing was set aside.
        learned_accuracy: of the model measured last on learned strokes, 0 to 1.
        seconds: that measuring took at most; before, as long as it is likely to take.
    """

    def __init__(self, lessons: Sequence[Lesson], names: tuple[str, ...]) -> None:
        by_strokes = sorted(lessons, key=lambda lesson: -lesson.split.aside_strokes)
        self._lessons = [
            lesson for lesson in by_strokes[:_MOST_IMAGES] if lesson.split.aside_strokes
        ]
        self._names = names
        self.learned_accuracy = 0.0
        self.seconds = sum(lesson.seconds for lesson in self._lessons)
        self.before = self._figures([lesson.said_HW for lesson in self._lessons])

    @property
    def is_telling(self) -> bool:
        """Whether there is enough to choose the best model by."""
        return self.before is not None and not self.before.too_few

    def measure(self, network: LabelingNetwork) -> Figures | None:
        """Return the figures of a network; None if nothing was set aside."""
        start = time.monotonic()
        figures = self._figures([label_map_of(network, lesson) for lesson in self._lessons])
        self.seconds = max(self.seconds, time.monotonic() - start)
        return figures

    def _figures(self, said: Sequence[NDArray[np.uint8]]) -> Figures | None:
        if not self._lessons:
            return None
        classes = len(self._names)
        aside, learned = (np.zeros((classes, classes), dtype=np.int64) for _ in range(2))
        for lesson, label_map in zip(self._lessons, said, strict=True):
            aside += confusion_matrix(lesson.split.aside, label_map, classes)
            learned += confusion_matrix(lesson.split.learned, label_map, classes)
        self.learned_accuracy = float(learned.trace() / max(1, learned.sum()))
        strokes = sum(lesson.split.aside_strokes for lesson in self._lessons)
        return Figures(aside, self._names, strokes, len(self._lessons))
