"""Measuring a network on a labeled dataset."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.metrics import confusion_matrix, scores
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.segmentation import segment


def evaluate(
    network: LabelingNetwork,
    dataset: LabeledFolder,
    on_image: Callable[[int], None] = lambda _done: None,
) -> dict[str, Any]:
    """Return the figures of `metrics.scores`, with `images` and `seconds_per_image`.

    Args:
        network: a network whose classes are those of the dataset, in their order.
        dataset: the images to label and their true labels.
        on_image: called with the number of images done.

    Raises:
        InputError: an image or its labels cannot be read.
    """
    network.eval()
    names = [c.name for c in dataset.classes]
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    seconds = 0.0
    for index in range(len(dataset)):
        image, truth = dataset.load(index)
        start = time.perf_counter()
        label_map = segment(network, image).label_map
        seconds += time.perf_counter() - start
        confusion += confusion_matrix(truth, label_map, len(names))
        on_image(index + 1)
    return {
        **scores(confusion, names),
        "images": len(dataset),
        "seconds_per_image": seconds / len(dataset),
    }
