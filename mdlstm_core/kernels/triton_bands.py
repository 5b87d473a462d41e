"""Triton kernels that sweep a whole grid of the 2D-LSTM in one launch, in bands of rows.

A program loads the recurrent weights once and keeps them on chip while it walks over the
columns of its band. How bands share the work and hand over their borders is told in
`triton_handover`. The backward kernel walks in the same way from the opposite corner.

The loops over the steps are `while` loops on purpose: Triton does not pipeline them, so that
no load is moved before the wait that it depends on; and its interpreter cannot count to a
number that is known only when the kernel runs.

Axes as in `triton_diagonal`.
"""

from __future__ import annotations

import triton
import triton.language as tl

from mdlstm_core.kernels.triton_functions import sigmoid, tanh
from mdlstm_core.kernels.triton_handover import (
    begin_walk,
    cells_at,
    from_above,
    load_border,
    publish,
    wait_for_band,
    work_item,
)

SIZES = ("batch", "rows", "columns", "forget_scale")
"""Arguments that must not be specialized: a value of 1 or 16 would be compiled anew."""


@triton.jit
def _gates(
    base: tl.tensor, index: tl.tensor, mask: tl.tensor, UNITS: tl.constexpr
) -> tuple[tl.tensor, ...]:
    """Return the numbers of the five gates, zero outside the mask."""
    output = tl.load(base + index, mask=mask, other=0.0)
    write = tl.load(base + index + UNITS, mask=mask, other=0.0)
    forget_row = tl.load(base + index + 2 * UNITS, mask=mask, other=0.0)
    forget_column = tl.load(base + index + 3 * UNITS, mask=mask, other=0.0)
    candidate = tl.load(base + index + 4 * UNITS, mask=mask, other=0.0)
    return output, write, forget_row, forget_column, candidate


@triton.jit
def _store_gates(
    base: tl.tensor,
    index: tl.tensor,
    gates: tl.tuple,
    mask: tl.tensor,
    UNITS: tl.constexpr,
) -> None:
    """Store numbers as `_gates` loads them."""
    tl.store(base + index, gates[0], mask=mask)
    tl.store(base + index + UNITS, gates[1], mask=mask)
    tl.store(base + index + 2 * UNITS, gates[2], mask=mask)
    tl.store(base + index + 3 * UNITS, gates[3], mask=mask)
    tl.store(base + index + 4 * UNITS, gates[4], mask=mask)


