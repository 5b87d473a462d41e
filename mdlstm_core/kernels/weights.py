"""The weights of one 2D-LSTM layer and its directions, as every backend takes them.

Axes: D direction, I input feature, H hidden unit, G gate (5·H, blocks in `GATES` order).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor

NUMBER_TYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)

FLIPS: tuple[tuple[int, ...], ...] = ((), (2,), (1,), (1, 2))
"""Axes of a B×R×C×… tensor to flip so that each direction's sweep starts at the top left."""


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


def check_arguments(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float) -> None:
    """Check that a backend can run.

    On a GPU the input's numbers are not looked at: that would wait for all that is queued.

    Raises:
        ValueError: an argument has another shape, type or device than the others ask for,
            or the input is not finite (`NotFiniteError`); the message names it, what was
            expected and what was given.
    """
    check_input(input_BRCI)
    if not isinstance(weights, MDLSTMWeights):
        raise ValueError(f"weights: expected MDLSTMWeights, given {type(weights).__name__}")
    for name, weight in weights._asdict().items():
        _check_tensor(name, weight)
    if input_BRCI.dim() != 4 or 0 in input_BRCI.shape:
        raise ValueError(
            "input_BRCI: expected batch × rows × columns × features, none of them zero, "
            f"given {tuple(input_BRCI.shape)}"
        )
    if input_BRCI.dtype not in NUMBER_TYPES:
        known = ", ".join(map(str, NUMBER_TYPES))
        raise ValueError(
            f"input_BRCI: expected one of {known}, "
            f"given {input_BRCI.dtype}{of_shape(input_BRCI.shape)}"
        )
    _check_weights(input_BRCI, weights)
    check_forget_scale(forget_scale)
    if input_BRCI.device.type == "cpu":
        _check_finite(input_BRCI.detach())


def check_input(input_BRCI: Tensor) -> None:
    """Check that the input can be asked for its type and device, and has numbers.

    Raises:
        ValueError: it is no tensor, or none with numbers that all lie in memory.
    """
    _check_tensor("input_BRCI", input_BRCI)
    if input_BRCI.is_meta:
        raise ValueError(
            f"input_BRCI: expected a tensor with numbers, given meta{of_shape(input_BRCI.shape)}"
        )


def _check_tensor(name: str, given: object) -> None:
    shape = getattr(given, "shape", None)
    if not isinstance(given, Tensor):
        kind = type(given).__name__
        raise ValueError(f"{name}: expected a tensor, given {kind}{of_shape(shape)}")
    if given.layout != torch.strided:
        raise ValueError(f"{name}: expected a dense tensor, given {given.layout}{of_shape(shape)}")


def check_forget_scale(forget_scale: float) -> None:
    """Check the factor on the forget gates.

    Raises:
        ValueError: it is no finite number.
    """
    is_number = isinstance(forget_scale, Real)
    if not is_number or not math.isfinite(forget_scale):
        given = forget_scale if is_number else type(forget_scale).__name__
        raise ValueError(f"forget_scale: expected a finite number, given {given}")


def of_shape(shape: Iterable[int] | None) -> str:
    """Return what to add to a message where something other than the shape is wrong."""
    return "" if shape is None else f" of shape {tuple(shape)}"


def _check_weights(input_BRCI: Tensor, weights: MDLSTMWeights) -> None:
    """Check that the weights fit the input and one another."""
    # What most of them say, so that the one that is wrong is named.
    gates = Counter(weight.shape[-1] for weight in weights if weight.dim())
    units = gates.most_common(1)[0][0] // 5 if gates else 0
    if units == 0:
        raise ValueError(
            "recurrent_row_DHG: expected at least one hidden unit, "
            f"given shape {tuple(weights.recurrent_row_DHG.shape)}"
        )
    expected = {
        "input_DIG": (4, input_BRCI.shape[3], 5 * units),
        "recurrent_row_DHG": (4, units, 5 * units),
        "recurrent_column_DHG": (4, units, 5 * units),
        "bias_DG": (4, 5 * units),
    }
    for name, shape in expected.items():
        given = getattr(weights, name)
        if tuple(given.shape) != shape:
            raise ValueError(f"{name}: expected shape {shape}, given {tuple(given.shape)}")
        for of in ("dtype", "device"):
            if getattr(given, of) != getattr(input_BRCI, of):
                raise ValueError(
                    f"{name}: expected the {of} {getattr(input_BRCI, of)} of input_BRCI, "
                    f"given {getattr(given, of)}{of_shape(given.shape)}"
                )


def _check_finite(input_BRCI: Tensor) -> None:
    """Check for NaN and infinity, in one pass unless the sum of large numbers overflows."""
    if not input_BRCI.sum().isfinite() and not (finite := input_BRCI.isfinite()).all():
        raise NotFiniteError(
            "input_BRCI: expected finite numbers, "
            f"given {int((~finite).sum())} that are not in shape {tuple(input_BRCI.shape)}"
        )
