"""Parts of a pixel's logits against the network's own logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mdlstm_core.errors import InputError
from mdlstm_core.insight.contributions import contributions
from mdlstm_core.insight.queries import Pixel
from mdlstm_core.insight.recording import record
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.prediction import network_input

SIZES = [(23, 31), (16, 32), (1, 1), (5, 49), (77, 101)]
"""The last one is scaled down before the networks look at it."""


def image_of(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pixels_of(height: int, width: int) -> list[Pixel]:
    drawn = np.random.default_rng(5).integers(0, (width, height), (6, 2))
    corners = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)]
    return [Pixel(int(x), int(y)) for x, y in [*corners, *drawn]]


@torch.no_grad()
def own_logits(network: LabelingNetwork, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    working = network_input(image, network)
    return network.enlarge(network(working), *working.shape[2:])[0].numpy()


def without(network: LabelingNetwork, image: NDArray[np.uint8], direction: int) -> NDArray:
    """Return the logits with one direction of the last layer silenced."""

    def silence(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        output[direction] = 0
        return output

    handle = network.sweeps[-1].register_forward_hook(silence)
    found = own_logits(network, image)
    handle.remove()
    return found


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_parts_sum_to_the_logits(network: LabelingNetwork, height: int, width: int) -> None:
    image = image_of(height, width)
    expected, recording = own_logits(network, image), record(network, image)

    for pixel in pixels_of(height, width):
        found = contributions(recording, pixel)
        x, y = found.working_pixel
        np.testing.assert_allclose(found.logits, expected[:, y, x], atol=1e-5, rtol=0)
        parts = found.units_KDH.sum(axis=(1, 2)) + found.fine_K + found.bias_K
        np.testing.assert_allclose(parts, expected[:, y, x], atol=1e-5, rtol=0)
    assert np.abs(expected).max() > 0.1


@pytest.mark.parametrize(("height", "width"), [(23, 31), (77, 101)])
def test_part_of_a_direction_is_what_is_lost_without_it(
    network: LabelingNetwork, height: int, width: int
) -> None:
    image = image_of(height, width)
    whole, recording = own_logits(network, image), record(network, image)

    for direction in range(4):
        lost = whole - without(network, image, direction)
        for pixel in pixels_of(height, width):
            found = contributions(recording, pixel)
            x, y = found.working_pixel
            np.testing.assert_allclose(
                found.by_direction[:, direction], lost[:, y, x], atol=1e-5, rtol=0
            )
    assert np.abs(lost).max() > 1e-2


def test_bias_is_that_of_the_class_layers(
    network: LabelingNetwork, photo: NDArray[np.uint8]
) -> None:
    found = contributions(record(network, photo), Pixel(3, 4))

    biases = [layer.bias.detach().numpy() for layer in network.class_layers]
    np.testing.assert_allclose(found.bias_K, np.sum(biases, axis=0), atol=1e-7)
    assert found.fine_K.any() == (network.config.architecture == "scene")


def test_pixel_is_found_in_the_working_image(network: LabelingNetwork) -> None:
    recording = record(network, image_of(77, 101))
    height, width = recording.working_size

    assert height * width <= 3_100
    assert contributions(recording, Pixel(0, 0)).working_pixel == (0, 0)
    assert contributions(recording, Pixel(100, 76)).working_pixel == (width - 1, height - 1)
    assert contributions(recording, Pixel(50, 38)).working_pixel == (width // 2, height // 2)


@pytest.mark.parametrize("pixel", [Pixel(31, 0), Pixel(0, 23), Pixel(-1, 0)])
def test_pixel_outside_is_refused(
    network: LabelingNetwork, photo: NDArray[np.uint8], pixel: Pixel
) -> None:
    with pytest.raises(InputError, match="lies outside the image: it has columns 0 to 30 and rows"):
        contributions(record(network, photo), pixel)


def test_recording_without_logits_is_refused(
    network: LabelingNetwork, photo: NDArray[np.uint8]
) -> None:
    with pytest.raises(InputError, match="logits were not recorded"):
        contributions(record(network, photo, [1], logits=False), Pixel(0, 0))
