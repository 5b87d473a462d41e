"""The 2D-LSTM operator: one contract, several backends that give the same numbers."""

from __future__ import annotations

from types import ModuleType

from mdlstm_core.kernels import reference, wavefront
from mdlstm_core.kernels.weights import MDLSTMStates, MDLSTMWeights

__all__ = ["KERNELS", "MDLSTMStates", "MDLSTMWeights", "select_kernel"]

KERNELS: dict[str, ModuleType] = {"reference": reference, "torch": wavefront}
"""Each backend has `run` and `states`, as described in `reference`."""


def select_kernel(name: str = "torch") -> ModuleType:
    """Return the backend `name`.

    Raises:
        ValueError: there is no backend of that name.
    """
    if name not in KERNELS:
        raise ValueError(f"name: expected one of {', '.join(KERNELS)}, given {name!r}")
    return KERNELS[name]
