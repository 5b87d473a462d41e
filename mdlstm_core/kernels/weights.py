"""The weights of one 2D-LSTM layer, as every backend takes them.

Axes: D direction, I input feature, H hidden unit, G gate (5·H, blocks in `GATES` order).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NUMBER_TYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


class NotFiniteError(ValueError):
    """A layer's input holds NaN or infinity."""


class MDLSTMWeights(NamedTuple):
    """Weights of the four directions of a 2D-LSTM layer.

    Attributes:
        input_DIG: from the input to the gates (W in the paper).
        recurrent_row_DHG: from the hidden state of the cell one row before (H^y).
        recurrent_column_DHG: from the hidden state of the cell one column before (H^x).
        bias_DG: one bias a gate.
    """

    input_DIG: Tensor
    recurrent_row_DHG: Tensor
    recurrent_column_DHG: Tensor
    bias_DG: Tensor

    @property
    def units(self) -> int:
        """Hidden units a direction."""
        return self.recurrent_row_DHG.shape[-2]


class MDLSTMStates(NamedTuple):
    """Everything a layer computed, each D×B×R×C×H in image coordinates (see `STATES`)."""

    output: Tensor
    input: Tensor
    forget_row: Tensor
    forget_column: Tensor
    candidate: Tensor
    cell: Tensor
    hidden: Tensor


def check_shapes(input_BRCI: Tensor, weights: MDLSTMWeights) -> None:
    """Check that a backend can run.

    On a GPU the input's numbers are not looked at: that would wait for all that is queued.

    Raises:
        ValueError: an argument has another shape, type or device than the others ask for,
            or the input is not finite (`NotFiniteError`); the message names it, what was
            expected and what was given.
    """
    if input_BRCI.dim() != 4 or 0 in input_BRCI.shape:
        raise ValueError(
            "input_BRCI: expected batch × rows × columns × features, none of them zero, "
            f"given {tuple(input_BRCI.shape)}"
        )
    if input_BRCI.dtype not in NUMBER_TYPES:
        known = ", ".join(map(str, NUMBER_TYPES))
        raise ValueError(f"input_BRCI: expected one of {known}, given {input_BRCI.dtype}")
    features, units = input_BRCI.shape[3], weights.units
    expected = {
        "input_DIG": (4, features, 5 * units),
        "recurrent_row_DHG": (4, units, 5 * units),
        "recurrent_column_DHG": (4, units, 5 * units),
        "bias_DG": (4, 5 * units),
    }
    if units == 0:
        raise ValueError(
            "recurrent_row_DHG: expected at least one hidden unit, "
            f"given shape {tuple(weights.recurrent_row_DHG.shape)}"
        )
    for name, shape in expected.items():
        given = getattr(weights, name)
        if tuple(given.shape) != shape:
            raise ValueError(f"{name}: expected shape {shape}, given {tuple(given.shape)}")
        for of in ("dtype", "device"):
            if getattr(given, of) != getattr(input_BRCI, of):
                raise ValueError(
                    f"{name}: expected the {of} {getattr(input_BRCI, of)} of input_BRCI, "
                    f"given {getattr(given, of)}"
                )
    if input_BRCI.device.type == "cpu":
        _check_finite(input_BRCI.detach())


def _check_finite(input_BRCI: Tensor) -> None:
    """Check for NaN and infinity, in one pass unless the sum of large numbers overflows."""
    if not input_BRCI.sum().isfinite() and not (finite := input_BRCI.isfinite()).all():
        raise NotFiniteError(
            "input_BRCI: expected finite numbers, "
            f"given {int((~finite).sum())} that are not in shape {tuple(input_BRCI.shape)}"
        )
