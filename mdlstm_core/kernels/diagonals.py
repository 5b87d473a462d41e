"""Where each cell of a grid lies when the grid is stored diagonal by diagonal.

All cells of an anti-diagonal (row + column constant) can be computed at once. Stored in
diagonal order, a diagonal is one contiguous slice, and so are the cells one row and one
column before it: they are neighbouring slices of the diagonal before. One zero slot on
either end of every diagonal stands for the cells outside the grid.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class Diagonal(NamedTuple):
    """One diagonal: `length` cells from `cell` on, which lie from `slot` on with padding.

    `first_row` is the row of the first cell. `row_slot` and `column_slot` are where their
    predecessors start: the cells one row before and one column before.
    """

    length: int
    first_row: int
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

    @property
    def nbytes(self) -> int:
        """Bytes of all indices."""
        return sum(indices.nbytes for indices in self if isinstance(indices, Tensor))


MOST_LAYOUTS = 64
"""How many are kept, on all devices together."""

MOST_BYTES = 64 << 20
"""Of all that are kept; 22 MiB is one of 512×512 cells."""

_lock = threading.Lock()

_kept: OrderedDict[tuple[int, int, torch.device], DiagonalLayout] = OrderedDict()
"""Layouts by their grid and device, the least recently used first."""


def diagonal_layout(rows: int, columns: int, device: torch.device) -> DiagonalLayout:
    """Return the layout of a rows × columns grid, its indices on `device`."""
    key = (rows, columns, device)
    with _lock:
        found = _kept.get(key)
        if found is not None:
            _kept.move_to_end(key)
            return found
    made = _make_layout(*key)
    if made.nbytes > MOST_BYTES:
        return made
    with _lock:
        _kept[key] = made
        size = sum(layout.nbytes for layout in _kept.values())
        while size > MOST_BYTES or len(_kept) > MOST_LAYOUTS:
            size -= _kept.popitem(last=False)[1].nbytes
    return made


def _make_layout(rows: int, columns: int, device: torch.device) -> DiagonalLayout:
    diagonals, canonical = walk(rows, columns), cells_in_order(rows, columns)
    grid = torch.arange(rows * columns).view(rows, columns)
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
        diagonals=diagonals,
        slots=diagonals[-1].slot + diagonals[-1].length + 1,
        order=order.to(device),
        inverse=order.argsort().to(device),
        cell_slots=slots_from([d.slot for d in diagonals]),
        row_slots=slots_from([d.row_slot for d in diagonals]),
        column_slots=slots_from([d.column_slot for d in diagonals]),
    )


@lru_cache(maxsize=64)
def walk(rows: int, columns: int) -> tuple[Diagonal, ...]:
    """Return the diagonals of a rows × columns grid in the order of the sweep."""
    diagonals: list[Diagonal] = []
    before, before_first_row, cell, slot = 1, 0, 0, 3
    for number in range(rows + columns - 1):
        first_row = max(0, number - columns + 1)
        length = min(rows - 1, number) - first_row + 1
        shift = before + first_row - before_first_row
        diagonals.append(Diagonal(length, first_row, cell, slot, shift - 1, shift))
        before, before_first_row = slot, first_row
        cell += length
        slot += length + 2
    return tuple(diagonals)


def cells_in_order(rows: int, columns: int) -> Tensor:
    """Return the row-major indices of a grid's cells in diagonal order."""
    cells = [
        row * columns + number - row
        for number, diagonal in enumerate(walk(rows, columns))
        for row in range(diagonal.first_row, diagonal.first_row + diagonal.length)
    ]
    # Torch keeps the index of a cell as int64, whatever the size of the grid.
    return torch.tensor(cells)
