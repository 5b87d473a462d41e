"""The 2D-LSTM a diagonal at a time, in torch, with its own backward pass.

Runs on every device torch knows. All four directions, the batch and the cells of a
diagonal go through one matrix product a predecessor. The backward pass is
the same wavefront reversed, and forms each weight gradient in one product at the end.
Without one, only some diagonals' gates and states are in memory at a time.

Axes: D direction, N direction and cell, P cell in diagonal order, S slot in diagonal
order with padding, B batch, R row, C column, I input feature, H hidden unit, G gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from mdlstm_core.kernels.diagonals import Diagonal, DiagonalLayout, diagonal_layout
from mdlstm_core.kernels.threads import one_thread
from mdlstm_core.kernels.weights import MDLSTMStates, MDLSTMWeights, check_arguments


def run(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0) -> Tensor:
    """Return the hidden states D×B×R×C×H of the four directions, in image coordinates.

    Differentiable once in the input and all weights. See `reference.run`.
    """
    check_arguments(input_BRCI, weights, forget_scale)
    _, rows, columns, _ = input_BRCI.shape
    layout = diagonal_layout(rows, columns, input_BRCI.device)
    if not (torch.is_grad_enabled() and any(t.requires_grad for t in (input_BRCI, *weights))):
        return _HiddenAlone.apply(input_BRCI, *weights, forget_scale, layout)
    hidden_DPBH = _Recurrence.apply(
        _project(input_BRCI, weights, layout),
        weights.recurrent_row_DHG,
        weights.recurrent_column_DHG,
        layout,
        forget_scale,
    )
    return _to_grid(hidden_DPBH, rows, columns, layout)


@torch.no_grad()
def states(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0) -> MDLSTMStates:
    """Return all gates, cell and hidden states (see `run`), without gradients."""
    check_arguments(input_BRCI, weights, forget_scale)
    _, rows, columns, _ = input_BRCI.shape
    layout = diagonal_layout(rows, columns, input_BRCI.device)
    recurrent = weights.recurrent_row_DHG, weights.recurrent_column_DHG
    swept = _swept(_project(input_BRCI, weights, layout), *recurrent, layout, forget_scale)
    packed = [
        *swept.gates_DPBG.chunk(5, dim=3),
        swept.cell_DSBH[:, layout.cell_slots],
        swept.hidden_DSBH[:, layout.cell_slots],
    ]
    return MDLSTMStates(*(_to_grid(state, rows, columns, layout) for state in packed))


def _project(input_BRCI: Tensor, weights: MDLSTMWeights, layout: DiagonalLayout) -> Tensor:
    """Return what the input adds to the gates, in diagonal order: D×P×B×G."""
    batch, features = input_BRCI.shape[0], input_BRCI.shape[3]
    input_PBI = input_BRCI.reshape(batch, -1, features).transpose(0, 1)
    input_NBI = input_PBI.expand(4, *input_PBI.shape).reshape(-1, batch, features)
    ordered = _Reorder.apply(input_NBI, layout.order, layout.inverse)
    flat = ordered.reshape(4, -1, features)
    gates = torch.baddbmm(weights.bias_DG.unsqueeze(1), flat, weights.input_DIG)
    return gates.view(4, -1, batch, gates.shape[-1])


def _to_grid(state_DPBH: Tensor, rows: int, columns: int, layout: DiagonalLayout) -> Tensor:
    """Bring a state from diagonal order back into image coordinates: D×B×R×C×H."""
    batch, units = state_DPBH.shape[2:]
    state_NBH = state_DPBH.reshape(-1, batch, units)
    ordered = _Reorder.apply(state_NBH, layout.inverse, layout.order)
    return ordered.view(4, rows, columns, batch, units).permute(0, 3, 1, 2, 4)


class _Reorder(Function):
    """A permutation of the first axis whose backward is a gather and not a scatter."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(inverse)
        return values.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (inverse,) = ctx.saved_tensors
        return grads[0].index_select(0, inverse), None, None


class _Swept(NamedTuple):
    """What a sweep leaves behind: gates after their nonlinearity, cell and hidden states."""

    gates_DPBG: Tensor
    cell_DSBH: Tensor
    hidden_DSBH: Tensor


