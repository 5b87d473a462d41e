"""Measuring a network on a labeled dataset."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.kernels import select_kernel
from mdlstm_core.metrics import CertaintyCounts, confusion_matrix, scores
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.prediction import predict


def evaluate(
    network: LabelingNetwork,
    dataset: LabeledFolder,
    on_image: Callable[[int], None] = lambda _done: None,
    dataset_class: Sequence[int] | None = None,
    on_notice: Callable[[str], None] = lambda _notice: None,
) -> dict[str, Any]:
    """Return the figures of `metrics.scores`, `calibration_error` and more.

    Also `images`, their number, and `seconds_per_image`.

    Args:
        network: a network whose classes are those of the dataset.
        dataset: the images to label and their true labels.
        on_image: called with the number of images done.
        dataset_class: for each class of the network its index in the dataset; None where
            the order is the same.
        on_notice: called with the notice of each prediction, empty if it was made as usual.

    Raises:
        InputError: an image or its labels cannot be read.
        MemoryError: the computer's own memory does not suffice.
    """
    network.eval()
    # All images through one kernel: measuring again gives the same.
    select_kernel(device=next(network.parameters()).device, wait=True)
    names = [c.name for c in dataset.classes]
    lookup = np.arange(len(names)) if dataset_class is None else np.asarray(dataset_class)
    class_ids = lookup.astype(np.uint8)
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    certainty = CertaintyCounts()
    seconds = 0.0
    for index in range(len(dataset)):
        image, truth = dataset.load(index)
        start = time.perf_counter()
        # A figure must not depend on how much of the GPU's memory is free.
        predicted = predict(network, image, exact=True)
        seconds += time.perf_counter() - start
        on_notice(predicted.notice)
        label_map = class_ids[predicted.label_map]
        confusion += confusion_matrix(truth, label_map, len(names))
        certainty.add(truth, label_map, predicted.confidence)
        on_image(index + 1)
    return {
        **scores(confusion, names),
        "calibration_error": certainty.calibration_error,
        "images": len(dataset),
        "seconds_per_image": seconds / len(dataset),
    }
