"""Choosing the device a model runs on."""

from __future__ import annotations

from typing import NamedTuple

import torch

from mdlstm_core.config import DEVICE_NAMES
from mdlstm_core.errors import InputError


class DeviceChoice(NamedTuple):
    """A device and, for the user, why it was chosen."""

    device: torch.device
    reason: str


def select_device(name: str = "auto") -> DeviceChoice:
    """Return the device `name` stands for: the GPU if there is one, for "auto".

    Raises:
        InputError: the name is unknown, or a GPU was asked for and there is none.
    """
    if name not in DEVICE_NAMES:
        raise InputError(f"There is no device {name!r}; choose one of {', '.join(DEVICE_NAMES)}.")
    if name == "cpu":
        return DeviceChoice(torch.device("cpu"), "asked for")
    if torch.cuda.is_available():
        reason = "asked for" if name == "cuda" else "a CUDA GPU is present"
        return DeviceChoice(torch.device("cuda"), f"{reason}: {torch.cuda.get_device_name()}")
    why = (
        "this build of torch has no CUDA"
        if torch.version.cuda is None
        else "torch finds no CUDA GPU or driver"
    )
    if name == "cuda":
        raise InputError(f"The device cuda cannot be used: {why}; use --device cpu.")
    return DeviceChoice(torch.device("cpu"), why)
