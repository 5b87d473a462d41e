"""The 2D-LSTM operator: one contract, several backends that give the same numbers.

Each backend has `run` and `states`, as described in `reference`. One that must be made
ready, or that cannot run everywhere, also has `unavailable(dtype, wait=...)`, which returns
None or why it cannot run now.
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import torch

from mdlstm_core.kernels import compiled_wavefront, reference, wavefront
from mdlstm_core.kernels.weights import MDLSTMStates, MDLSTMWeights, NotFiniteError

__all__ = [
    "GPU_KERNELS",
    "KERNELS",
    "KernelChoice",
    "MDLSTMStates",
    "MDLSTMWeights",
    "NotFiniteError",
    "select_kernel",
]

_log = logging.getLogger(__name__)

ENVIRONMENT_VARIABLE = "MDLSTM_KERNEL"

KERNELS: dict[str, ModuleType] = {
    "reference": reference,
    "torch": wavefront,
    "compiled": compiled_wavefront,
}

_FASTEST = {"cpu": "compiled"}
"""The backend to use on each type of device, torch where there is none."""

GPU_KERNELS = {
    "triton": "mdlstm_core.kernels.triton_wavefront",
    "triton-persistent": "mdlstm_core.kernels.triton_persistent",
}
"""For CUDA GPUs, when asked for: not measured on one yet. Their modules, imported only then."""


class KernelChoice(NamedTuple):
    """A backend and, for the user, why it was chosen.

    Attributes:
        name: of the backend.
        module: its code.
        reason: half a sentence.
        is_provisional: whether it stands in for one that is being made ready.
    """

    name: str
    module: ModuleType
    reason: str
    is_provisional: bool = False


def select_kernel(
    name: str = "auto",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    wait: bool = False,
) -> KernelChoice:
    """Return the backend for a device and a type of numbers.

    Size plays no part: on a CPU the compiled kernel was the fastest at every size measured (see
    docs/performance.md). A backend that is still being made ready, or cannot be loaded,
    is stood in for by torch; the log says once why. One that is asked for by name is
    waited for.

    Args:
        name: of the backend; "auto" asks the environment variable MDLSTM_KERNEL, and
            without that takes the fastest.
        device: that the input is on.
        dtype: of the input and the weights.
        wait: until the fastest one is ready.

    Raises:
        ValueError: there is no backend of that name.
    """
    why = "asked for"
    if name == "auto" and (asked := os.environ.get(ENVIRONMENT_VARIABLE, "auto")) != "auto":
        name, why = asked, f"{ENVIRONMENT_VARIABLE} asks for it"
    given, wait = name, wait or name != "auto"
    if name == "auto":
        kind = torch.device(device).type
        if kind not in _FASTEST:
            why = f"no kernel of our own was measured on {kind}; {ENVIRONMENT_VARIABLE} can ask"
            return KernelChoice("torch", wavefront, why)
        name, why = _FASTEST[kind], f"the fastest on {kind}"
    if name in GPU_KERNELS:
        return _choose_triton(name, torch.device(device), dtype, why)
    if name not in KERNELS:
        names = ", ".join([*KERNELS, *GPU_KERNELS])
        raise ValueError(f"name: expected auto or one of {names}, given {given!r}")
    module = KERNELS[name]
    unavailable = getattr(module, "unavailable", None)
    missing = unavailable(dtype, wait=wait) if unavailable else None
    if missing is not None:
        is_provisional = missing == compiled_wavefront.BEING_MADE
        return KernelChoice("torch", wavefront, f"instead of {name}: {missing}", is_provisional)
    return KernelChoice(name, module, why)


def _choose_triton(name: str, device: torch.device, dtype: torch.dtype, why: str) -> KernelChoice:
    module, failure = _load_triton(name)
    if module is None:
        return KernelChoice("torch", wavefront, f"instead of {name}: {failure}")
    if device.type == "cpu" and not module.INTERPRETED:
        return KernelChoice("torch", wavefront, f"instead of {name}: it runs on GPUs only")
    if dtype not in module.DTYPES:
        return KernelChoice("torch", wavefront, f"instead of {name}: it has no {dtype}")
    return KernelChoice(name, module, why)


@lru_cache
def _load_triton(name: str) -> tuple[ModuleType | None, str]:
    """Return a Triton backend, or None and why it cannot be loaded; tries once."""
    try:
        return import_module(GPU_KERNELS[name]), ""
    except ImportError as error:
        _log.warning("The Triton kernel cannot be used, torch serves: %s", error)
        return None, str(error)