@triton.jit
def _weights(
    base: tl.tensor,
    direction: tl.tensor,
    DOT_DTYPE: tl.constexpr,
    UNITS: tl.constexpr,
    BLOCK_H: tl.constexpr,
    TRANSPOSED: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """Return the recurrent weights of the five gates, hidden by gate or transposed."""
    unit = tl.arange(0, BLOCK_H)
    mask = (unit < UNITS)[:, None] & (unit < UNITS)[None, :]
    if TRANSPOSED:
        index = (direction * UNITS + unit[None, :]) * (5 * UNITS) + unit[:, None]
    else:
        index = (direction * UNITS + unit[:, None]) * (5 * UNITS) + unit[None, :]
    loaded = _gates(base, index, mask, UNITS)
    return (
        loaded[0].to(DOT_DTYPE),
        loaded[1].to(DOT_DTYPE),
        loaded[2].to(DOT_DTYPE),
        loaded[3].to(DOT_DTYPE),
        loaded[4].to(DOT_DTYPE),
    )


@triton.jit
def _gate(
    total: tl.tensor,
    h_row: tl.tensor,
    h_column: tl.tensor,
    row_weights: tl.tensor,
    column_weights: tl.tensor,
    PRECISION: tl.constexpr,
) -> tl.tensor:
    """Return a gate's input part plus what the two predecessors add to it."""
    total = tl.dot(h_row, row_weights, total.to(tl.float32), input_precision=PRECISION)
    return tl.dot(h_column, column_weights, total, input_precision=PRECISION)


@triton.jit
def _forward_inputs(
    gates: tl.tensor,
    cell_state: tl.tensor,
    hidden: tl.tensor,
    walk: tl.tuple,
    band: tl.tensor,
    before: tl.tensor,
    step: tl.tensor,
    rows: int,
    columns: int,
    UNITS: tl.constexpr,
    BLOCK_H: tl.constexpr,
    CHUNK: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """Return the input part of the gates at a step, and h and c of the first lane's row before."""
    wait_for_band(before, band, step, columns, CHUNK)
    cell, mask = cells_at(walk, step, rows, columns, UNITS, BLOCK_H)
    index = cell * (5 * UNITS) + tl.arange(0, BLOCK_H)[None, :]
    inputs = _gates(gates, index, mask, UNITS)
    h = load_border(hidden, cell - walk[2], band, mask, UNITS)
    c = load_border(cell_state, cell - walk[2], band, mask, UNITS)
    return inputs, h, c


@triton.jit(do_not_specialize=SIZES)
def forward_bands(
    gates: tl.tensor,
    row_weights: tl.tensor,
    column_weights: tl.tensor,
    cell_state: tl.tensor,
    hidden: tl.tensor,
    progress: tl.tensor,
    batch: int,
    rows: int,
    columns: int,
    forget_scale: float,
    DTYPE: tl.constexpr,
    DOT_DTYPE: tl.constexpr,
    UNITS: tl.constexpr,
    KEEP_GATES: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_H: tl.constexpr,
    CHUNK: tl.constexpr,
) -> None:
    """Compute cell and hidden states of a band; see `triton_diagonal.forward_diagonal`.

    `progress` holds zeros: the next ticket, then of each ticket the columns that it finished.
    Grid: as many programs as there are tickets.
    """
    ticket = tl.atomic_add(progress, 1, scope="gpu")
    band, image, direction, ticket_before = work_item(ticket, batch)
    own, before = progress + 1 + ticket, progress + 1 + ticket_before
    walk = begin_walk(band, image, direction, direction, rows, columns, BLOCK_R)
    of_row = _weights(row_weights, direction, DOT_DTYPE, UNITS, BLOCK_H, False)
    of_column = _weights(column_weights, direction, DOT_DTYPE, UNITS, BLOCK_H, False)

    inputs, border_h, border_c = _forward_inputs(
        *(gates, cell_state, hidden, walk, band, before),
        *(0, rows, columns, UNITS, BLOCK_H, CHUNK),
    )
    h = tl.zeros((BLOCK_R, BLOCK_H), DOT_DTYPE)
    c = tl.zeros((BLOCK_R, BLOCK_H), tl.float32)
    steps = columns + tl.minimum(BLOCK_R, rows - band * BLOCK_R) - 1
    step = 0
    while step < steps:
        h_row = from_above(h, border_h.to(DOT_DTYPE))
        c_row = from_above(c, border_c)
        # What the next step needs is under way while this one is computed.
        following, border_h, border_c = _forward_inputs(
            *(gates, cell_state, hidden, walk, band, before),
            *(step + 1, rows, columns, UNITS, BLOCK_H, CHUNK),
        )
        output = sigmoid(_gate(inputs[0], h_row, h, of_row[0], of_column[0], PRECISION))
        write = sigmoid(_gate(inputs[1], h_row, h, of_row[1], of_column[1], PRECISION))
        forget_row = sigmoid(_gate(inputs[2], h_row, h, of_row[2], of_column[2], PRECISION))
        forget_column = sigmoid(_gate(inputs[3], h_row, h, of_row[3], of_column[3], PRECISION))
        candidate = tanh(_gate(inputs[4], h_row, h, of_row[4], of_column[4], PRECISION))
        c = forget_scale * (forget_row * c_row + forget_column * c) + write * candidate
        rounded = (output * tanh(c)).to(DTYPE)
        h = rounded.to(DOT_DTYPE)
        cell, mask = cells_at(walk, step, rows, columns, UNITS, BLOCK_H)
        at = cell * UNITS + tl.arange(0, BLOCK_H)[None, :]
        tl.store(cell_state + at, c, mask=mask)
        tl.store(hidden + at, rounded, mask=mask)
        if KEEP_GATES:
            computed = output, write, forget_row, forget_column, candidate
            _store_gates(gates, at + cell * (4 * UNITS), computed, mask, UNITS)
        publish(own, step + 2 - BLOCK_R, columns, CHUNK)
        inputs = following
        step += 1


@triton.jit
def _back(
    grad_gates: tl.tuple, weights: tl.tuple, DOT_DTYPE: tl.constexpr, PRECISION: tl.constexpr
) -> tl.tensor:
    """Return what the gates' gradients add to the gradient of a hidden state before them."""
    total = tl.zeros(grad_gates[0].shape, tl.float32)
    total = tl.dot(grad_gates[0].to(DOT_DTYPE), weights[0], total, input_precision=PRECISION)
    total = tl.dot(grad_gates[1].to(DOT_DTYPE), weights[1], total, input_precision=PRECISION)
    total = tl.dot(grad_gates[2].to(DOT_DTYPE), weights[2], total, input_precision=PRECISION)
    total = tl.dot(grad_gates[3].to(DOT_DTYPE), weights[3], total, input_precision=PRECISION)
    return tl.dot(grad_gates[4].to(DOT_DTYPE), weights[4], total, input_precision=PRECISION)


@triton.jit
def _grad_gates(
    gates: tl.tuple,
    grad_h: tl.tensor,
    grad_c: tl.tensor,
    tanh_c: tl.tensor,
    scaled_row: tl.tensor,
    scaled_column: tl.tensor,
    DTYPE: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """Return the gradients before the gates' nonlinearity, from those of h and c of a cell."""
    output, write = gates[0].to(tl.float32), gates[1].to(tl.float32)
    forget_row, forget_column = gates[2].to(tl.float32), gates[3].to(tl.float32)
    candidate = gates[4].to(tl.float32)
    return (
        (grad_h * tanh_c * output * (1.0 - output)).to(DTYPE),
        (grad_c * candidate * write * (1.0 - write)).to(DTYPE),
        (grad_c * scaled_row * forget_row * (1.0 - forget_row)).to(DTYPE),
        (grad_c * scaled_column * forget_column * (1.0 - forget_column)).to(DTYPE),
        (grad_c * write * (1.0 - candidate * candidate)).to(DTYPE),
    )


@triton.jit
def _backward_inputs(
    gates: tl.tensor,
    cell_state: tl.tensor,
    grad_hidden: tl.tensor,
    grad_cell: tl.tensor,
    walk: tl.tuple,
    band: tl.tensor,
    before: tl.tensor,
    step: tl.tensor,
    rows: int,
    columns: int,
    UNITS: tl.constexpr,
    BLOCK_H: tl.constexpr,
    CHUNK: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """Return gates, c and the gradient of h at a step, and what the row before adds to the first.

    The latter are gradients, of h and of c.
    """
    wait_for_band(before, band, step, columns, CHUNK)
    cell, mask = cells_at(walk, step, rows, columns, UNITS, BLOCK_H)
    at = cell * UNITS + tl.arange(0, BLOCK_H)[None, :]
    kept = _gates(gates, at + cell * (4 * UNITS), mask, UNITS)
    c = tl.load(cell_state + at, mask=mask, other=0.0)
    grad_h = tl.load(grad_hidden + at, mask=mask, other=0.0)
    border_h = load_border(grad_cell, cell - 2 * walk[2], band, mask, UNITS)
    border_c = load_border(grad_cell, cell - walk[2], band, mask, UNITS)
    return kept, c, grad_h, border_h, border_c


@triton.jit(do_not_specialize=SIZES)
def backward_bands(
    gates: tl.tensor,
    row_weights: tl.tensor,
    column_weights: tl.tensor,
    cell_state: tl.tensor,
    grad_hidden: tl.tensor,
    grad_cell: tl.tensor,
    grad_gates: tl.tensor,
    progress: tl.tensor,
    batch: int,
    rows: int,
    columns: int,
    forget_scale: float,
    DTYPE: tl.constexpr,
    DOT_DTYPE: tl.constexpr,
    UNITS: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_H: tl.constexpr,
    CHUNK: tl.constexpr,
) -> None:
    """Compute the gradients of the gates of a band, before their nonlinearity.

    The walk starts at the opposite corner; "before" and "next" are meant in its order, in
    which a cell's successors come before it. Of `grad_cell` two rows a band serve as border:
    the last one for what the band adds to the gradient of the next cell state, the one
    above it for what it adds to that of the next hidden state. `progress` and grid as in
    `forward_bands`.
    """
    ticket = tl.atomic_add(progress, 1, scope="gpu")
    band, image, direction, ticket_before = work_item(ticket, batch)
    own, before = progress + 1 + ticket, progress + 1 + ticket_before
    walk = begin_walk(band, image, direction, 3 - direction, rows, columns, BLOCK_R)
    to_row = walk[2]
    of_row = _weights(row_weights, direction, DOT_DTYPE, UNITS, BLOCK_H, True)
    of_column = _weights(column_weights, direction, DOT_DTYPE, UNITS, BLOCK_H, True)
    is_last = (tl.arange(0, BLOCK_R) == BLOCK_R - 1)[:, None]

    kept, c, grad_h, border_h, border_c = _backward_inputs(
        *(gates, cell_state, grad_hidden, grad_cell, walk, band, before),
        *(0, rows, columns, UNITS, BLOCK_H, CHUNK),
    )
    h_to_row = tl.zeros((BLOCK_R, BLOCK_H), tl.float32)
    h_to_column = tl.zeros((BLOCK_R, BLOCK_H), tl.float32)
    c_to_row = tl.zeros((BLOCK_R, BLOCK_H), tl.float32)
    c_to_column = tl.zeros((BLOCK_R, BLOCK_H), tl.float32)
    steps = columns + tl.minimum(BLOCK_R, rows - band * BLOCK_R) - 1
    step = 0
    while step < steps:
        grad_h = grad_h.to(tl.float32) + from_above(h_to_row, border_h) + h_to_column
        grad_c = from_above(c_to_row, border_c) + c_to_column
        # What the next step needs is under way while this one is computed.
        next_kept, next_c, next_grad_h, border_h, border_c = _backward_inputs(
            *(gates, cell_state, grad_hidden, grad_cell, walk, band, before),
            *(step + 1, rows, columns, UNITS, BLOCK_H, CHUNK),
        )
        cell, mask = cells_at(walk, step, rows, columns, UNITS, BLOCK_H)
        at = cell * UNITS + tl.arange(0, BLOCK_H)[None, :]
        has_row = mask & (walk[0] + 1 < rows)[:, None]
        c_row = tl.load(cell_state + at + to_row * UNITS, mask=has_row, other=0.0)
        tanh_c = tanh(c)
        grad_c += grad_h * kept[0].to(tl.float32) * (1.0 - tanh_c * tanh_c)
        grads = _grad_gates(
            kept, grad_h, grad_c, tanh_c, forget_scale * c_row, forget_scale * next_c, DTYPE
        )
        _store_gates(grad_gates, at + cell * (4 * UNITS), grads, mask, UNITS)
        c_to_row = forget_scale * grad_c * kept[2].to(tl.float32)
        c_to_column = forget_scale * grad_c * kept[3].to(tl.float32)
        h_to_row = _back(grads, of_row, DOT_DTYPE, PRECISION)
        tl.store(grad_cell + at, c_to_row, mask=mask & is_last)
        tl.store(grad_cell + at - to_row * UNITS, h_to_row, mask=mask & is_last)
        publish(own, step + 2 - BLOCK_R, columns, CHUNK)
        h_to_column = _back(grads, of_column, DOT_DTYPE, PRECISION)
        kept, c, grad_h = next_kept, next_c, next_grad_h
        step += 1
