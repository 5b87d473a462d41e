"""The named configurations."""

from __future__ import annotations

import pytest

from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.network import build_network
from mdlstm_core.presets import PRESET_NAMES, preset


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_presets_that_label_images_can_be_built(name: str) -> None:
    assert build_network(preset(name, 5)).config.classes == 5


def test_pyramid_is_a_preset_of_volumes_only() -> None:
    config = preset("pyramid", 3)

    assert "pyramid" not in PRESET_NAMES
    assert NetworkConfig.from_json(config.to_json()) == config
    with pytest.raises(InputError, match="labels volumes"):
        build_network(config)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kernel_size": 4}, "odd size"),
        ({"channels": (1, 2)}, "one channel count"),
        ({"feedforward_units": ()}, "one feedforward layer between"),
    ],
)
def test_pyramids_that_cannot_be_built_are_refused(wrong: dict[str, object], said: str) -> None:
    values = preset("pyramid", 2).to_json() | wrong

    with pytest.raises(InputError, match=said):
        NetworkConfig.from_json(values)
