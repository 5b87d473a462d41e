"""How the bands of rows of a grid share the work among programs and hand it over in order.

A program takes one band of `BLOCK_R` rows of one image in one direction, one lane a row. At
step s lane r is at column s - r, so that the lanes lie on a diagonal: what a lane needs of
the column before is its own value of the last step, what it needs of the row before is that
of the lane above. Only the first lane needs another program: the one of the band before,
which counts in `progress` the columns that its last row has finished, `CHUNK` at a time.

No program waits for ever, however few of them the GPU runs at once. A program does not
take its work by its place in the launch but by a ticket, drawn from a counter when it
begins, and all tickets of one band are smaller than those of the next. So whoever waits,
waits for a smaller ticket, which is held by a program that runs already or has ended. The
smallest ticket of those that run waits for none of them, hence that program ends; then the
next smallest, and so on.

The hand-over: the values are stored, a barrier gathers the program's threads, then the count
is released at the scope of the GPU. The other side acquires the count, and reads the values
past its L1 cache. Tests without a GPU show that the order of these steps is right, not that a
GPU's memory keeps it.

Lanes off the grid: before a lane's first column all that it adds up is zero, and so are its
states; after its last one, or in a row that is none, its numbers reach nobody but other
lanes off the grid, and are not stored.

Rows and columns are counted from the corner where the sweep starts. Axes as in
`triton_diagonal`.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def work_item(ticket: tl.tensor, batch: int) -> tuple[tl.tensor, ...]:
    """Return the band, the image, the direction and the ticket of the band before."""
    items = 4 * batch
    return ticket // items, ticket % items // 4, ticket % 4, ticket - items


@triton.jit
def begin_walk(
    band: tl.tensor,
    image: tl.tensor,
    direction: tl.tensor,
    corner: tl.tensor,
    rows: int,
    columns: int,
    BLOCK_R: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """Return each lane's row and its cell in column 0, and the steps to the next row and column.

    `corner` is the direction that starts where the walk does.
    """
    row = band * BLOCK_R + tl.arange(0, BLOCK_R)
    from_top = corner < 2
    from_left = corner % 2 == 0
    image_row = tl.where(from_top, row, rows - 1 - row)
    image_column = tl.where(from_left, 0, columns - 1)
    # 512×512 cells of 16 images have more than 2^31 gates.
    cell = (image.to(tl.int64) * rows + image_row) * columns + image_column
    to_row = tl.where(from_top, 4 * columns, -4 * columns)
    to_column = tl.where(from_left, 4, -4)
    return row, cell * 4 + direction, to_row, to_column


@triton.jit
def cells_at(
    walk: tl.tuple,
    step: tl.tensor,
    rows: int,
    columns: int,
    UNITS: tl.constexpr,
    BLOCK_H: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """Return each lane's cell at a step, and which lanes are on the grid by which units are any."""
    row, first, _, to_column = walk
    column = step - tl.arange(0, row.shape[0])
    live = (row < rows) & (column >= 0) & (column < columns)
    mask = live[:, None] & (tl.arange(0, BLOCK_H) < UNITS)[None, :]
    return (first + column * to_column)[:, None], mask


@triton.jit
def wait_for_band(
    before: tl.tensor, band: tl.tensor, column: tl.tensor, columns: int, CHUNK: tl.constexpr
) -> None:
    """At the first column of a chunk, wait until the band before has finished that chunk."""
    if (band > 0) & (column % CHUNK == 0) & (column < columns):
        needed = tl.minimum(column + CHUNK, columns)
        while tl.atomic_add(before, 0, sem="acquire", scope="gpu") < needed:
            pass


@triton.jit
def publish(own: tl.tensor, finished: tl.tensor, columns: int, CHUNK: tl.constexpr) -> None:
    """Count the columns that the last lane has finished, at the end of a chunk or the grid."""
    ready = (finished > 0) & ((finished % CHUNK == 0) | (finished == columns))
    # All threads have stored before one of them says so.
    tl.debug_barrier()
    # Masked: a branch here makes the compiler move products behind it, and registers spill.
    tl.atomic_xchg(own, finished, mask=ready, sem="release", scope="gpu")


@triton.jit
def from_above(values: tl.tensor, border: tl.tensor) -> tl.tensor:
    """Return each lane's value of the lane above, and the border to the first lane."""
    lane = tl.arange(0, values.shape[0])[:, None]
    above = tl.broadcast_to(tl.maximum(lane - 1, 0), values.shape)
    return tl.where(lane == 0, border, tl.gather(values, above, axis=0))


@triton.jit
def load_border(
    base: tl.tensor, cell: tl.tensor, band: tl.tensor, mask: tl.tensor, UNITS: tl.constexpr
) -> tl.tensor:
    """Return to the first lane the values of a cell of the band before; zero if there is none."""
    of_first = mask & (tl.arange(0, mask.shape[0]) == 0)[:, None] & (band > 0)
    index = cell * UNITS + tl.arange(0, mask.shape[1])[None, :]
    # The L1 cache may hold what was there before another program wrote.
    return tl.load(base + index, mask=of_first, other=0.0, cache_modifier=".cg")
