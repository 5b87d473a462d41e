"""How the compiled sweeps find their numbers in memory.

Axes as in `compiled_wavefront`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mdlstm_core.kernels.diagonals import walk
from mdlstm_core.kernels.sweep_arguments import TABLE
from mdlstm_core.kernels.weights import FLIPS

NUMBERS: dict[torch.dtype, type[np.floating[Any]]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
}
"""Numpy's name of each type of numbers that there is a compiled kernel for."""


def pad_gates(values: Tensor, units: int, width: int) -> Tensor:
    """Bring …×G to …×5×U, with zeros for the units that are none."""
    return functional.pad(values.unflatten(-1, (5, units)), (0, width - units))


def gate_panels(weights_DKG: Tensor, units: int, lanes: int) -> Tensor:
    """Turn weights from K to gates into panels of one vector of each gate: D×blocks×K×5×lanes."""
    width = -(-units // lanes) * lanes
    padded = pad_gates(weights_DKG, units, width).unflatten(3, (-1, lanes))
    return padded.permute(0, 3, 1, 2, 4).contiguous()


def panels_to(weights_DXG: Tensor, lanes: int) -> Tensor:
    """Turn weights from X to gates into panels from gates to X: D×(X padded / lanes)×G×lanes."""
    turned = weights_DXG.transpose(1, 2)
    padded = functional.pad(turned, (0, -turned.shape[2] % lanes))
    return padded.unflatten(2, (-1, lanes)).transpose(1, 2).contiguous()


def in_memory(values: Tensor) -> Tensor:
    """Return a tensor whose numbers are those in memory, its last axis without gaps.

    Torch has tensors of zeros that lie nowhere, and views that are their memory's negative.
    """
    if values._is_zerotensor():
        return torch.zeros_like(values, memory_format=torch.contiguous_format)
    values = values.resolve_neg()
    return values if values.stride(-1) == 1 else values.contiguous()


def fresh(shape: tuple[int, ...], dtype: torch.dtype, *, zeros: bool = False) -> Tensor:
    """Return memory that is not yet filled, or zeros.

    From numpy, which asks Linux for large pages where it takes 4 MiB or more; torch takes small
    ones, and to get them cost a training step as much time as to fill them.
    """
    make = np.zeros if zeros else np.empty
    return torch.from_numpy(make(shape, NUMBERS[dtype]))


def corner(grid_RCF: Tensor, direction: int) -> tuple[int, int, int]:
    """Return the address where a direction starts, and its step to the next row and column."""
    row, column = grid_RCF.stride()[:2]
    offset = 0
    if 1 in FLIPS[direction]:
        offset, row = offset + row * (grid_RCF.shape[0] - 1), -row
    if 2 in FLIPS[direction]:
        offset, column = offset + column * (grid_RCF.shape[1] - 1), -column
    return grid_RCF.data_ptr() + offset * grid_RCF.element_size(), row, column


def ring_slots(rows: int, columns: int) -> int:
    """Return the slots of the longest diagonal with its two slots of zeros."""
    return min(rows, columns) + 2


@lru_cache(maxsize=64)
def diagonal_table(rows: int, columns: int, keep: bool) -> NDArray[np.int64]:
    """Return the table of diagonals (see `sweep_arguments.TABLE`).

    Args:
        rows: of the grid.
        columns: of the grid.
        keep: all states have slots; otherwise diagonals take turns in two rows of slots,
            whose ends stay zero because they are only asked for before they are reached.
    """
    diagonals, ring = walk(rows, columns), ring_slots(rows, columns)
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
