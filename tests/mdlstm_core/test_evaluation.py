"""Measuring a network on a labeled folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.prediction import predict
from mdlstm_core.training.evaluation import evaluate


def test_figures_are_over_all_labeled_pixels(
    tiny_dataset: Path, tiny_checkpoint: Checkpoint
) -> None:
    dataset, network = LabeledFolder(tiny_dataset), tiny_checkpoint.network()
    done: list[int] = []

    figures = evaluate(network, dataset, done.append)

    hits = pixels = 0
    for index in range(len(dataset)):
        image, truth = dataset.load(index)
        known = truth != 255
        hits += int((predict(network, image).label_map == truth)[known].sum())
        pixels += int(known.sum())
    assert figures["pixel_accuracy"] == hits / pixels
    assert np.sum(figures["confusion"]) == pixels
    assert figures["images"] == 4
    assert figures["seconds_per_image"] > 0
    assert done == [1, 2, 3, 4]


def test_classes_of_another_order_are_mapped(
    tiny_dataset: Path, tiny_checkpoint: Checkpoint
) -> None:
    dataset, network = LabeledFolder(tiny_dataset), tiny_checkpoint.network()
    straight = np.array(evaluate(network, dataset)["confusion"])

    mapped = np.array(evaluate(network, dataset, dataset_class=[2, 0, 1])["confusion"])

    np.testing.assert_array_equal(mapped[:, [2, 0, 1]], straight)
    assert not np.array_equal(mapped, straight)
