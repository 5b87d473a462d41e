"""From an image of any size to its label map."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.network import build_network
from mdlstm_core.prediction import labels_of_looks, looks, most_probable, network_input, predict


def draw_probabilities(seed: int, classes: int, height: int, width: int) -> NDArray[np.float32]:
    logits = np.random.default_rng(seed).normal(size=(classes, height, width))
    return (np.exp(logits) / np.exp(logits).sum(axis=0)).astype(np.float32)


@given(
    seed=st.integers(0, 99),
    classes=st.integers(1, 5),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
@settings(max_examples=60, deadline=None)
def test_best_class_of_each_pixel(seed: int, classes: int, size: tuple[int, int]) -> None:
    probabilities = draw_probabilities(seed, classes, *size)

    found = most_probable(probabilities, np.zeros((*size, 3), np.uint8))

    np.testing.assert_array_equal(found.label_map, probabilities.argmax(axis=0))
    np.testing.assert_array_equal(found.confidence, np.round(probabilities.max(axis=0) * 255))
    assert (found.label_map.dtype, found.confidence.dtype) == (np.uint8, np.uint8)


def test_last_of_255_classes_can_win() -> None:
    probabilities = np.zeros((255, 2, 2), dtype=np.float32)
    probabilities[254] = 1

    assert (most_probable(probabilities, np.zeros((3, 3, 3), np.uint8)).label_map == 254).all()


def test_first_of_equal_classes_wins() -> None:
    probabilities = np.full((3, 2, 2), 1 / 3, dtype=np.float32)

    assert not most_probable(probabilities, np.zeros((2, 2, 3), np.uint8)).label_map.any()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (17, 31), (97, 203), (300, 2)])
def test_label_map_has_the_size_of_the_image(
    tiny_checkpoint: Checkpoint, height: int, width: int
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)

    found = predict(tiny_checkpoint.network(), image)

    assert found.label_map.shape == found.confidence.shape == (height, width)
    assert found.label_map.max() < 3


def test_weights_that_are_no_numbers_are_refused(
    tiny_checkpoint: Checkpoint, photo: NDArray[np.uint8]
) -> None:
    network = tiny_checkpoint.network()
    next(network.parameters()).data[0] = torch.nan

    with pytest.raises(InputError, match="its weights give no finite numbers"):
        predict(network, photo)


def test_small_images_are_seen_as_they_are(
    tiny_config: NetworkConfig, photo: NDArray[np.uint8]
) -> None:
    seen = network_input(photo[:, ::-1], build_network(tiny_config))

    expected = photo[:, ::-1].transpose(2, 0, 1)[np.newaxis].astype(np.float32) / 255
    np.testing.assert_allclose(seen.numpy(), expected, rtol=1e-6)


def test_large_images_are_seen_at_the_working_area(tiny_config: NetworkConfig) -> None:
    image = np.full((300, 400, 3), 51, dtype=np.uint8)

    seen = network_input(image, build_network(tiny_config))

    height, width = seen.shape[2:]
    assert abs(height * width / tiny_config.working_pixels - 1) < 0.03
    assert abs(width / height - 4 / 3) < 0.02
    np.testing.assert_allclose(seen.numpy(), 0.2, rtol=1e-6)


def test_extreme_shapes_keep_at_least_a_pixel(tiny_config: NetworkConfig) -> None:
    image = np.zeros((1, 50_000, 3), dtype=np.uint8)

    assert network_input(image, build_network(tiny_config)).shape[2] == 1


@pytest.mark.parametrize("size", [(20, 30), (17, 31)])
def test_mirrored_prediction_is_the_mean_of_two(
    scene_config: NetworkConfig, size: tuple[int, int]
) -> None:
    plain = build_network(scene_config).eval()
    mirrored = build_network(dataclasses.replace(scene_config, mirrored=True)).eval()
    mirrored.load_state_dict(plain.state_dict())
    image = np.random.default_rng(4).integers(0, 256, (*size, 3)).astype(np.uint8)
    flipped = np.ascontiguousarray(image[:, ::-1])

    with torch.no_grad():
        one, other = (looks(plain, i)[0].softmax(0).numpy() for i in (image, flipped))
    mean = (one + other[:, :, ::-1]) / 2
    found = predict(mirrored, image)
    np.testing.assert_array_equal(found.label_map, mean.argmax(axis=0))
    np.testing.assert_allclose(found.confidence, mean.max(axis=0) * 255, atol=0.51)
    turned = predict(mirrored, flipped)
    np.testing.assert_array_equal(turned.label_map[:, ::-1], found.label_map)


def test_scaled_prediction_is_the_mean_of_the_scales(scene_config: NetworkConfig) -> None:
    plain = build_network(scene_config).eval()
    scaled = build_network(dataclasses.replace(scene_config, scales=(0.5, 1.0, 1.5))).eval()
    scaled.load_state_dict(plain.state_dict())
    image = np.random.default_rng(5).integers(0, 256, (40, 64, 3)).astype(np.uint8)

    expected = []
    for size in ((20, 32), (40, 64), (60, 96)):
        method = cv2.INTER_AREA if size < (40, 64) else cv2.INTER_CUBIC
        seen = cv2.resize(image, size[::-1], interpolation=method)
        with torch.no_grad():
            logits = looks(plain, seen)
            if size != (40, 64):
                logits = functional.interpolate(logits, (40, 64), mode="bilinear", antialias=True)
        expected.append(logits[0].softmax(0).numpy())
    mean = np.mean(expected, axis=0)
    found = predict(scaled, image)

    np.testing.assert_array_equal(found.label_map, mean.argmax(axis=0))
    np.testing.assert_allclose(found.confidence, mean.max(axis=0) * 255, atol=0.51)


@pytest.mark.parametrize("scales", [(), (0.1,), (1.0, 5.0)])
def test_scales_out_of_range_are_refused(
    tiny_config: NetworkConfig, scales: tuple[float, ...]
) -> None:
    with pytest.raises(InputError, match=r"scales of 0\.25 to 4"):
        dataclasses.replace(tiny_config, scales=scales)


def test_a_look_that_would_not_fit_into_memory_is_refused_before_it_begins(
    scene_config: NetworkConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mdlstm_core.host_memory.host_memory", lambda: (8 << 30, 1 << 30))
    config = dataclasses.replace(scene_config, working_pixels=1_000_000, scales=(1.0, 2.0))
    network = build_network(config).eval()
    with pytest.raises(InputError) as error:
        predict(network, np.zeros((1000, 1000, 3), dtype=np.uint8))
    assert str(error.value) == (
        "Looking at an image of 2000×2000 pixels needs about 1.1 GiB of memory, and at most 512 "
        "MiB can be spared now; let the model look at fewer pixels."
    )
    # The usual looks are tried, whatever is free.
    monkeypatch.setattr("mdlstm_core.host_memory.host_memory", lambda: (1 << 20, 1 << 20))
    assert predict(network, np.zeros((60, 80, 3), dtype=np.uint8)).label_map.shape == (60, 80)


def test_entropy_is_that_of_the_probabilities() -> None:
    draws = np.random.default_rng(4).dirichlet(np.ones(3), size=(6, 8)).astype(np.float32)
    image = np.zeros((6, 8, 3), np.uint8)
    found = most_probable(np.ascontiguousarray(draws.transpose(2, 0, 1)), image)
    expected = -(draws * np.log(draws)).sum(axis=2) / np.log(3)
    np.testing.assert_allclose(found.entropy / 255, expected, atol=0.003)
    sure = np.zeros((3, 6, 8), np.float32)
    sure[1] = 1
    assert (most_probable(sure, image).entropy == 0).all()
    assert (most_probable(np.full_like(sure, 1 / 3), image).entropy == 255).all()


def test_looks_that_overflow_are_left_out() -> None:
    logits = torch.randn(3, 4, 6, 8, generator=torch.Generator().manual_seed(1))
    image = np.zeros((6, 8, 3), np.uint8)
    expected = labels_of_looks(logits[1:], image)
    logits[0, 2, 3, 4] = torch.nan

    found = labels_of_looks(logits, image)

    np.testing.assert_array_equal(found.label_map, expected.label_map)
    np.testing.assert_array_equal(found.confidence, expected.confidence)
    with pytest.raises(InputError, match="no finite numbers"):
        labels_of_looks(logits[:1], image)
