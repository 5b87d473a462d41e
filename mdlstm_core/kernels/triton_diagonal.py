"""Triton kernels that compute one diagonal of the 2D-LSTM in one launch, and its gradient.

A program takes a tile of a diagonal's cells and of the hidden units; cells of all images and
the four directions lie in one grid of programs. Every tensor stays in image order and the
kernels find a diagonal's cells by arithmetic, so that nothing is sorted before or after.
The backward kernel gathers from the cells behind instead of adding to those before: each
value has one writer, no atomic operation is needed, and the result is the same every time.

Axes: N cell (image, row, column, direction), D direction, H hidden unit, G gate
(5·H, blocks in `GATES` order). The four directions are those of `config.DIRECTIONS`.
"""

from __future__ import annotations

import triton
import triton.language as tl

from mdlstm_core.kernels.triton_functions import load, sigmoid, tanh

FORWARD_TENSORS = ("gates_NG", "row_DHG", "column_DHG", "cell_NH", "hidden_NH")
"""What `forward_diagonal` finds in its table of addresses, in this order."""

BACKWARD_TENSORS = (
    *("gates_NG", "row_DHG", "column_DHG", "cell_NH"),
    *("grad_hidden_NH", "grad_cell_NH", "grad_gates_NG"),
)
"""What `backward_diagonal` finds in its table of addresses, in this order."""

TABLE_SIZE = len(BACKWARD_TENSORS)

SIZES = ("number", "batch", "rows", "columns", "forget_scale")
"""Arguments that must not be specialized: a value of 1 or 16 would be compiled anew."""


@triton.jit
def fill_table(
    table: tl.tensor,
    t0: tl.tensor,
    t1: tl.tensor,
    t2: tl.tensor,
    t3: tl.tensor,
    t4: tl.tensor,
    t5: tl.tensor,
    t6: tl.tensor,
) -> None:
    """Write the addresses of the tensors to `table`."""
    tl.store(table + 0, t0.to(tl.int64))
    tl.store(table + 1, t1.to(tl.int64))
    tl.store(table + 2, t2.to(tl.int64))
    tl.store(table + 3, t3.to(tl.int64))
    tl.store(table + 4, t4.to(tl.int64))
    tl.store(table + 5, t5.to(tl.int64))
    tl.store(table + 6, t6.to(tl.int64))


@triton.jit
def _address(table: tl.tensor, index: tl.constexpr, DTYPE: tl.constexpr) -> tl.tensor:
    """Return entry `index` of the table as a pointer.

    That it is a multiple of 16 has to be said for loads to take more than one value.
    """
    return tl.multiple_of(tl.load(table + index).to(tl.pointer_type(DTYPE)), 16)