def _swept(
    gates_DPBG: Tensor,
    recurrent_row: Tensor,
    recurrent_column: Tensor,
    layout: DiagonalLayout,
    forget_scale: float,
) -> _Swept:
    """Return all states of the wavefront over the gates' input part (see `_sweep`)."""
    directions, _, batch, gate_count = gates_DPBG.shape
    hidden = gates_DPBG.new_zeros(directions, layout.slots, batch, gate_count // 5)
    swept = _Swept(gates_DPBG, torch.zeros_like(hidden), hidden)
    _sweep(swept, recurrent_row, recurrent_column, layout.diagonals, forget_scale)
    return swept


@one_thread()
def _sweep(
    swept: _Swept,
    recurrent_row: Tensor,
    recurrent_column: Tensor,
    diagonals: Sequence[Diagonal],
    forget_scale: float,
) -> None:
    """Run the wavefront over the gates' input part, which is overwritten by the gates."""
    gates_DPBG, cell, hidden = swept
    units = hidden.shape[3]
    for diagonal in diagonals:
        gates = _rows(gates_DPBG, diagonal.cell, diagonal)
        gates.baddbmm_(_rows(hidden, diagonal.row_slot, diagonal), recurrent_row)
        gates.baddbmm_(_rows(hidden, diagonal.column_slot, diagonal), recurrent_column)
        gates[..., : 4 * units].sigmoid_()
        gates[..., 4 * units :].tanh_()
        output, write, forget_row, forget_column, candidate = gates.chunk(5, dim=2)
        c = _rows(cell, diagonal.slot, diagonal)
        h = _rows(hidden, diagonal.slot, diagonal)
        torch.mul(write, candidate, out=c)
        c.addcmul_(forget_row, _rows(cell, diagonal.row_slot, diagonal), value=forget_scale)
        c.addcmul_(forget_column, _rows(cell, diagonal.column_slot, diagonal), value=forget_scale)
        torch.tanh(c, out=h)
        h.mul_(output)


_PART_BYTES = 8 << 20
"""Of an image's gates that are in memory together where no gradient is asked for."""


class _HiddenAlone(Function):
    """`_hidden_alone`, which has no tangents: torch says so, in place of dropping them."""

    @staticmethod
    def forward(ctx: Any, input_BRCI: Tensor, *rest: Any) -> Tensor:
        *tensors, forget_scale, layout = rest
        return _hidden_alone(input_BRCI, MDLSTMWeights(*tensors), forget_scale, layout)


def _hidden_alone(
    input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float, layout: DiagonalLayout
) -> Tensor:
    """Return what `run` does, some diagonals after the other: nothing else is kept of them."""
    batch, rows, columns, features = input_BRCI.shape
    units, cells = weights.units, rows * columns
    recurrent = weights.recurrent_row_DHG, weights.recurrent_column_DHG
    input_PBI = input_BRCI.reshape(batch, -1, features).transpose(0, 1)
    order_DP = layout.order.view(4, cells)
    first_D1 = cells * torch.arange(4, device=order_DP.device).unsqueeze(1)
    hidden_NBH = input_BRCI.new_empty(4 * cells, batch, units)
    before = input_BRCI.new_zeros(2, 4, 2, batch, units)
    most = _PART_BYTES // (4 * 5 * units * input_BRCI.element_size())
    for cell, slot, part in _parts(layout.diagonals, most):
        last = part[-1]
        here = slice(cell, cell + last.cell + last.length)
        place_DP = order_DP[:, here]
        seen = input_PBI[(place_DP - first_D1).flatten()].view(4, -1, features)
        gates = torch.baddbmm(weights.bias_DG.unsqueeze(1), seen, weights.input_DIG)
        states = input_BRCI.new_zeros(2, 4, last.slot + last.length + 1, batch, units)
        states[:, :, : before.shape[2]] = before
        swept = _Swept(gates.view(4, -1, batch, 5 * units), *states)
        _sweep(swept, *recurrent, part, forget_scale)
        of_cells = swept.hidden_DSBH[:, layout.cell_slots[here] - slot]
        hidden_NBH[place_DP.flatten()] = of_cells.flatten(0, 1)
        before = states[:, :, last.slot - 1 :].clone()
    return hidden_NBH.view(4, rows, columns, batch, units).permute(0, 3, 1, 2, 4)


def _parts(
    diagonals: Sequence[Diagonal], most: int
) -> Iterator[tuple[int, int, tuple[Diagonal, ...]]]:
    """Yield diagonals of together at most so many cells, or one of more, after one another.

    With each part its first cell, and its first slot: that of the padding before the diagonal
    that comes before it. Inside the part, cells and slots are counted from there.
    """
    first, behind = 0, 0
    while first < len(diagonals):
        cell, slot = diagonals[first].cell, diagonals[first].slot - behind - 3
        end = first + 1
        while end < len(diagonals) and diagonals[end].cell + diagonals[end].length <= cell + most:
            end += 1
        part = (
            Diagonal(d.length, d.first_row, d.cell - cell, *(at - slot for at in d[3:]))
            for d in diagonals[first:end]
        )
        yield cell, slot, tuple(part)
        first, behind = end, diagonals[end - 1].length


def _rows(values: Tensor, start: int, diagonal: Diagonal) -> Tensor:
    """Return a diagonal's slice of a D×S×B×F tensor as a view D×(length·B)×F."""
    return values[:, start : start + diagonal.length].flatten(1, 2)


class _Recurrence(Function):
    """The recurrent part of the layer: gates' input part D×P×B×G to hidden D×P×B×H."""

    @staticmethod
    def forward(
        ctx: Any,
        projected_DPBG: Tensor,
        recurrent_row: Tensor,
        recurrent_column: Tensor,
        layout: DiagonalLayout,
        forget_scale: float,
    ) -> Tensor:
        # Overwrites its first argument, which nothing else reads: `_project` made it, and
        # the backward pass of its product does not need the product.
        swept = _swept(projected_DPBG, recurrent_row, recurrent_column, layout, forget_scale)
        ctx.save_for_backward(*swept, recurrent_row, recurrent_column)
        ctx.layout, ctx.forget_scale = layout, forget_scale
        return swept.hidden_DSBH[:, layout.cell_slots]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        *saved, recurrent_row, recurrent_column = ctx.saved_tensors
        swept, layout = _Swept(*saved), ctx.layout
        grad_gates = _backward_sweep(
            grads[0], swept, recurrent_row, recurrent_column, layout, ctx.forget_scale
        )
        flat = grad_gates.flatten(1, 2)
        hidden_row = swept.hidden_DSBH[:, layout.row_slots].flatten(1, 2)
        hidden_column = swept.hidden_DSBH[:, layout.column_slots].flatten(1, 2)
        return (
            grad_gates,
            hidden_row.transpose(1, 2) @ flat,
            hidden_column.transpose(1, 2) @ flat,
            None,
            None,
        )


@one_thread()
def _backward_sweep(
    grad_hidden_DPBH: Tensor,
    swept: _Swept,
    recurrent_row: Tensor,
    recurrent_column: Tensor,
    layout: DiagonalLayout,
    forget_scale: float,
) -> Tensor:
    """Return the gradient of the gates before their nonlinearity, D×P×B×G."""
    units = swept.cell_DSBH.shape[3]
    to_row, to_column = recurrent_row.transpose(1, 2), recurrent_column.transpose(1, 2)
    grad_gates = torch.empty_like(swept.gates_DPBG)
    grad_hidden = torch.zeros_like(swept.hidden_DSBH)
    grad_hidden[:, layout.cell_slots] = grad_hidden_DPBH
    grad_cell = torch.zeros_like(swept.cell_DSBH)
    for diagonal in reversed(layout.diagonals):
        gates = _rows(swept.gates_DPBG, diagonal.cell, diagonal)
        grad_c = _rows(grad_cell, diagonal.slot, diagonal)
        grad = _rows(grad_gates, diagonal.cell, diagonal)
        _gate_gradients(
            grad,
            grad_c,
            grad_h=_rows(grad_hidden, diagonal.slot, diagonal),
            gates=gates,
            cell=_rows(swept.cell_DSBH, diagonal.slot, diagonal),
            cell_row=_rows(swept.cell_DSBH, diagonal.row_slot, diagonal),
            cell_column=_rows(swept.cell_DSBH, diagonal.column_slot, diagonal),
            forget_scale=forget_scale,
        )
        forget_row = gates[..., 2 * units : 3 * units]
        forget_column = gates[..., 3 * units : 4 * units]
        for start, forget_gate, weights in (
            (diagonal.row_slot, forget_row, to_row),
            (diagonal.column_slot, forget_column, to_column),
        ):
            before = _rows(grad_cell, start, diagonal)
            before.addcmul_(forget_gate, grad_c, value=forget_scale)
            _rows(grad_hidden, start, diagonal).baddbmm_(grad, weights)
    return grad_gates


def _gate_gradients(
    grad: Tensor,
    grad_c: Tensor,
    *,
    grad_h: Tensor,
    gates: Tensor,
    cell: Tensor,
    cell_row: Tensor,
    cell_column: Tensor,
    forget_scale: float,
) -> None:
    """Complete `grad_c` and write the gradient of the gates before their nonlinearity.

    All of one diagonal, D×(length·B)×(G or H), so that it stays in the cache.
    """
    units = cell.shape[2]
    sigmoids = gates[..., : 4 * units]
    torch.addcmul(sigmoids, sigmoids, sigmoids, value=-1, out=grad[..., : 4 * units])
    output, write, _, _, candidate = gates.chunk(5, dim=2)
    of_output, of_write, of_row, of_column, of_candidate = grad.chunk(5, dim=2)
    tanh_c = cell.tanh()
    of_output.mul_(grad_h).mul_(tanh_c)
    grad_tanh = output * grad_h
    grad_c.add_(grad_tanh).addcmul_(grad_tanh, tanh_c.square_(), value=-1)
    of_write.mul_(grad_c).mul_(candidate)
    scaled = grad_c * forget_scale
    of_row.mul_(scaled).mul_(cell_row)
    of_column.mul_(scaled).mul_(cell_column)
    grad_write = write * grad_c
    torch.addcmul(grad_write, grad_write, candidate.square(), value=-1, out=of_candidate)
