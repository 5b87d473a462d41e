"""The 2D-LSTM on a CUDA GPU: one fused Triton kernel a diagonal, replayed as a CUDA graph.

The launches of a pass depend only on the shape. Their graph is recorded when a shape comes
for the second time; the kernels read the tensors' addresses from a small table, so that the
same graph serves tensors that lie anywhere, and nothing is copied into or out of fixed
buffers. Where a graph cannot be used, the launches are made one by one.

float32, and bfloat16 with the cell state and all sums in float32. The matrix units' tf32
is used only if torch is allowed to (`torch.set_float32_matmul_precision`).

Axes: D direction, N cell (image, row, column), B batch, R row, C column, I input feature,
H hidden unit, G gate (5·H, blocks in `GATES` order).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from mdlstm_core.kernels.triton_launch import (
    DTYPES,
    INTERPRETED,
    Pass,
    launch_pass,
    reach_gpu,
    unfit,
)
from mdlstm_core.kernels.weights import MDLSTMStates, MDLSTMWeights, check_arguments, of_shape

__all__ = ["Launch", "reach_gpu", "run", "run_with", "states", "states_with", "unfit"]

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


Launch = Callable[[Pass, Sequence[Tensor]], None]
"""A way to run a pass over a grid, as `launch_pass`."""


def run(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0) -> Tensor:
    """Return the hidden states D×B×R×C×H of the four directions, in image coordinates.

    Differentiable once in the input and all weights. See `reference.run`. If the GPU's
    memory does not suffice, the batch is halved, which gives the same; the log says so.

    Raises:
        ValueError: an argument does not fit, or is not finite.
        torch.OutOfMemoryError: the GPU's memory does not suffice (see `mdlstm_core.memory`).
    """
    return run_with(launch_pass, input_BRCI, weights, forget_scale)


def states(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0) -> MDLSTMStates:
    """Return all gates, cell and hidden states (see `run`), without gradients."""
    return states_with(launch_pass, input_BRCI, weights, forget_scale)


def run_with(
    launch: Launch, input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float
) -> Tensor:
    """Return what `run` does, with passes that run in another way."""
    _check(input_BRCI, weights, forget_scale)

    # `ctx.needs_input_grad` would say yes under `no_grad` too.
    trained = torch.is_grad_enabled() and any(t.requires_grad for t in (input_BRCI, *weights))

    def apply(part_BRCI: Tensor) -> Tensor:
        return _Layer.apply(part_BRCI, *weights, float(forget_scale), trained, launch)

    return _whole_or_halved(
        "forward",
        input_BRCI,
        lambda: apply(input_BRCI),
        lambda: torch.cat([apply(half) for half in _halves(input_BRCI)], dim=1),
    )


@torch.no_grad()
def states_with(
    launch: Launch, input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float
) -> MDLSTMStates:
    """Return what `states` does, with passes that run in another way."""
    _check(input_BRCI, weights, forget_scale)

    def of(part_BRCI: Tensor) -> MDLSTMStates:
        swept = _sweep(launch, part_BRCI, weights, float(forget_scale), keep_gates=True)
        packed = [*swept.gates_NDG.chunk(5, dim=2), swept.cell_NDH, swept.hidden_NDH]
        return MDLSTMStates(*(_to_grid(s, part_BRCI).to(part_BRCI.dtype) for s in packed))

    def halved() -> MDLSTMStates:
        first, second = (of(half) for half in _halves(input_BRCI))
        pairs = zip(first, second, strict=True)
        return MDLSTMStates(*(torch.cat(pair, dim=1) for pair in pairs))

    return _whole_or_halved("forward", input_BRCI, lambda: of(input_BRCI), halved)


class _Swept(NamedTuple):
    """What a sweep leaves behind; the gates after their nonlinearity, if they were kept."""

    gates_NDG: Tensor
    cell_NDH: Tensor
    hidden_NDH: Tensor


class _Layer(Function):
    """The whole layer, input B×R×C×I to hidden D×B×R×C×H."""

    @staticmethod
    def forward(
        ctx: Any,
        input_BRCI: Tensor,
        input_DIG: Tensor,
        recurrent_row: Tensor,
        recurrent_column: Tensor,
        bias_DG: Tensor,
        forget_scale: float,
        trained: bool,
        launch: Launch,
    ) -> Tensor:
        weights = MDLSTMWeights(input_DIG, recurrent_row, recurrent_column, bias_DG)
        swept = _sweep(launch, input_BRCI, weights, forget_scale, keep_gates=trained)
        if trained:
            ctx.save_for_backward(input_BRCI, *weights, *swept)
            ctx.forget_scale, ctx.launch = forget_scale, launch
        return _to_grid(swept.hidden_NDH, input_BRCI)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        input_BRCI, *saved = ctx.saved_tensors
        weights, swept = MDLSTMWeights(*saved[:4]), _Swept(*saved[4:])
        grad_NDH = grads[0].permute(1, 2, 3, 0, 4).flatten(0, 2)
        scale, launch = ctx.forget_scale, ctx.launch
        computed = _gradients(launch, grad_NDH, input_BRCI, weights, swept, scale)
        wanted = zip(computed, ctx.needs_input_grad[:5], strict=True)
        return (*(grad if needed else None for grad, needed in wanted), None, None, None)


def _sweep(
    launch: Launch,
    input_BRCI: Tensor,
    weights: MDLSTMWeights,
    forget_scale: float,
    *,
    keep_gates: bool,
) -> _Swept:
    """Run the wavefront in all four directions."""
    batch, rows, columns, features = input_BRCI.shape
    cells, units = batch * rows * columns, weights.units
    flat_NI = input_BRCI.reshape(cells, features)
    input_IG = weights.input_DIG.transpose(0, 1).reshape(features, -1)
    gates = torch.addmm(weights.bias_DG.flatten(), flat_NI, input_IG).view(cells, 4, 5 * units)
    hidden = gates.new_empty(cells, 4, units)
    cell = gates.new_empty(cells, 4, units, dtype=torch.float32)
    of_pass = Pass("forward", batch, rows, columns, units, gates.dtype, forget_scale, keep_gates)
    launch(of_pass, (gates, *_recurrent(weights), cell, hidden))
    return _Swept(gates, cell, hidden)


def _recurrent(weights: MDLSTMWeights) -> tuple[Tensor, Tensor]:
    """Return the recurrent weights as the kernels read them."""
    return _aligned(weights.recurrent_row_DHG), _aligned(weights.recurrent_column_DHG)


def _aligned(values: Tensor) -> Tensor:
    """Return the values in one block of memory whose address is a multiple of 16 bytes."""
    block = values.contiguous()
    return block.clone() if block.data_ptr() % 16 else block


def _to_grid(state_NDF: Tensor, input_BRCI: Tensor) -> Tensor:
    """Return a view D×B×R×C×F of a state."""
    return state_NDF.unflatten(0, input_BRCI.shape[:3]).permute(3, 0, 1, 2, 4)


def _gradients(
    launch: Launch,
    grad_NDH: Tensor,
    input_BRCI: Tensor,
    weights: MDLSTMWeights,
    swept: _Swept,
    forget_scale: float,
) -> list[Tensor]:
    """Return the gradients of the input and of the four weights, with less memory if need be."""

    def halved() -> list[Tensor]:
        of_input = _halves(input_BRCI)
        sizes = [half[..., 0].numel() for half in of_input]
        of_swept = zip(*(state.split(sizes) for state in swept), strict=True)
        (first, *of_weights), (second, *more) = (
            _backward(launch, grad, part, weights, _Swept(*state), forget_scale)
            for grad, part, state in zip(grad_NDH.split(sizes), of_input, of_swept, strict=True)
        )
        summed = [a + b for a, b in zip(of_weights, more, strict=True)]
        return [torch.cat([first, second]), *summed]

    return _whole_or_halved(
        "backward",
        input_BRCI,
        lambda: _backward(launch, grad_NDH, input_BRCI, weights, swept, forget_scale),
        halved,
    )


def _backward(
    launch: Launch,
    grad_NDH: Tensor,
    input_BRCI: Tensor,
    weights: MDLSTMWeights,
    swept: _Swept,
    forget_scale: float,
) -> list[Tensor]:
    """Return the gradients of the input and of the four weights."""
    batch, rows, columns, features = input_BRCI.shape
    gates, cell, hidden = (_aligned(state) for state in swept)
    grad_gates = torch.empty_like(gates)
    of_pass = Pass("backward", batch, rows, columns, weights.units, gates.dtype, forget_scale)
    inputs = (gates, *_recurrent(weights), cell, _aligned(grad_NDH))
    launch(of_pass, (*inputs, torch.empty_like(cell), grad_gates))
    del inputs
    flat_NG, flat_NI = grad_gates.flatten(1), input_BRCI.reshape(-1, features)
    grad_IG = flat_NI.transpose(0, 1) @ flat_NG
    grid_BRCDH = hidden.view(batch, rows, columns, 4, -1)
    grad_DNG = grad_gates.transpose(0, 1)
    by_axis = [
        torch.bmm(_predecessors(grid_BRCDH, axis).permute(1, 2, 0), grad_DNG) for axis in (1, 2)
    ]
    input_IG = weights.input_DIG.transpose(0, 1).reshape(features, -1)
    return [
        (flat_NG @ input_IG.transpose(0, 1)).view_as(input_BRCI),
        grad_IG.unflatten(1, (4, -1)).transpose(0, 1),
        *by_axis,
        grad_gates.sum(0),
    ]


def _predecessors(hidden_BRCDH: Tensor, axis: int) -> Tensor:
    """Return N×D×H, the hidden state one row (axis 1) or column (2) before, zero outside."""
    before = torch.zeros_like(hidden_BRCDH)
    length = hidden_BRCDH.shape[axis]
    forward = [0, 1] if axis == 1 else [0, 2]
    for direction in range(4):
        start, source = (1, 0) if direction in forward else (0, 1)
        target = before.select(3, direction).narrow(axis, start, length - 1)
        target.copy_(hidden_BRCDH.select(3, direction).narrow(axis, source, length - 1))
    return before.flatten(0, 2)


def _whole_or_halved(
    name: str, input_BRCI: Tensor, whole: Callable[[], _Result], halved: Callable[[], _Result]
) -> _Result:
    """Return what the first of two ways returns for which the GPU's memory suffices."""
    try:
        return whole()
    except torch.OutOfMemoryError:
        if input_BRCI.shape[0] == 1:
            raise
    # Not in the handler: the error keeps alive what the attempt allocated.
    torch.cuda.empty_cache()
    _warn_of_halves(name)
    return halved()


@cache
def _warn_of_halves(name: str) -> None:
    """Say it once: a training passes here at every step."""
    _log.warning(
        "Too little GPU memory for the %s pass of a 2D-LSTM layer: "
        "it runs in two halves of the batch.",
        name,
    )


def _halves(input_BRCI: Tensor) -> tuple[Tensor, ...]:
    """Return the batch's two halves; of an odd one the first is larger."""
    return input_BRCI.split((input_BRCI.shape[0] + 1) // 2)


def _check(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float) -> None:
    """Check that the kernels can run.

    Raises:
        ValueError: as `check_arguments`, or a type or device that the kernels do not have.
    """
    check_arguments(input_BRCI, weights, forget_scale)
    if input_BRCI.dtype not in DTYPES:
        names = " or ".join(str(dtype) for dtype in DTYPES)
        raise ValueError(
            f"input_BRCI: expected {names}, given {input_BRCI.dtype}{of_shape(input_BRCI.shape)}"
        )
    if not input_BRCI.is_cuda and not INTERPRETED:
        raise ValueError(
            "input_BRCI: expected a tensor on a CUDA GPU, "
            f"given {input_BRCI.device}{of_shape(input_BRCI.shape)}"
        )
