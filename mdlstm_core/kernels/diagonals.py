"""Where each cell of a grid lies when the grid is stored diagonal by diagonal.

All cells of an anti-diagonal (row + column constant) can be computed at once. Stored in
diagonal order, a diagonal is one contiguous slice, and so are the cells one row and one
column before it: they are neighbouring slices of the diagonal before. One zero slot on
either end of every diagonal stands for the cells outside the grid.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class Diagonal(NamedTuple):
    """One diagonal: `length` cells from `cell` on, which lie from `slot` on with padding.

    `row_slot` and `column_slot` are where their predecessors start: the cells one row
    before and one column before.
    """

    length: int
    cell: int
    slot: int
    row_slot: int
    column_slot: int


class DiagonalLayout(NamedTuple):
    """Diagonal order of a grid, for the four directions.

    Attributes:
        diagonals: in the order of the sweep.
        slots: number of slots, padding included.
        order: for each position in diagonal order, of each direction one after the
            other, the index of its cell in row-major order (N = 4·rows·columns).
        inverse: the inverse permutation.
        cell_slots: for each cell in diagonal order its slot; likewise `row_slots` and
            `column_slots` for its predecessors.
    """

    diagonals: tuple[Diagonal, ...]
    slots: int
    order: Tensor
    inverse: Tensor
    cell_slots: Tensor
    row_slots: Tensor
    column_slots: Tensor


@lru_cache(maxsize=64)
def diagonal_layout(rows: int, columns: int, device: torch.device) -> DiagonalLayout:
    """Return the layout of a rows × columns grid, its indices on `device`."""
    diagonals, cells = _walk(rows, columns)
    # Torch keeps the index of a cell as int64, whatever the size of the grid.
    grid = torch.arange(rows * columns).view(rows, columns)
    canonical = torch.tensor(cells)
    order = torch.cat(
        [
            flipped.flatten()[canonical] + direction * rows * columns
            for direction, flipped in enumerate((grid, grid.flip(1), grid.flip(0), grid.flip(0, 1)))
        ]
    )

    def slots_from(starts: list[int]) -> Tensor:
        ranges = [
            torch.arange(start, start + diagonal.length)
            for start, diagonal in zip(starts, diagonals, strict=True)
        ]
        return torch.cat(ranges).to(device)

    return DiagonalLayout(
        diagonals=tuple(diagonals),
        slots=diagonals[-1].slot + diagonals[-1].length + 1,
        order=order.to(device),
        inverse=order.argsort().to(device),
        cell_slots=slots_from([d.slot for d in diagonals]),
        row_slots=slots_from([d.row_slot for d in diagonals]),
        column_slots=slots_from([d.column_slot for d in diagonals]),
    )


def _walk(rows: int, columns: int) -> tuple[list[Diagonal], list[int]]:
    """Return the diagonals and the row-major indices of the cells in diagonal order."""
    diagonals: list[Diagonal] = []
    cells: list[int] = []
    before, before_first_row, slot = 1, 0, 3
    for number in range(rows + columns - 1):
        first_row = max(0, number - columns + 1)
        last_row = min(rows - 1, number)
        length = last_row - first_row + 1
        shift = before + first_row - before_first_row
        diagonals.append(Diagonal(length, len(cells), slot, shift - 1, shift))
        cells += [row * columns + number - row for row in range(first_row, last_row + 1)]
        before, before_first_row = slot, first_row
        slot += length + 2
    return diagonals, cells
