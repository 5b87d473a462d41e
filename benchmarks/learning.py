"""How fast ours learns from strokes, beside a random forest with the same strokes.

    python -m benchmarks.learning DATASET --json FILE [--images 10] [--rounds 20] [--seed N]
        [--list F] [--test-list F] [--learner NAME] [--seconds S] [--every-round]
        [--document docs/learning.md]
    python -m benchmarks.learning DATASET --json FILE --forgetting [--images 100]

A simulated annotator (`benchmarks.annotator`) draws one stroke in the largest region of each
class of each image, then, a round, one stroke an image in the largest region that is wrong.
All learners get the same strokes; whose mistakes are corrected goes round among them, from image
to image and from round to round, so that none is favoured. All are measured after rounds 1, 5,
10, 20 and the last, or after every one: mean IoU is over all pixels of the test images, and over
the unlabeled pixels of the labeled ones. Learning is timed as a whole, prediction as the mean an
image.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.annotator import first_strokes, next_stroke
from benchmarks.learners import Learner, learners
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.dataset import LabeledFolder, LabeledImage
from mdlstm_core.metrics import confusion_matrix, scores

Row = dict[str, Any]

MEASURED = (1, 5, 10, 20)
"""Rounds after which all learners are measured, and after the last one."""

LEARNERS = ("live", "learn", "learn-scratch", "random-forest")
_TEST_IMAGES = 20


class Task(NamedTuple):
    """What is labeled, and what is only tested on."""

    name: str
    classes: tuple[LabelClass, ...]
    labeled: list[LabeledImage]
    tested: list[LabeledImage]


def load_task(
    dataset: Path, images: int, seed: int, list_file: Path | None, test_list: Path | None
) -> Task:
    """Read the images; those that no list names are drawn by the seed, no image twice.

    Raises:
        InputError: a file is missing or damaged.
    """
    everything = LabeledFolder(dataset)
    lists = [
        LabeledFolder(dataset, path).stems if path else None for path in (list_file, test_list)
    ]
    named = {stem for stems in lists for stem in stems or ()}
    free = [stem for stem in everything.stems if stem not in named]
    drawn = [free[index] for index in np.random.default_rng(seed).permutation(len(free))]
    labeled = (
        lists[0] if lists[0] is not None else [drawn.pop() for _ in range(min(images, len(drawn)))]
    )
    tested = lists[1] if lists[1] is not None else drawn[:_TEST_IMAGES]
    place = {stem: index for index, stem in enumerate(everything.stems)}
    return Task(
        dataset.name,
        everything.classes,
        [everything.load(place[stem]) for stem in labeled],
        [everything.load(place[stem]) for stem in tested],
    )


def run(
    task: Task,
    rivals: dict[str, Learner],
    rounds: int,
    on_round: Callable[[list[Row]], None],
    measured: Sequence[int] = MEASURED,
) -> None:
    """Let all learn, round after round; hand on the rows of those that are measured."""
    strokes = [first_strokes(sample.labels) for sample in task.labeled]
    count = sum(len(np.unique(each[each != IGNORE_INDEX])) for each in strokes)
    labeled = len(task.labeled)
    for number in range(1, rounds + 1):
        rows = []
        mistaken: dict[int, NDArray[np.uint8]] = {}
        for place, (name, learner) in enumerate(rivals.items()):
            corrected = [i for i in range(labeled) if (number + i) % len(rivals) == place]
            if number in measured or number == rounds:
                found, seconds = _learned(learner, strokes, range(labeled + len(task.tested)))
                about = {"dataset": task.name, "learner": name, "round": number, "strokes": count}
                rows.append(about | _measured(task, list(found.values()), strokes) | seconds)
            else:
                found, _ = _learned(learner, strokes, corrected)
            mistaken |= {index: found[index] for index in corrected}
        if rows:
            on_round(rows)
        count += correct(task, mistaken, strokes)


def correct(
    task: Task, mistaken: Mapping[int, NDArray[np.uint8]], strokes: Sequence[NDArray[np.uint8]]
) -> int:
    """Draw one stroke more on each labeled image where it is most wrong; return how many.

    Args:
        task: what is labeled.
        mistaken: what was said of each labeled image, by its number.
        strokes: of each labeled image, so far; changed.
    """
    drawn = 0
    for index, (sample, painted) in enumerate(zip(task.labeled, strokes, strict=True)):
        stroke = next_stroke(sample.labels, mistaken[index], painted)
        if stroke is not None:
            painted[stroke] = sample.labels[stroke]
            drawn += 1
    return drawn


def _learned(
    learner: Learner, strokes: Sequence[NDArray[np.uint8]], images: Sequence[int]
) -> tuple[dict[int, NDArray[np.uint8]], dict[str, float]]:
    """Return what a learner says of some images, by their numbers, and how long it took."""
    start = time.perf_counter()
    learner.learn(strokes)
    learned = time.perf_counter()
    found = {index: learner.predict(index) for index in images}
    predicting = (time.perf_counter() - learned) / max(1, len(images))
    return found, {"learn_seconds": learned - start, "predict_seconds": predicting}


def _measured(
    task: Task, found: Sequence[NDArray[np.uint8]], strokes: Sequence[NDArray[np.uint8]]
) -> dict[str, float]:
    unlabeled = [
        np.where(painted == IGNORE_INDEX, sample.labels, np.uint8(IGNORE_INDEX))
        for sample, painted in zip(task.labeled, strokes, strict=True)
    ]
    count = len(unlabeled)
    return {
        "miou_labeled": _mean_iou(unlabeled, found[:count], task.classes),
        "miou_test": _mean_iou(
            [sample.labels for sample in task.tested], found[count:], task.classes
        ),
    }


def _mean_iou(
    truths: Sequence[NDArray[np.uint8]],
    found: Sequence[NDArray[np.uint8]],
    classes: Sequence[LabelClass],
) -> float:
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for truth, label_map in zip(truths, found, strict=True):
        confusion += confusion_matrix(truth, label_map, len(classes))
    return float(scores(confusion, [c.name for c in classes])["mean_iou"])


def main() -> None:
    """Measure, and write the rows after each round."""
    arguments = _arguments()
    if arguments.forgetting:
        from benchmarks.forgetting import measure

        row = measure(arguments.dataset, arguments.images, arguments.seconds, arguments.seed)
        arguments.json.write_text(json.dumps([row], indent=1), encoding="utf-8")
        print(json.dumps(row))
        return
    task = load_task(
        arguments.dataset, arguments.images, arguments.seed, arguments.list, arguments.test_list
    )
    images = [sample.image for sample in (*task.labeled, *task.tested)]
    rows: list[Row] = []

    def on_round(found: list[Row]) -> None:
        rows.extend(found)
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        for row in found:
            print(
                f"{row['round']:3} {row['learner']:14} {row['strokes']:4} strokes  "
                f"labeled {row['miou_labeled']:.3f}  test {row['miou_test']:.3f}  "
                f"learn {row['learn_seconds']:.2f} s  predict {row['predict_seconds']:.2f} s",
                flush=True,
            )

    with tempfile.TemporaryDirectory() as folder:
        makers = learners(images, task.classes, arguments.seconds, arguments.seed, Path(folder))
        rivals = {name: makers[name]() for name in arguments.learner or LEARNERS}
        measured = range(1, arguments.rounds + 1) if arguments.every_round else MEASURED
        run(task, rivals, arguments.rounds, on_round, measured)
    if arguments.document:
        from benchmarks.learning_curves import write_curves

        command = (
            f"python -m benchmarks.learning datasets/{task.name} --json rows.json --images "
            f"{len(task.labeled)} --rounds {arguments.rounds} --seed {arguments.seed} "
            f"--seconds {arguments.seconds:g}"
        ) + "".join(f" --learner {name}" for name in arguments.learner or ())
        write_curves(arguments.document, rows, len(task.labeled), len(task.tested), command)


def parser_of(text: str | None, rounds: int, learners: Sequence[str]) -> argparse.ArgumentParser:
    """Return what reads the arguments of a benchmark in which learners are corrected."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0] if text else "")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--json", type=Path, required=True, help="file to write the rows to")
    parser.add_argument("--images", type=int, default=10, help="to label (default: 10)")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learner", action="append", choices=learners, help="default: all")
    parser.add_argument("--seconds", type=float, default=20.0, help="of Learn (default: 20)")
    return parser


def _arguments() -> argparse.Namespace:
    parser = parser_of(__doc__, 20, LEARNERS)
    parser.add_argument("--list", type=Path, help="stems of the images to label")
    parser.add_argument("--test-list", type=Path, help="stems of the images to test on")
    parser.add_argument("--every-round", action="store_true", help="measure after every round")
    parser.add_argument("--document", type=Path, help="to draw the curves into")
    parser.add_argument("--forgetting", action="store_true", help="on val.txt, before and after")
    return parser.parse_args()


if __name__ == "__main__":
    main()
