"""Which look is explained, and that all that is told is of that one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mdlstm_core.config import NetworkConfig
from mdlstm_core.insight.context import gradient, occlusion
from mdlstm_core.insight.contributions import contributions
from mdlstm_core.insight.look import Look, explained_look
from mdlstm_core.insight.queries import ContextQuery, Pixel
from mdlstm_core.insight.recording import record
from mdlstm_core.network import LabelingNetwork, build_network
from mdlstm_core.prediction import network_input

PIXEL = Pixel(25, 18)


def test_all_is_told_of_one_of_the_looks_of_a_prediction(
    network: LabelingNetwork, photo: NDArray[np.uint8]
) -> None:
    config = dataclasses.replace(network.config, scales=(0.6, 1.5), mirrored=True)
    several = build_network(config).eval()
    several.load_state_dict(network.state_dict())
    # As `prediction.looks` takes the first of them.
    working = network_input(photo, several, 0.6**2)
    height, width = working.shape[2:]
    assert (height, width) == (14, 19)
    pixel = PIXEL.moved((23, 31), (height, width))
    with torch.no_grad():
        full = several.enlarge(several(working), height, width)
    expected = full[0, :, pixel.y, pixel.x].numpy()

    recording = record(several, photo)
    assert recording.working_size == (height, width)
    np.testing.assert_allclose(contributions(recording, PIXEL).logits, expected, atol=1e-5)
    slopes = gradient(several, photo, ContextQuery(PIXEL, 1))
    assert slopes.values.shape == (height, width)
    hidden = occlusion(several, photo, ContextQuery(PIXEL, 1, patches=2))
    for found in (slopes, hidden):
        assert found.logit == pytest.approx(expected[1], abs=1e-5)


@pytest.mark.parametrize(
    ("scales", "mirrored", "look"),
    [
        ((1.0,), False, Look(1.0, 1)),
        ((1.0,), True, Look(1.0, 2)),
        ((0.75, 1.5), True, Look(0.75, 4)),
        ((0.5, 1.0, 1.5), False, Look(1.0, 3)),
        ((1.5, 0.5), False, Look(1.5, 2)),
    ],
)
def test_the_look_nearest_to_the_images_own_size_is_explained(
    tiny_config: NetworkConfig, scales: tuple[float, ...], mirrored: bool, look: Look
) -> None:
    config = dataclasses.replace(tiny_config, scales=scales, mirrored=mirrored)
    assert explained_look(config) == look


def test_it_says_at_which_size() -> None:
    assert str(Look(1.0, 4)) == "the look at the whole size, one of 4 whose mean the labels are"
    assert "the look at 0.75 of the size, one of 2" in str(Look(0.75, 2))
    assert str(Look(1.0, 1)) == "the one look that the labels come from"
