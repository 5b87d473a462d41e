"""Small random networks of both architectures, and their way over an image."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mdlstm_core.config import NetworkConfig
from mdlstm_core.insight.recording import Recording, record
from mdlstm_core.network import LabelingNetwork, build_network


@pytest.fixture(params=["byeon2015", "scene"])
def network(
    request: pytest.FixtureRequest, tiny_config: NetworkConfig, scene_config: NetworkConfig
) -> LabelingNetwork:
    """An untrained network whose biases are not all zero."""
    # Two features a group, so that group norm has something to norm in a single cell.
    scene = dataclasses.replace(scene_config, channels=(8, 8, 8, 16))
    config = tiny_config if request.param == "byeon2015" else scene
    torch.manual_seed(11)
    drawn = build_network(dataclasses.replace(config, working_pixels=3_000)).eval()
    with torch.no_grad():
        for name, parameter in drawn.named_parameters():
            if name.endswith("bias"):
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return drawn


@pytest.fixture
def recording(network: LabelingNetwork, photo: NDArray[np.uint8]) -> Recording:
    """The way of the network over the photo, 23×31."""
    return record(network, photo)


@pytest.fixture
def wide_photo() -> NDArray[np.uint8]:
    """A generated image with more pixels than the networks look at, 77×101."""
    return np.random.default_rng(2).integers(0, 256, (77, 101, 3), dtype=np.uint8)
