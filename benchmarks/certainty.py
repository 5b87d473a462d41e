"""How sure ours is while it learns from strokes, and how right.

    python -m benchmarks.certainty DATASET --json FILE [--images 10] [--rounds 10] [--seed N]
        [--learner live] [--seconds S]

Strokes as in `benchmarks.learning`, but each learner corrects its own mistakes. After rounds 1, 5,
10, 20 and the last, over all pixels of the test images: the share that is right, the mean
probability of what is said, and the expected calibration error between them.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from benchmarks.annotator import first_strokes
from benchmarks.learners import SureLearner, sure_learners
from benchmarks.learning import MEASURED, Row, Task, correct, load_task, parser_of
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.metrics import CertaintyCounts


def run(
    task: Task, name: str, learner: SureLearner, rounds: int, on_row: Callable[[Row], None]
) -> None:
    """Let a learner learn from corrections of its own mistakes; hand on a row a measured round."""
    strokes = [first_strokes(sample.labels) for sample in task.labeled]
    for number in range(1, rounds + 1):
        learner.learn(strokes)
        if number in MEASURED or number == rounds:
            about = {"dataset": task.name, "learner": name, "round": number}
            on_row(about | _certainty(task, learner))
        said = {index: learner.predict(index) for index in range(len(strokes))}
        correct(task, said, strokes)


def _certainty(task: Task, learner: SureLearner) -> dict[str, float]:
    counts = CertaintyCounts()
    right, sure, pixels = 0, 0.0, 0
    for index, (_, truth) in enumerate(task.tested, start=len(task.labeled)):
        found = learner.prediction(index)
        known = truth != IGNORE_INDEX
        counts.add(truth, found.label_map, found.confidence)
        right += int((truth == found.label_map)[known].sum())
        sure += float(found.confidence[known].sum(dtype=np.float64)) / 255
        pixels += int(known.sum())
    return {
        "right": right / pixels,
        "sure": sure / pixels,
        "calibration_error": counts.calibration_error,
    }


def main() -> None:
    """Measure, and write the rows after each round."""
    arguments = parser_of(__doc__, 10, ("live", "learn")).parse_args()
    task = load_task(arguments.dataset, arguments.images, arguments.seed, None, None)
    images = [sample.image for sample in (*task.labeled, *task.tested)]
    rows: list[Row] = []

    def on_row(row: Row) -> None:
        rows.append(row)
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        print(
            f"{row['round']:3} {row['learner']:6}  right {row['right']:.3f}  "
            f"sure {row['sure']:.3f}  calibration error {row['calibration_error']:.3f}",
            flush=True,
        )

    makers = sure_learners(images, task.classes, arguments.seconds)
    for name in arguments.learner or makers:
        run(task, name, makers[name](), arguments.rounds, on_row)


if __name__ == "__main__":
    main()
