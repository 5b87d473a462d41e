"""The networks: their sizes, and what the architecture promises."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.insight.recording import record
from mdlstm_core.network import LabelingNetwork, build_network
from mdlstm_core.presets import PRESET_NAMES, preset

SIZES = [(1, 1), (1, 9), (17, 31), (16, 24)]


@pytest.mark.parametrize(
    ("name", "weights"), [("byeon2015-5x5", 172_570), ("byeon2015-3x3", 155_368)]
)
def test_published_weight_counts(name: str, weights: int) -> None:
    network = build_network(preset(name, 8))

    assert sum(parameter.numel() for parameter in network.parameters()) == weights


@pytest.mark.parametrize("config", ["tiny_config", "scene_config"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_logits_cover_images_of_any_size(
    config: str, height: int, width: int, request: pytest.FixtureRequest
) -> None:
    network = build_network(request.getfixturevalue(config)).eval()
    window, stride = network.config.window, network.output_stride

    with torch.no_grad():
        logits = network(torch.rand(2, 3, height, width))
        full = network.enlarge(logits, height, width)

    cells = window // stride
    assert logits.shape == (2, 3, -(-height // window) * cells, -(-width // window) * cells)
    assert full.shape == (2, 3, height, width)
    assert logits.isfinite().all()


@pytest.mark.parametrize("config", ["tiny_config", "scene_config"])
def test_padding_repeats_the_border(config: str, request: pytest.FixtureRequest) -> None:
    network = build_network(request.getfixturevalue(config)).eval()
    image = torch.rand(1, 3, 17, 31)
    window = network.config.window
    rows = torch.arange(-(-17 // window) * window).clamp(max=16)
    columns = torch.arange(-(-31 // window) * window).clamp(max=30)

    with torch.no_grad():
        torch.testing.assert_close(network(image), network(image[:, :, rows][:, :, :, columns]))


def logits_for(network: LabelingNetwork, image: Tensor, hidden: Tensor) -> Tensor:
    """Return the logits with the last layer's hidden states replaced."""

    def replace(_module: nn.Module, _inputs: object, _output: Tensor) -> Tensor:
        return hidden

    handle = network.sweeps[-1].register_forward_hook(replace)
    try:
        logits: Tensor = network(image)
    finally:
        handle.remove()
    return logits


@torch.no_grad()
def test_scene_logits_are_linear_in_the_last_hidden_states(scene_config: NetworkConfig) -> None:
    network = build_network(scene_config).eval()
    image, shape = torch.rand(1, 3, 16, 32), (4, 1, 2, 4, 3)
    first, second = torch.randn(shape), torch.randn(shape)

    nothing = logits_for(network, image, torch.zeros(shape))
    parts = [logits_for(network, image, hidden) - nothing for hidden in (first, second)]
    both = logits_for(network, image, first + second) - nothing

    torch.testing.assert_close(both, sum(parts), rtol=1e-4, atol=1e-5)
    assert parts[0].abs().max() > 1e-2


def test_convolutions_in_place_of_the_2d_lstm_see_only_their_neighbourhood(
    scene_config: NetworkConfig,
) -> None:
    reached = {}
    for recurrent in (True, False):
        config = dataclasses.replace(scene_config, recurrent=recurrent, lstm_units=(2, 3, 3))
        network = build_network(config).eval()
        # Norms reach over the whole image; without them only the layers between do.
        for name, module in list(network.named_modules()):
            if isinstance(module, nn.GroupNorm):
                network.set_submodule(name, nn.Identity())
        image = torch.rand(1, 3, 640, 64, requires_grad=True)
        network(image)[0, :, -1].sum().backward()
        assert image.grad is not None
        reached[recurrent] = bool(image.grad[0, :, 0].any())

    assert reached == {True: True, False: False}
    with pytest.raises(InputError, match="no 2D-LSTM layers"):
        record(network, np.zeros((40, 40, 3), np.uint8))


def test_context_reaches_across_the_image(tiny_config: NetworkConfig) -> None:
    network = build_network(tiny_config).eval()
    image = torch.rand(1, 3, 12, 12, requires_grad=True)

    network(image)[..., -1, -1].sum().backward()

    assert image.grad is not None
    assert image.grad[0, :, 0, 0].abs().max() > 0


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_presets_take_the_number_of_classes(name: str) -> None:
    assert preset(name, 3).classes == 3
    assert preset(name, 3).preset == name


def test_unknown_preset_is_refused() -> None:
    with pytest.raises(InputError, match="no preset 'abacus'; choose one of byeon2015-5x5"):
        preset("abacus", 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": 0},
        {"classes": 256},
        {"window": 0},
        {"lstm_units": ()},
        {"lstm_units": (0, 3)},
        {"feedforward_units": ()},
        {"architecture": "abacus"},
        {"architecture": "scene"},
    ],
)
def test_impossible_configuration_is_refused(
    tiny_config: NetworkConfig, changes: dict[str, object]
) -> None:
    with pytest.raises(InputError):
        NetworkConfig.from_json(tiny_config.to_json() | changes)


def test_configuration_survives_json(tiny_config: NetworkConfig) -> None:
    assert NetworkConfig.from_json(tiny_config.to_json()) == tiny_config
    with pytest.raises(InputError, match="does not fit"):
        NetworkConfig.from_json(tiny_config.to_json() | {"unknown": 1})
