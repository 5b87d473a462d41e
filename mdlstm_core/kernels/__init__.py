"""The 2D-LSTM operator: one contract, several backends that give the same numbers.

Each backend has `run` and `states`, as described in `reference`. One that does not take all
tensors also has `unfit(device, dtype)`, and one that must be made ready
`unavailable(dtype, wait=...)`: each returns None or why it cannot run, or not now. Those for
GPUs have `reach_gpu()`, which raises where they cannot be launched.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import torch

from mdlstm_core.errors import InputError
from mdlstm_core.kernels import compiled_wavefront, reference, wavefront
from mdlstm_core.kernels.weights import MDLSTMStates, MDLSTMWeights, NotFiniteError

__all__ = [
    "GPU_KERNELS",
    "KERNELS",
    "KernelChoice",
    "MDLSTMStates",
    "MDLSTMWeights",
    "NotFiniteError",
    "check_name",
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


def check_name(name: str, argument: str) -> None:
    """Check the name of a backend.

    Args:
        name: "auto" or of a backend.
        argument: what the user gave it as.

    Raises:
        InputError: there is no backend of that name.
    """
    names = [*KERNELS, *GPU_KERNELS]
    if name not in ("auto", *names):
        known = ", ".join(names)
        raise InputError(f"{argument}: expected auto or one of {known}, given {name!r}.")


def select_kernel(
    name: str = "auto",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    wait: bool = False,
) -> KernelChoice:
    """Return the backend for a device and a type of numbers.

    Size plays no part: on a CPU the compiled kernel was the fastest at every size measured (see
    docs/performance.md). A backend that is still being made ready, cannot be loaded, or does
    not take such tensors, is stood in for by torch; the log says once why, unless nobody asked
    for it and it only does not take them. One that is asked for by name is waited for.

    Args:
        name: of the backend; "auto" asks the environment variable MDLSTM_KERNEL, and
            without that, or where it is empty, takes the fastest.
        device: that the input is on.
        dtype: of the input and the weights.
        wait: until the fastest one is ready.

    Raises:
        InputError: there is no backend of that name, or no such kind of device.
    """
    device, why = _known_device(device), "asked for"
    check_name(name, "name")
    if name == "auto" and (asked := os.environ.get(ENVIRONMENT_VARIABLE)):
        check_name(asked, ENVIRONMENT_VARIABLE)
        name, why = asked, f"{ENVIRONMENT_VARIABLE} asks for it"
    is_forced = name != "auto"
    if not is_forced:
        if device.type not in _FASTEST:
            why = f"no kernel of our own was measured on {device.type}; "
            return KernelChoice("torch", wavefront, f"{why}{ENVIRONMENT_VARIABLE} can ask")
        name, why = _FASTEST[device.type], f"the fastest on {device.type}"
    module, missing = (KERNELS[name], None) if name in KERNELS else _load_triton(name)
    if module is not None:
        missing = _ask(module, "unfit", device, dtype)
        if missing is not None and is_forced:
            _say_unfit(name, missing)
        missing = missing or _ask(module, "unavailable", dtype, wait=wait or is_forced)
        if missing is None:
            return KernelChoice(name, module, why)
    is_provisional = missing == compiled_wavefront.BEING_MADE
    return KernelChoice("torch", wavefront, f"instead of {name}: {missing}", is_provisional)


def _known_device(device: torch.device | str) -> torch.device:
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"device: expected one that torch knows, such as cpu or cuda, given {device!r}."
        ) from error


def _ask(module: ModuleType, question: str, *given: object, **options: bool) -> str | None:
    """Return what a backend answers; None where it has no such function."""
    answer: Callable[..., str | None] = getattr(module, question, lambda *_, **__: None)
    return answer(*given, **options)


@lru_cache
def _say_unfit(name: str, why: str) -> None:
    """Say it once: a network passes here at every layer."""
    _log.warning("The kernel %s cannot be used, torch serves: %s", name, why)


@lru_cache
def _load_triton(name: str) -> tuple[ModuleType | None, str | None]:
    """Return a Triton backend, or None and why it cannot be loaded; tries once."""
    try:
        module = import_module(GPU_KERNELS[name])
        module.reach_gpu()
    # Whatever goes wrong in a foreign library, there is another backend.
    except Exception as error:
        failure = f"{type(error).__name__}: {error}".splitlines()[0]
        _log.warning("The Triton kernel cannot be used, torch serves: %s", failure)
        return None, failure
    return module, None
