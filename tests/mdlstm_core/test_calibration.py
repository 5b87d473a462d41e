"""Temperatures: found again where they are known, and without changing what is labeled."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mdlstm_core.config import IGNORE_INDEX, NetworkConfig
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.memory import ON_CPU
from mdlstm_core.metrics import CertaintyCounts
from mdlstm_core.network import build_network
from mdlstm_core.prediction import predict
from mdlstm_core.training.calibration import calibrate, prefer_rare_classes


@pytest.mark.parametrize("config_name", ["tiny_config", "scene_config"])
def test_scaled_logits_are_scaled_back(
    config_name: str, tiny_dataset: Path, request: pytest.FixtureRequest
) -> None:
    config: NetworkConfig = request.getfixturevalue(config_name)
    torch.manual_seed(1)
    network = build_network(config).eval()
    with torch.no_grad():  # a certain answer of one class: not the best, whatever the labels
        for layer in network.class_layers:
            layer.weight.mul_(3)
    dataset = LabeledFolder(tiny_dataset)
    image = dataset.load(0).image
    before = predict(network, image).label_map

    first = calibrate(network, dataset)
    again = calibrate(network, dataset)

    assert first > 1
    assert again == pytest.approx(1.0) or first == pytest.approx(4.0)
    np.testing.assert_array_equal(predict(network, image).label_map, before)


def test_calibration_goes_to_the_cpu_at_once(
    tiny_config: NetworkConfig, tiny_dataset: Path, short_memory: Any
) -> None:
    torch.manual_seed(1)
    network, dataset = build_network(tiny_config), LabeledFolder(tiny_dataset)
    expected = calibrate(copy.deepcopy(network), dataset)
    notices: list[str] = []
    short_memory.fails = [False, True]
    short_memory.seen.clear()

    assert calibrate(network, dataset, notices.append) == expected
    assert notices == ["", ON_CPU, "", ""]
    assert short_memory.seen == [(30, 40)] * 5


@pytest.mark.parametrize("config_name", ["tiny_config", "scene_config"])
def test_rare_classes_are_preferred_by_their_share(
    config_name: str, request: pytest.FixtureRequest
) -> None:
    config: NetworkConfig = request.getfixturevalue(config_name)
    network = build_network(config).eval()
    image = torch.rand(1, 3, 32, 48)
    shares = (0.9, 0.1, 0.0)
    with torch.no_grad():
        before = network(image).softmax(dim=1)
        prefer_rare_classes(network, shares, 0.5)
        after = network(image).softmax(dim=1)

    weights = torch.tensor([0.9, 0.1, 1e-6]).pow(-0.5).view(1, 3, 1, 1)
    expected = before * weights / (before * weights).sum(dim=1, keepdim=True)
    torch.testing.assert_close(after, expected, rtol=1e-3, atol=1e-5)


@given(
    truth=st.lists(st.integers(0, 2), min_size=1, max_size=60),
    seed=st.integers(0, 1000),
)
def test_calibration_error_equals_its_definition(truth: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.array([truth], dtype=np.uint8)
    labels[generator.random(labels.shape) < 0.2] = IGNORE_INDEX
    given_labels = generator.integers(0, 3, labels.shape).astype(np.uint8)
    confidence = generator.integers(0, 256, labels.shape).astype(np.uint8)
    counts = CertaintyCounts()
    half = labels.shape[1] // 2
    for part in (np.s_[:, :half], np.s_[:, half:]):
        counts.add(labels[part], given_labels[part], confidence[part])

    known = labels != IGNORE_INDEX
    expected = 0.0
    for number in range(15):
        inside = known & (np.minimum(confidence.astype(int) * 15 // 255, 14) == number)
        if inside.any():
            claimed = (confidence[inside] / 255).mean()
            right = (labels == given_labels)[inside].mean()
            expected += inside.sum() / known.sum() * abs(claimed - right)
    assert counts.calibration_error == pytest.approx(expected, abs=1e-9)