@triton.jit
def _lanes(
    number: int, batch: int, rows: int, columns: int, direction: tl.tensor, BLOCK_M: tl.constexpr
) -> tuple[tl.tensor, ...]:
    """Return the program's cells: live, index, row, column, and steps to the next of each.

    Row and column are counted from the corner where the direction starts.
    """
    first = tl.maximum(0, number - columns + 1)
    length = tl.minimum(rows - 1, number) - first + 1
    lane = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    live = lane < batch * length
    row = first + lane % length
    column = number - row
    from_top = direction < 2
    from_left = direction % 2 == 0
    image_row = tl.where(from_top, row, rows - 1 - row)
    image_column = tl.where(from_left, column, columns - 1 - column)
    # 512×512 cells of 16 images have more than 2^31 gates.
    cell = (lane // length).to(tl.int64) * rows + image_row
    cell = (cell * columns + image_column) * 4 + direction
    to_row = tl.where(from_top, 4 * columns, -4 * columns)
    to_column = tl.where(from_left, 4, -4)
    return live, cell, row, column, to_row, to_column


@triton.jit
def _add_gate(
    total: tl.tensor,
    hidden_row: tl.tensor,
    hidden_column: tl.tensor,
    row_weights: tl.tensor,
    column_weights: tl.tensor,
    mask: tl.tensor,
    DOT_DTYPE: tl.constexpr,
    PRECISION: tl.constexpr,
) -> tl.tensor:
    """Return `total` plus what the two predecessors add to one gate."""
    weights = tl.load(row_weights, mask=mask, other=0.0).to(DOT_DTYPE)
    total = tl.dot(hidden_row, weights, total, input_precision=PRECISION)
    weights = tl.load(column_weights, mask=mask, other=0.0).to(DOT_DTYPE)
    return tl.dot(hidden_column, weights, total, input_precision=PRECISION)


@triton.jit(do_not_specialize=SIZES)
def forward_diagonal(
    table: tl.tensor,
    number: int,
    batch: int,
    rows: int,
    columns: int,
    forget_scale: float,
    DTYPE: tl.constexpr,
    DOT_DTYPE: tl.constexpr,
    UNITS: tl.constexpr,
    KEEP_GATES: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    """Compute cell and hidden state of diagonal `number` from those before it.

    `DOT_DTYPE` is the type of the products' factors: `DTYPE`, but for the interpreter, which
    cannot multiply bfloat16.
    The gates' input part is read from gates_NG, and overwritten by the gates after their
    nonlinearity if `KEEP_GATES`. Grid: tiles of cells, tiles of units, directions.
    """
    gates = _address(table, 0, DTYPE)
    row_weights = _address(table, 1, DTYPE)
    column_weights = _address(table, 2, DTYPE)
    cell_state = _address(table, 3, tl.float32)
    hidden = _address(table, 4, DTYPE)
    direction = tl.program_id(2)
    live, cell, row, column, to_row, to_column = _lanes(
        number, batch, rows, columns, direction, BLOCK_M
    )
    unit = tl.program_id(1) * BLOCK_H + tl.arange(0, BLOCK_H)
    has_unit = unit < UNITS
    mask = live[:, None] & has_unit[None, :]
    has_row = (live & (row > 0))[:, None]
    has_column = (live & (column > 0))[:, None]
    row_before = (cell - to_row)[:, None] * UNITS
    column_before = (cell - to_column)[:, None] * UNITS

    at_gate = cell[:, None] * (5 * UNITS) + unit[None, :]
    output = load(gates, at_gate, mask)
    write = load(gates, at_gate + UNITS, mask)
    forget_row = load(gates, at_gate + 2 * UNITS, mask)
    forget_column = load(gates, at_gate + 3 * UNITS, mask)
    candidate = load(gates, at_gate + 4 * UNITS, mask)
    for start in range(0, UNITS, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        has_k = (k < UNITS)[None, :]
        h_row = tl.load(hidden + row_before + k[None, :], mask=has_row & has_k, other=0.0)
        h_column = tl.load(hidden + column_before + k[None, :], mask=has_column & has_k, other=0.0)
        h_row = h_row.to(DOT_DTYPE)
        h_column = h_column.to(DOT_DTYPE)
        at = (direction * UNITS + k[:, None]) * (5 * UNITS) + unit[None, :]
        wm = (k < UNITS)[:, None] & has_unit[None, :]
        wr = row_weights + at
        wc = column_weights + at
        output = _add_gate(output, h_row, h_column, wr, wc, wm, DOT_DTYPE, PRECISION)
        write = _add_gate(write, h_row, h_column, wr + UNITS, wc + UNITS, wm, DOT_DTYPE, PRECISION)
        wr += 2 * UNITS
        wc += 2 * UNITS
        forget_row = _add_gate(forget_row, h_row, h_column, wr, wc, wm, DOT_DTYPE, PRECISION)
        wr += UNITS
        wc += UNITS
        forget_column = _add_gate(forget_column, h_row, h_column, wr, wc, wm, DOT_DTYPE, PRECISION)
        candidate = _add_gate(
            candidate, h_row, h_column, wr + UNITS, wc + UNITS, wm, DOT_DTYPE, PRECISION
        )

    output = sigmoid(output)
    write = sigmoid(write)
    forget_row = sigmoid(forget_row)
    forget_column = sigmoid(forget_column)
    candidate = tanh(candidate)
    c = forget_row * load(cell_state, row_before + unit[None, :], mask & has_row)
    c += forget_column * load(cell_state, column_before + unit[None, :], mask & has_column)
    c = forget_scale * c + write * candidate
    at_unit = cell[:, None] * UNITS + unit[None, :]
    tl.store(cell_state + at_unit, c, mask=mask)
    tl.store(hidden + at_unit, (output * tanh(c)).to(DTYPE), mask=mask)
    if KEEP_GATES:
        tl.store(gates + at_gate, output.to(DTYPE), mask=mask)
        tl.store(gates + at_gate + UNITS, write.to(DTYPE), mask=mask)
        tl.store(gates + at_gate + 2 * UNITS, forget_row.to(DTYPE), mask=mask)
        tl.store(gates + at_gate + 3 * UNITS, forget_column.to(DTYPE), mask=mask)
        tl.store(gates + at_gate + 4 * UNITS, candidate.to(DTYPE), mask=mask)


@triton.jit(do_not_specialize=SIZES)
def backward_diagonal(
    table: tl.tensor,
    number: int,
    batch: int,
    rows: int,
    columns: int,
    forget_scale: float,
    DTYPE: tl.constexpr,
    DOT_DTYPE: tl.constexpr,
    UNITS: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    """Compute the gradients of cell state and gates of diagonal `number`.

    The gates' gradient is the one before their nonlinearity. What reaches a cell comes
    from grad_hidden_NH and from the cells one row and one column behind it, whose
    gradients the launch before wrote. Grid as in `forward_diagonal`.
    """
    gates = _address(table, 0, DTYPE)
    row_weights = _address(table, 1, DTYPE)
    column_weights = _address(table, 2, DTYPE)
    cell_state = _address(table, 3, tl.float32)
    grad_hidden = _address(table, 4, DTYPE)
    grad_cell = _address(table, 5, tl.float32)
    grad_gates = _address(table, 6, DTYPE)
    direction = tl.program_id(2)
    live, cell, row, column, to_row, to_column = _lanes(
        number, batch, rows, columns, direction, BLOCK_M
    )
    unit = tl.program_id(1) * BLOCK_H + tl.arange(0, BLOCK_H)
    has_unit = unit < UNITS
    mask = live[:, None] & has_unit[None, :]
    before_row = mask & (row > 0)[:, None]
    before_column = mask & (column > 0)[:, None]
    behind_row = (live & (row + 1 < rows))[:, None]
    behind_column = (live & (column + 1 < columns))[:, None]
    next_row = (cell + to_row)[:, None]
    next_column = (cell + to_column)[:, None]

    at_unit = cell[:, None] * UNITS + unit[None, :]
    grad_h = load(grad_hidden, at_unit, mask)
    for start in range(0, 5 * UNITS, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        has_k = (k < 5 * UNITS)[None, :]
        at = next_row * (5 * UNITS) + k[None, :]
        from_row = tl.load(grad_gates + at, mask=behind_row & has_k, other=0.0)
        at = next_column * (5 * UNITS) + k[None, :]
        from_column = tl.load(grad_gates + at, mask=behind_column & has_k, other=0.0)
        # The weights transposed: gate by unit.
        at = (direction * UNITS + unit[None, :]) * (5 * UNITS) + k[:, None]
        wm = (k < 5 * UNITS)[:, None] & has_unit[None, :]
        weights = tl.load(row_weights + at, mask=wm, other=0.0).to(DOT_DTYPE)
        grad_h = tl.dot(from_row.to(DOT_DTYPE), weights, grad_h, input_precision=PRECISION)
        weights = tl.load(column_weights + at, mask=wm, other=0.0).to(DOT_DTYPE)
        grad_h = tl.dot(from_column.to(DOT_DTYPE), weights, grad_h, input_precision=PRECISION)

    behind = mask & behind_row
    at = next_row * UNITS + unit[None, :]
    forget = load(gates, at + next_row * (4 * UNITS) + 2 * UNITS, behind)
    grad_c = forget * load(grad_cell, at, behind)
    behind = mask & behind_column
    at = next_column * UNITS + unit[None, :]
    forget = load(gates, at + next_column * (4 * UNITS) + 3 * UNITS, behind)
    grad_c = forget_scale * (grad_c + forget * load(grad_cell, at, behind))

    at_gate = cell[:, None] * (5 * UNITS) + unit[None, :]
    output = load(gates, at_gate, mask)
    tanh_c = tanh(load(cell_state, at_unit, mask))
    grad_c += grad_h * output * (1.0 - tanh_c * tanh_c)
    tl.store(grad_cell + at_unit, grad_c, mask=mask)
    grad = grad_h * tanh_c * output * (1.0 - output)
    tl.store(grad_gates + at_gate, grad.to(DTYPE), mask=mask)
    write = load(gates, at_gate + UNITS, mask)
    candidate = load(gates, at_gate + 4 * UNITS, mask)
    grad = grad_c * candidate * write * (1.0 - write)
    tl.store(grad_gates + at_gate + UNITS, grad.to(DTYPE), mask=mask)
    grad = grad_c * write * (1.0 - candidate * candidate)
    tl.store(grad_gates + at_gate + 4 * UNITS, grad.to(DTYPE), mask=mask)
    grad_c *= forget_scale
    forget = load(gates, at_gate + 2 * UNITS, mask)
    at = (cell - to_row)[:, None] * UNITS + unit[None, :]
    grad = grad_c * load(cell_state, at, before_row) * forget * (1.0 - forget)
    tl.store(grad_gates + at_gate + 2 * UNITS, grad.to(DTYPE), mask=mask)
    forget = load(gates, at_gate + 3 * UNITS, mask)
    at = (cell - to_column)[:, None] * UNITS + unit[None, :]
    grad = grad_c * load(cell_state, at, before_column) * forget * (1.0 - forget)
    tl.store(grad_gates + at_gate + 3 * UNITS, grad.to(DTYPE), mask=mask)
