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

import ctypes
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from mdlstm_core.kernels.diagonals import cells_in_order, walk
from mdlstm_core.kernels.native import Sweep, Sweeps, loader
from mdlstm_core.kernels.sweep_code import BACKWARD, FORWARD, TABLE
from mdlstm_core.kernels.weights import MDLSTMStates, MDLSTMWeights, check_shapes

_FLIPS: tuple[tuple[int, ...], ...] = ((), (2,), (1,), (1, 2))
"""Axes of a B×R×C×… tensor along which each direction's sweep goes backwards."""

_PARTS = 4
"""Into how many groups the images are split backward. Their weight gradients are summed in
one order, whatever thread was first, so that a training run can be repeated exactly."""


def unavailable(dtype: torch.dtype, *, wait: bool = False) -> str | None:
    """Return why this backend cannot run now, None if it can.

    Args:
        dtype: of input and weights.
        wait: until it is compiled.
    """
    if dtype not in (torch.float32, torch.float64):
        return f"{dtype} has no compiled kernel"
    native = loader(dtype.itemsize * 8)
    if native.get(wait=wait) is not None:
        return None
    return native.failure or "the compiled kernel is being made ready"


def run(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0) -> Tensor:
    """Return the hidden states D×B×R×C×H of the four directions, in image coordinates.

    Differentiable once in the input and all weights. See `reference.run`.

    Raises:
        ValueError: shapes, types or devices do not fit.
        RuntimeError: the kernel cannot be compiled on this machine.
    """
    _check(input_BRCI, weights)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (input_BRCI, *weights)):
        return _Layer.apply(input_BRCI, *weights, forget_scale)
    return _forward(input_BRCI, weights, forget_scale, keep=False).output_DBRCH


@torch.no_grad()
def states(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0) -> MDLSTMStates:
    """Return all gates, cell and hidden states (see `run`), without gradients."""
    _check(input_BRCI, weights)
    kept = _forward(input_BRCI, weights, forget_scale, keep=True)
    batch, rows, columns, _ = input_BRCI.shape
    diagonals = walk(rows, columns)
    slots = torch.cat([torch.arange(d.slot, d.slot + d.length) for d in diagonals])
    inverse = cells_in_order(rows, columns).argsort()

    def to_grid(state_DBPU: Tensor) -> Tensor:
        state = state_DBPU[:, :, inverse, : weights.units].unflatten(2, (rows, columns))
        return torch.stack([of.flip(flip) for of, flip in zip(state, _FLIPS, strict=True)])

    gates = [to_grid(gate) for gate in kept.gates_DBPGU.unbind(3)]
    return MDLSTMStates(*gates, to_grid(kept.cell_DBSU[:, :, slots]), kept.output_DBRCH)


