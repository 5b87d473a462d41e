"""The 2D-LSTM on the processor, compiled: one sweep of one direction over one image a task.

The tasks are spread over torch's number of threads, and none waits for another: a busy
machine delays a task, never every diagonal of it. Without gradients only the output and two
diagonals of states are kept.

Axes: D direction, B batch, R row, C column, I input feature, H hidden unit, G gate,
P cell in diagonal order, S slot in diagonal order with padding, U hidden unit padded to
whole vectors, K what a gate sums over: input features, then the units of the cell one row
before, then those of the cell one column before.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from mdlstm_core.kernels.diagonals import cells_in_order, walk
from mdlstm_core.kernels.native import Sweeps, loader
from mdlstm_core.kernels.sweep_arguments import BACKWARD, FORWARD
from mdlstm_core.kernels.sweep_layout import (
    NUMBERS,
    corner,
    diagonal_table,
    fresh,
    gate_panels,
    in_memory,
    panels_to,
    ring_slots,
)
from mdlstm_core.kernels.sweep_tasks import Call, run_tasks
from mdlstm_core.kernels.weights import (
    FLIPS,
    MDLSTMStates,
    MDLSTMWeights,
    check_arguments,
    of_shape,
)

_PARTS = 4
"""Into how many groups the images are split backward. Their weight gradients are summed in
one order, whatever thread was first, so that a training run can be repeated exactly."""


BEING_MADE = "the compiled kernel is being made ready"
"""Why it is not available at a first start, for some seconds."""


def unfit(device: torch.device, dtype: torch.dtype) -> str | None:
    """Return why this backend does not take such tensors, None if it does."""
    if device.type != "cpu":
        return "it runs on the CPU only"
    return None if dtype in NUMBERS else f"{dtype} has no compiled kernel"


def unavailable(dtype: torch.dtype, *, wait: bool = False) -> str | None:
    """Return why this backend cannot run now, None if it can.

    Args:
        dtype: of input and weights, one that it takes.
        wait: until it is compiled.
    """
    native = loader(dtype.itemsize * 8)
    if native.get(wait=wait) is not None:
        return None
    return native.failure or BEING_MADE


def run(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0) -> Tensor:
    """Return the hidden states D×B×R×C×H of the four directions, in image coordinates.

    Differentiable once in the input and all weights. See `reference.run`.

    Raises:
        ValueError: an argument does not fit, or is not finite.
        RuntimeError: the kernel cannot be compiled on this machine.
    """
    _check(input_BRCI, weights, forget_scale)
    # `ctx.needs_input_grad` would say yes under `no_grad` too.
    trained = torch.is_grad_enabled() and any(t.requires_grad for t in (input_BRCI, *weights))
    return _Layer.apply(input_BRCI, *weights, forget_scale, trained)


@torch.no_grad()
def states(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0) -> MDLSTMStates:
    """Return all gates, cell and hidden states (see `run`), without gradients."""
    _check(input_BRCI, weights, forget_scale)
    kept = _forward(input_BRCI, weights, forget_scale, keep=True)
    rows, columns = input_BRCI.shape[1:3]
    slots = torch.cat([torch.arange(d.slot, d.slot + d.length) for d in walk(rows, columns)])
    inverse = cells_in_order(rows, columns).argsort()

    def to_grid(state_DBPU: Tensor) -> Tensor:
        state = state_DBPU[:, :, inverse, : weights.units].unflatten(2, (rows, columns))
        return torch.stack([of.flip(flip) for of, flip in zip(state, FLIPS, strict=True)])

    output, write, forget_row, forget_column, candidate = map(to_grid, kept.gates_DBPGU.unbind(3))
    cell = to_grid(kept.cell_DBSU[:, :, slots])
    return MDLSTMStates(
        output, write, forget_row, forget_column, candidate, cell, kept.output_DBRCH
    )


def _check(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float) -> None:
    check_arguments(input_BRCI, weights, forget_scale)
    if input_BRCI.device.type != "cpu":
        raise ValueError(
            "input_BRCI: expected the device cpu, "
            f"given {input_BRCI.device}{of_shape(input_BRCI.shape)}"
        )
    if input_BRCI.dtype not in NUMBERS:
        raise ValueError(
            f"input_BRCI: expected torch.float32 or torch.float64, "
            f"given {input_BRCI.dtype}{of_shape(input_BRCI.shape)}"
        )


def _sweeps(dtype: torch.dtype) -> Sweeps:
    native = loader(dtype.itemsize * 8)
    sweeps = native.get(wait=True)
    if sweeps is None:
        raise RuntimeError(f"The compiled kernel cannot be used: {native.failure}")
    return sweeps


class _Kept(NamedTuple):
    """What a forward sweep leaves; all but the output are empty where nothing is kept."""

    output_DBRCH: Tensor
    hidden_DBSU: Tensor
    cell_DBSU: Tensor
    gates_DBPGU: Tensor


@torch.no_grad()
def _forward(
    input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float, *, keep: bool
) -> _Kept:
    """Sweep all directions over all images."""
    sweeps = _sweeps(input_BRCI.dtype)
    input_BRCI, *tensors = map(in_memory, (input_BRCI, *weights))
    weights = MDLSTMWeights(*tensors)
    kept = _memory(input_BRCI, weights.units, sweeps.lanes, keep=keep)
    batch, rows, columns, features = input_BRCI.shape
    width, slots = kept.hidden_DBSU.shape[3], 2 * ring_slots(rows, columns)
    table = diagonal_table(rows, columns, keep)
    sizes = (len(table), table.ctypes.data, features, weights.units, width // sweeps.lanes)
    panels = gate_panels(torch.cat(weights[:3], dim=1), weights.units, sweeps.lanes)
    bias = gate_panels(weights.bias_DG.unsqueeze(1), weights.units, sweeps.lanes)
    passing = fresh((4, batch, 2, 0 if keep else slots, width), input_BRCI.dtype, zeros=True)

    def call(direction: int, image: int) -> Call:
        if keep:
            states = [state[direction, image].data_ptr() for state in kept[1:]]
        else:
            states = [*(state.data_ptr() for state in passing[direction, image]), 0]
        arguments = (
            *sizes,
            *corner(input_BRCI[image], direction),
            *(panels[direction].data_ptr(), bias[direction].data_ptr()),
            *states,
            *corner(kept.output_DBRCH[direction, image], direction),
        )
        assert len(arguments) == len(FORWARD)
        return arguments

    tasks = [[call(d, image)] for d in range(4) for image in range(batch)]
    sweep = sweeps.forward_keeping if keep else sweeps.forward
    work = 2 * kept.output_DBRCH[..., 0].numel() * panels[0].numel()
    run_tasks(sweeps, sweep, tasks, forget_scale, work)
    return kept


def _memory(input_BRCI: Tensor, units: int, lanes: int, *, keep: bool) -> _Kept:
    """Return fresh memory for a forward sweep."""
    batch, rows, columns, _ = input_BRCI.shape
    width = -(-units // lanes) * lanes
    slots, cells = (walk(rows, columns)[-1].slot + 2, rows * columns) if keep else (0, 0)
    dtype = input_BRCI.dtype
    return _Kept(
        fresh((4, batch, rows, columns, units), dtype),
        fresh((4, batch, slots, width), dtype, zeros=True),
        fresh((4, batch, slots, width), dtype, zeros=True),
        fresh((4, batch, cells, 5, width), dtype),
    )


class _Layer(Function):
    """The whole layer: input and weights to the hidden states D×B×R×C×H."""

    @staticmethod
    def forward(ctx: Any, input_BRCI: Tensor, *rest: Any) -> Tensor:
        *tensors, forget_scale, trained = rest
        weights = MDLSTMWeights(*tensors)
        kept = _forward(input_BRCI, weights, forget_scale, keep=trained)
        if trained:
            ctx.save_for_backward(input_BRCI, *weights, *kept[1:])
            ctx.forget_scale = forget_scale
        return kept.output_DBRCH

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        input_BRCI, *tensors, hidden, cell, gates = ctx.saved_tensors
        grad_DBRCH, input_BRCI, *tensors = map(in_memory, (grads[0], input_BRCI, *tensors))
        weights, kept = MDLSTMWeights(*tensors), _Kept(grad_DBRCH, hidden, cell, gates)
        grad_input, total = _backward(
            input_BRCI, weights, kept, ctx.forget_scale, ctx.needs_input_grad[0]
        )
        units = weights.units
        of_input, of_row, of_column, of_bias = total.split(
            [input_BRCI.shape[3], units, units, 1], 1
        )
        return grad_input, of_input, of_row, of_column, of_bias.squeeze(1), None, None


def _backward(
    input_BRCI: Tensor,
    weights: MDLSTMWeights,
    kept: _Kept,
    forget_scale: float,
    wants_input: bool,
) -> tuple[Tensor | None, Tensor]:
    """Return the gradients of the input, where wanted, and of the weights D×(K, bias)×G.

    The gradient of the output stands in `kept` in place of the output.
    """
    sweeps, dtype = _sweeps(input_BRCI.dtype), input_BRCI.dtype
    (batch, rows, columns, features), units = input_BRCI.shape, weights.units
    width = kept.hidden_DBSU.shape[3]
    table = diagonal_table(rows, columns, True)
    sizes = (len(table), table.ctypes.data, features, units, width // sweeps.lanes)
    recurrent = torch.cat([weights.recurrent_column_DHG, weights.recurrent_row_DHG], dim=2)
    to_hidden = panels_to(recurrent, sweeps.lanes)
    to_input = panels_to(weights.input_DIG, sweeps.lanes)
    padded = to_input.shape[1] * sweeps.lanes
    grid = (4, batch, rows, columns, padded) if wants_input else (4, batch, 0, 0, 0)
    grad_input = fresh(grid, dtype)
    passing = _passing(batch, ring_slots(rows, columns), width, dtype)
    parts = _parts(batch)
    grad_weights = fresh((len(parts), 4, features + 2 * units + 1, 5, width), dtype, zeros=True)

    def call(direction: int, part: int, image: int) -> Call:
        arguments = (
            *sizes,
            *corner(input_BRCI[image], direction),
            *(to_hidden[direction].data_ptr(), to_input[direction].data_ptr() * wants_input),
            *(state[direction, image].data_ptr() for state in kept[1:]),
            *corner(kept.output_DBRCH[direction, image], direction),
            *(state[direction, image].data_ptr() for state in passing),
            grad_weights[part, direction].data_ptr(),
            grad_weights[part, direction, -1].data_ptr(),
            *corner(grad_input[direction, image], direction),
            to_input.shape[1],
        )
        assert len(arguments) == len(BACKWARD)
        return arguments

    tasks = [
        [call(d, number, image) for image in part]
        for d in range(4)
        for number, part in enumerate(parts)
    ]
    work = 4 * kept.output_DBRCH[..., 0].numel() * weights.recurrent_row_DHG[0].numel()
    run_tasks(sweeps, sweeps.backward, tasks, forget_scale, work)
    total = grad_weights.sum(0)[..., :units].flatten(2)
    return grad_input.sum(0)[..., :features] if wants_input else None, total


def _passing(batch: int, ring: int, width: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Return the memory D×B×slots×width of what a backward sweep hands from cell to cell.

    The gradients of the hidden states of a diagonal; of the gates of two diagonals; of their
    cell states, what goes to the row and to the column before.
    """
    slots = [ring, 2 * 5 * ring, 2 * ring, 2 * ring]
    return fresh((4, batch, sum(slots), width), dtype, zeros=True).split(slots, dim=2)


def _parts(batch: int) -> list[range]:
    """Return the images of each group (see `_PARTS`)."""
    size = -(-batch // _PARTS)
    return [range(start, min(start + size, batch)) for start in range(0, batch, size)]
