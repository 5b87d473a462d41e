"""The named network configurations."""

from __future__ import annotations

import dataclasses

from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError

_PRESETS = {
    config.preset: config
    for config in (
        NetworkConfig(
            preset="byeon2015-5x5",
            architecture="byeon2015",
            classes=8,
            window=5,
            lstm_units=(10, 20, 50),
            feedforward_units=(12, 30),
        ),
        NetworkConfig(
            preset="byeon2015-3x3",
            architecture="byeon2015",
            classes=8,
            window=3,
            lstm_units=(4, 20, 50),
            feedforward_units=(10, 30),
        ),
        NetworkConfig(
            preset="scene",
            architecture="scene",
            classes=8,
            window=16,
            lstm_units=(48, 48, 40),
            channels=(32, 64, 128, 160),
            forget_scale=0.5,
            dropout=0.1,
            mirrored=True,
            scales=(1.0, 2.0),
        ),
        NetworkConfig(
            preset="texture",
            architecture="byeon2015",
            classes=2,
            window=4,
            lstm_units=(16, 16),
            feedforward_units=(24,),
            forget_scale=0.5,
            working_pixels=400_000,
        ),
        NetworkConfig(
            preset="pyramid",
            architecture="pyramid",
            classes=2,
            window=1,
            lstm_units=(8, 8),
            feedforward_units=(12,),
            channels=(1,),
            kernel_size=3,
        ),
    )
}

PRESET_NAMES = tuple(name for name, config in _PRESETS.items() if config.architecture != "pyramid")
"""The presets that label images."""


def preset(name: str, classes: int) -> NetworkConfig:
    """Return the preset `name` for `classes` classes.

    Raises:
        InputError: there is no preset of that name, or the class count is out of range.
    """
    if name not in _PRESETS:
        raise InputError(f"There is no preset {name!r}; choose one of {', '.join(_PRESETS)}.")
    return dataclasses.replace(_PRESETS[name], classes=classes)
