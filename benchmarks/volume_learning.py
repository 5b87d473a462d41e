"""Whether a PyraMiD-LSTM learns a stack: held-out slices against two plain classifiers.

    python -m benchmarks.volume_learning datasets/isbi2012_em

Trains on the stacks of consecutive slices that `train.txt` names, and measures on those of
`val.txt`, which touch none of the voxels trained on. The slices' names are their numbers.
So many steps, not so many minutes: a busy machine gives the same figures, later.
The plain classifiers: the commonest class; and the likeliest class of a voxel's grey value.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.metrics import confusion_matrix, scores
from mdlstm_core.presets import preset
from mdlstm_core.volumes.prediction import predict_volume
from mdlstm_core.volumes.training import LabeledVolume, VolumeOptions, train_volume


def stacks(dataset: LabeledFolder, shrink: int) -> list[LabeledVolume]:
    """Return the grey volumes of consecutive slices, scaled down by `shrink` within slices."""
    order = sorted(range(len(dataset)), key=lambda index: int(dataset.stems[index]))
    runs: list[list[int]] = []
    for index in order:
        if runs and int(dataset.stems[index]) == int(dataset.stems[runs[-1][-1]]) + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return [_stack(dataset, run, shrink) for run in runs]


def _stack(dataset: LabeledFolder, run: Iterable[int], shrink: int) -> LabeledVolume:
    images, labels = [], []
    for index in run:
        sample = dataset.load(index)
        size = (sample.labels.shape[1] // shrink, sample.labels.shape[0] // shrink)
        images.append(cv2.resize(sample.image[..., 0], size, interpolation=cv2.INTER_AREA))
        labels.append(cv2.resize(sample.labels, size, interpolation=cv2.INTER_NEAREST_EXACT))
    return LabeledVolume(np.stack(images)[..., np.newaxis], np.stack(labels).astype(np.uint8))


def by_grey_value(
    samples: Sequence[LabeledVolume], classes: int, volume_DHWC: NDArray[np.generic]
) -> NDArray[np.uint8]:
    """Give each voxel the class that its grey value, 0 to 255, has most often in `samples`."""
    counts = np.zeros((256, classes), dtype=np.int64)
    for sample in samples:
        known = sample.labels != IGNORE_INDEX
        grey, label = sample.volume[..., 0][known], sample.labels[known]
        np.add.at(counts, (grey.astype(np.int64), label.astype(np.int64)), 1)
    return counts.argmax(axis=1)[volume_DHWC[..., 0].astype(np.int64)].astype(np.uint8)


def show(
    name: str,
    truth: Sequence[LabeledVolume],
    given: Sequence[NDArray[np.uint8]],
    classes: Sequence[LabelClass],
) -> None:
    """Print the figures of one way to label."""
    confusion = sum(
        confusion_matrix(sample.labels.reshape(1, -1), labels.reshape(1, -1), len(classes))
        for sample, labels in zip(truth, given, strict=True)
    )
    assert isinstance(confusion, np.ndarray)
    figures = scores(confusion, [c.name for c in classes])
    shares = "  ".join(
        f"{100 * figures[key]:6.2f} %" for key in ("pixel_accuracy", "class_accuracy", "mean_iou")
    )
    print(f"{name:28}  {shares}", flush=True)


def train(
    samples: Sequence[LabeledVolume], classes: Sequence[LabelClass], options: argparse.Namespace
) -> Checkpoint:
    """Train, and say how long it took."""
    losses: list[float] = []
    start, processor = time.perf_counter(), time.process_time()
    checkpoint = train_volume(
        samples,
        classes,
        VolumeOptions(steps=options.steps, seconds=math.inf, seed=options.seed),
        on_progress=lambda _step, loss: losses.append(loss),
    )
    weights = sum(tensor.numel() for tensor in checkpoint.weights.values())
    seconds = time.perf_counter() - start
    tail = losses[-len(losses) // 10 :]
    print(f"{weights:,} weights, {len(losses)} steps in {seconds:.0f} s ", end="")
    print(f"({time.process_time() - processor:.0f} s of processor time), ", end="")
    print(f"loss {losses[0]:.3f} to {np.mean(tail):.3f}")
    return checkpoint


def main() -> None:
    """Train, then compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("dataset", type=Path, help="folder with images/, labels/, classes.json")
    parser.add_argument("--steps", type=int, default=600, help="of training (default: 600)")
    parser.add_argument("--shrink", type=int, default=2, help="of rows and columns (default: 2)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    seen = LabeledFolder(options.dataset, options.dataset / "train.txt")
    held_out = LabeledFolder(options.dataset, options.dataset / "val.txt")
    classes = seen.classes
    samples, truth = stacks(seen, options.shrink), stacks(held_out, options.shrink)
    for name, group in (("trained on", samples), ("held out", truth)):
        print(
            f"{name}: stacks of {[len(s.labels) for s in group]} slices {group[0].labels[0].shape}"
        )

    checkpoint = train(samples, classes, options)
    print(f"{'on the held-out slices':28}  {'pixels':>8}  {'classes':>8}  {'mean IoU':>8}")
    counts = np.bincount(np.concatenate([s.labels.ravel() for s in samples]), minlength=256)
    commonest = int(counts[:IGNORE_INDEX].argmax())
    show("commonest class", truth, [np.full_like(s.labels, commonest) for s in truth], classes)
    grey = [by_grey_value(samples, len(classes), s.volume) for s in truth]
    show("likeliest of the grey value", truth, grey, classes)
    start = time.perf_counter()
    given = [predict_volume(checkpoint, s.volume).labels for s in truth]
    show(preset("pyramid", 2).preset, truth, given, classes)
    voxels = sum(s.labels.size for s in truth)
    print(f"{(time.perf_counter() - start) / voxels * 1e6:.1f} µs a voxel to label")


if __name__ == "__main__":
    main()