def _check(input_BRCI: Tensor, weights: MDLSTMWeights) -> None:
    check_shapes(input_BRCI, weights)
    if input_BRCI.device.type != "cpu":
        raise ValueError(f"input_BRCI: expected the device cpu, given {input_BRCI.device}")
    if input_BRCI.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"input_BRCI: expected torch.float32 or torch.float64, given {input_BRCI.dtype}"
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
    input_BRCI = _rows_of_numbers(input_BRCI)
    batch, rows, columns, features = input_BRCI.shape
    units = weights.units
    blocks = -(-units // sweeps.lanes)
    width = blocks * sweeps.lanes
    table = _table(rows, columns, keep)
    slots = walk(rows, columns)[-1].slot + 2 if keep else 2 * _ring(rows, columns)
    kept_slots = slots if keep else 0
    output = input_BRCI.new_empty(4, batch, rows, columns, units)
    kept = _Kept(
        output,
        input_BRCI.new_zeros(4, batch, kept_slots, width),
        input_BRCI.new_zeros(4, batch, kept_slots, width),
        input_BRCI.new_empty(4, batch, rows * columns if keep else 0, 5, width),
    )
    by_source = torch.cat(weights[:3], dim=1)
    panels = _pad_gates(by_source, units, width).unflatten(3, (blocks, sweeps.lanes))
    panels = panels.permute(0, 3, 1, 2, 4).contiguous()
    bias = _pad_gates(weights.bias_DG, units, width).unflatten(2, (blocks, sweeps.lanes))
    bias = bias.transpose(1, 2).contiguous()

    def sweep(direction: int, image: int) -> None:
        # A sweep that keeps nothing has its two diagonals of states to itself.
        own = None if keep else np.zeros((2, slots, width), _NUMBERS[input_BRCI.dtype])
        states = [
            kept.hidden_DBSU[direction, image].data_ptr() if own is None else own[0].ctypes.data,
            kept.cell_DBSU[direction, image].data_ptr() if own is None else own[1].ctypes.data,
        ]
        arguments = (
            *(len(table), table.ctypes.data, features, units, blocks),
            *_corner(input_BRCI[image], direction),
            *(panels[direction].data_ptr(), bias[direction].data_ptr()),
            *states,
            kept.gates_DBPGU[direction, image].data_ptr() if keep else 0,
            *_corner(output[direction, image], direction),
        )
        assert len(arguments) == len(FORWARD)
        _call(sweeps.forward_keeping if keep else sweeps.forward, arguments, forget_scale)

    _in_parallel([partial(sweep, d, image) for d in range(4) for image in range(batch)])
    return kept


class _Layer(Function):
    """The whole layer: input and weights to the hidden states D×B×R×C×H."""

    @staticmethod
    def forward(ctx: Any, input_BRCI: Tensor, *rest: Any) -> Tensor:
        *tensors, forget_scale = rest
        weights = MDLSTMWeights(*tensors)
        kept = _forward(input_BRCI, weights, forget_scale, keep=True)
        ctx.save_for_backward(input_BRCI, *weights, *kept[1:])
        ctx.forget_scale = forget_scale
        return kept.output_DBRCH

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        input_BRCI, *tensors, hidden, cell, gates = ctx.saved_tensors
        weights = MDLSTMWeights(*tensors)
        kept = _Kept(grads[0], hidden, cell, gates)
        found = _backward(input_BRCI, weights, kept, ctx.forget_scale, ctx.needs_input_grad[0])
        return (*found, None)


def _backward(
    input_BRCI: Tensor,
    weights: MDLSTMWeights,
    kept: _Kept,
    forget_scale: float,
    wants_input: bool,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of the input and the weights; `kept` has that of the output."""
    sweeps = _sweeps(input_BRCI.dtype)
    input_BRCI, grad_output = _rows_of_numbers(input_BRCI), _rows_of_numbers(kept.output_DBRCH)
    batch, rows, columns, features = input_BRCI.shape
    units, lanes = weights.units, sweeps.lanes
    width = kept.hidden_DBSU.shape[3]
    depth, ring = features + 2 * units, _ring(rows, columns)
    table = _table(rows, columns, True)
    back = torch.cat([weights.recurrent_column_DHG, weights.recurrent_row_DHG], dim=2)
    to_hidden, to_input = _panels(back, lanes), _panels(weights.input_DIG, lanes)
    input_blocks = to_input.shape[1]
    grad_input = input_BRCI.new_empty(
        (4, batch, rows, columns, input_blocks * lanes) if wants_input else (4, batch, 0, 0, 0)
    )
    size = -(-batch // _PARTS)
    parts = [range(start, min(start + size, batch)) for start in range(0, batch, size)]
    # One row more than a gate sums over, for the bias.
    grad_weights = input_BRCI.new_zeros(len(parts), 4, depth + 1, 5, width)

    def sweep(direction: int, part: int) -> None:
        for image in parts[part]:
            number = _NUMBERS[input_BRCI.dtype]
            grad_hidden = np.zeros((ring, width), number)
            grad_gates = np.zeros((2 * ring, 5, width), number)
            grad_cells = np.zeros((2, 2 * ring, width), number)
            arguments = (
                *(len(table), table.ctypes.data, features, units, width // lanes),
                *_corner(input_BRCI[image], direction),
                to_hidden[direction].data_ptr(),
                to_input[direction].data_ptr() if wants_input else 0,
                *(state[direction, image].data_ptr() for state in kept[1:]),
                *_corner(grad_output[direction, image], direction),
                *(grad_hidden.ctypes.data, grad_gates.ctypes.data),
                *(grad_cells[0].ctypes.data, grad_cells[1].ctypes.data),
                grad_weights[part, direction].data_ptr(),
                grad_weights[part, direction, depth].data_ptr(),
                *_corner(grad_input[direction, image], direction),
                input_blocks,
            )
            assert len(arguments) == len(BACKWARD)
            _call(sweeps.backward, arguments, forget_scale)

    _in_parallel([partial(sweep, d, part) for d in range(4) for part in range(len(parts))])
    total = grad_weights.sum(0)[..., :units].flatten(2)
    of_input, of_row, of_column, of_bias = total.split([features, units, units, 1], dim=1)
    of_image = grad_input.sum(0)[..., :features] if wants_input else None
    return of_image, of_input, of_row, of_column, of_bias.squeeze(1)


_NUMBERS: dict[torch.dtype, type[np.floating[Any]]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
}


def _pad_gates(values: Tensor, units: int, width: int) -> Tensor:
    """Bring …×G to …×5×U, with zeros for the units that are none."""
    return functional.pad(values.unflatten(-1, (5, units)), (0, width - units))


def _panels(weights_DXG: Tensor, lanes: int) -> Tensor:
    """Turn weights from X to gates into panels from gates to X: D×(X padded / lanes)×G×lanes."""
    turned = weights_DXG.transpose(1, 2)
    padded = functional.pad(turned, (0, -turned.shape[2] % lanes))
    return padded.unflatten(2, (-1, lanes)).transpose(1, 2).contiguous()


def _rows_of_numbers(values: Tensor) -> Tensor:
    """Return a tensor whose last axis lies in memory without gaps."""
    return values if values.stride(-1) == 1 else values.contiguous()


def _corner(grid_RCF: Tensor, direction: int) -> tuple[int, int, int]:
    """Return the address where a direction starts, and its step to the next row and column."""
    row, column = grid_RCF.stride()[:2]
    offset = 0
    if 1 in _FLIPS[direction]:
        offset, row = offset + row * (grid_RCF.shape[0] - 1), -row
    if 2 in _FLIPS[direction]:
        offset, column = offset + column * (grid_RCF.shape[1] - 1), -column
    return grid_RCF.data_ptr() + offset * grid_RCF.element_size(), row, column


def _call(function: Sweep, arguments: Sequence[int], forget_scale: float) -> None:
    function((ctypes.c_int64 * len(arguments))(*arguments), forget_scale)


def _ring(rows: int, columns: int) -> int:
    """Return the slots of the longest diagonal with its two slots of zeros."""
    return min(rows, columns) + 2


@lru_cache(maxsize=64)
def _table(rows: int, columns: int, keep: bool) -> NDArray[np.int64]:
    """Return the table of diagonals (see `sweep_code.TABLE`).

    Args:
        rows: of the grid.
        columns: of the grid.
        keep: all states have slots; otherwise diagonals take turns in two rows of slots,
            whose ends stay zero because they are only asked for before they are reached.
    """
    diagonals, ring = walk(rows, columns), _ring(rows, columns)
    found = []
    for number, diagonal in enumerate(diagonals):
        here, other = 1 + number % 2 * ring, 1 + (number + 1) % 2 * ring
        before = diagonals[number - 1].first_row if number else 0
        after = diagonals[min(number + 1, len(diagonals) - 1)].first_row
        slots = (
            (diagonal.slot, diagonal.row_slot)
            if keep
            else (here, other + diagonal.first_row - before - 1)
        )
        successor = other + diagonal.first_row - after
        found.append([*diagonal[:3], *slots, here, successor])
    table = np.array(found, np.int64)
    assert table.shape[1] == len(TABLE)
    return table


def _in_parallel(tasks: Sequence[Callable[[], None]]) -> None:
    """Do tasks on as many threads as torch uses, this one among them; all end with it."""
    waiting = deque(tasks)

    def work() -> None:
        while True:
            try:
                task = waiting.popleft()
            except IndexError:
                return
            task()

    threads = min(torch.get_num_threads(), len(tasks))
    if threads == 1:
        work()
        return
    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(work) for _ in range(threads - 1)]
        work()
        for other in others:
            other.result()
