"""What a model loses of what it knew when it learns a few strokes.

Five strokes where the shipped model is wrong, on three images of the dataset's training
list; before and after, the pixel accuracy on its validation list.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.annotator import next_stroke
from mdlstm_core.checkpoint import Checkpoint, load_checkpoint
from mdlstm_core.config import DEFAULT_MODEL, IGNORE_INDEX
from mdlstm_core.data.dataset import LabeledFolder, LabeledImage
from mdlstm_core.learning.fine_tuning import LearningOptions
from mdlstm_core.learning.lessons import CorrectedImage
from mdlstm_core.predictor import Predictor

_PAINTED, _STROKES = 3, 5


def measure(dataset: Path, images: int, seconds: float, seed: int) -> dict[str, Any]:
    """Return the accuracies before and after.

    Args:
        dataset: has the shipped model's classes, a train.txt and a val.txt.
        images: of val.txt to measure on, drawn by the seed; all if there are no more.
        seconds: that learning may take.
        seed: of the images.
    """
    generator = np.random.default_rng(seed)
    training = LabeledFolder(dataset, dataset / "train.txt")
    tested = LabeledFolder(dataset, dataset / "val.txt")
    shipped = Predictor(load_checkpoint(DEFAULT_MODEL))
    painted = [training.load(int(i)) for i in generator.permutation(len(training))[:_PAINTED]]
    corrected = _corrected(shipped, painted)
    chosen = generator.permutation(len(tested))[:images].tolist()
    start = time.perf_counter()
    learned = shipped.learn(lambda: corrected, LearningOptions(seconds=seconds)).checkpoint
    took = time.perf_counter() - start
    before, after = (_accuracy(c, tested, chosen) for c in (shipped.checkpoint, learned))
    return {
        "dataset": dataset.name,
        "images": len(chosen),
        "strokes": _STROKES,
        "before": before,
        "after": after,
        "learn_seconds": took,
    }


def _corrected(model: Predictor, painted: Sequence[LabeledImage]) -> list[CorrectedImage]:
    strokes = [np.full(sample.labels.shape, IGNORE_INDEX, dtype=np.uint8) for sample in painted]
    said = [model.predict(sample.image).label_map for sample in painted]
    for number in range(_STROKES):
        place = number % len(painted)
        stroke = next_stroke(painted[place].labels, said[place], strokes[place])
        if stroke is not None:
            strokes[place][stroke] = painted[place].labels[stroke]
    return [
        CorrectedImage(sample.image, labels)
        for sample, labels in zip(painted, strokes, strict=True)
    ]


def _accuracy(checkpoint: Checkpoint, tested: LabeledFolder, chosen: Sequence[int]) -> float:
    predictor, right, known = Predictor(checkpoint), 0, 0
    for index in chosen:
        image, truth = tested.load(index)
        counted = truth != IGNORE_INDEX
        right += int((predictor.predict(image).label_map == truth)[counted].sum())
        known += int(counted.sum())
    return right / known
