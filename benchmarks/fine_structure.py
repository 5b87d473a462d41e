"""How thin a structure the `scene` network can label, with its fine path and without.

    python -m benchmarks.fine_structure

Both networks learn from scratch, from the same drawn pictures: dark lines and rings on a
light ground that wavers. What belongs to a structure is easy to say; where it is takes cells
as small as it is thin. Measured is one look at the picture's own size, on pictures that were
not learned from, all of one width at a time.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import NamedTuple
from unittest import mock

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.ablated import WithoutFinePath
from mdlstm_core.config import NetworkConfig
from mdlstm_core.devices import select_device
from mdlstm_core.metrics import confusion_matrix, scores
from mdlstm_core.network import LabelingNetwork, SceneNetwork, build_network
from mdlstm_core.prediction import predict
from mdlstm_core.presets import preset
from mdlstm_core.training.learner import Learner
from mdlstm_core.training.options import TrainingOptions
from mdlstm_core.training.processes import ALONE
from mdlstm_core.training.sources import Batch

WIDTHS = (1, 3, 5, 9, 15)
"""Pixels across the structures of a picture."""

KINDS: dict[str, type[SceneNetwork]] = {
    "with the fine path": SceneNetwork,
    "without": WithoutFinePath,
}
NAMES = ("ground", "structure")
_SIDE, _BATCH, _MEASURED, _HELD_OUT = 128, 4, 20, 1_000_003


class Picture(NamedTuple):
    """An image H×W×3 and the class of each of its pixels, an index into `NAMES`, H×W."""

    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]


def config() -> NetworkConfig:
    """Return the preset for two classes, with one look; without dropout in so short a training."""
    whole = preset("scene", len(NAMES))
    return dataclasses.replace(whole, scales=(1.0,), mirrored=False, dropout=0.0)


def draw(width: int, generator: Generator) -> Picture:
    """Draw a picture whose structures are `width` pixels wide: two lines and a ring."""
    places = np.moveaxis(np.indices((_SIDE, _SIDE)), 0, -1).astype(np.float64)
    ends, center = generator.uniform(0, _SIDE, (2, 2, 2)), generator.uniform(20, _SIDE - 20, 2)
    radius = generator.uniform(18, 32)
    # Not by OpenCV, whose lines of three pixels are up to five wide.
    distance = np.abs(np.linalg.norm(places - center, axis=-1) - radius)
    for begin, end in ends:
        distance = np.minimum(distance, _distance(places, begin, end))
    truth = (distance < width / 2).astype(np.uint8)
    ground = cv2.resize(generator.uniform(140, 220, (5, 5, 3)), (_SIDE, _SIDE))
    image = np.where(truth[..., None] == 1, generator.uniform(30, 100, 3), ground)
    image += generator.normal(0, 15, image.shape)
    return Picture(image.clip(0, 255).astype(np.uint8), truth)


def _distance(
    places: NDArray[np.float64], begin: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each place's distance from a line between two points, H×W."""
    along = end - begin
    share = ((places - begin) @ along / (along @ along)).clip(0, 1)
    distance: NDArray[np.float64] = np.linalg.norm(
        places - begin - share[..., None] * along, axis=-1
    )
    return distance


def trained(kind: type[SceneNetwork], steps: int, seed: int = 0) -> LabelingNetwork:
    """Return a network of this kind that has learned from scratch for so many steps."""
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    with mock.patch("mdlstm_core.network.SceneNetwork", kind):
        network = build_network(config()).to(select_device().device)
        learner = Learner(network, TrainingOptions(batch=_BATCH, seed=seed), steps, ALONE)
    learner.class_weights = [torch.ones(len(NAMES), device=select_device().device)]
    for step in range(steps):
        pictures = [draw(int(generator.choice(WIDTHS)), generator) for _ in range(_BATCH)]
        images = torch.from_numpy(np.stack([picture.image for picture in pictures]))
        truths = torch.from_numpy(np.stack([picture.truth for picture in pictures]))
        learner.learn(Batch(images, (truths,)), step)
    return learner.average.eval()


def measured(network: LabelingNetwork, width: int) -> tuple[float, float]:
    """Return what share of structures of this width is found, and their IoU, 0 to 1."""
    generator = np.random.default_rng(_HELD_OUT + width)
    confusion = np.zeros((len(NAMES), len(NAMES)), np.int64)
    for _ in range(_MEASURED):
        image, truth = draw(width, generator)
        confusion += confusion_matrix(truth, predict(network, image).label_map, len(NAMES))
    found = scores(confusion, NAMES)["per_class"]["structure"]
    return found["accuracy"], found["iou"]


def main() -> None:
    """Train both networks and print the table."""
    parser = argparse.ArgumentParser(description="How thin a structure scene can label.")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    networks = [trained(kind, given.steps, given.seed) for kind in KINDS.values()]
    print("| width | " + " | ".join(f"{name}: found | IoU" for name in KINDS) + " |")
    print("|" + "---|" * (1 + 2 * len(KINDS)))
    for width in WIDTHS:
        figures = [100 * value for network in networks for value in measured(network, width)]
        print(f"| {width} | " + " | ".join(f"{value:.1f}" for value in figures) + " |")


if __name__ == "__main__":
    main()
