"""The order in which the four directions visit the cells of a grid, for playing a sweep.

A cell's state is computed once, when the wavefront is at its diagonal, and stays: a map up
to a diagonal is the finished map where `reached`. Directions are indices into `DIRECTIONS`.
Plain numpy, some microseconds for a grid of 64×48.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import DIRECTIONS
from mdlstm_core.errors import InputError

_FLIPS: tuple[tuple[int, ...], ...] = ((), (1,), (0,), (0, 1))
"""Axes to flip so that a direction's sweep starts at the top left (see `kernels.reference`)."""

KNOWN, REACHED = 255, 110
"""How much of the image cells cover that are computed: those that the pinned cell knows of
if there is one, and the others."""


@dataclass(frozen=True, eq=False)
class Wavefront:
    """How far a direction's sweep has got.

    Attributes:
        cover: how much of the image each cell covers, R×C, 0 to 255; 0 where not reached.
        front: which cells are computed just now, R×C.
    """

    cover: NDArray[np.uint8]
    front: NDArray[np.bool_]


def diagonal_count(rows: int, columns: int) -> int:
    """Return how many diagonals a grid has."""
    return rows + columns - 1


def diagonal_numbers(rows: int, columns: int, direction: int) -> NDArray[np.int32]:
    """Return the diagonal on which a direction reaches each cell: R×C, 0 at its corner."""
    numbers = np.add.outer(np.arange(rows, dtype=np.int32), np.arange(columns, dtype=np.int32))
    return np.flip(numbers, _FLIPS[direction])


def reached(rows: int, columns: int, direction: int, diagonal: int) -> NDArray[np.bool_]:
    """Return the cells that a direction has computed once it is done with a diagonal: R×C."""
    return diagonal_numbers(rows, columns, direction) <= diagonal


def known(rows: int, columns: int, direction: int, row: int, column: int) -> NDArray[np.bool_]:
    """Return the cells that a direction's state at a cell can know of: R×C.

    They form the rectangle from the direction's corner to the cell, which belongs to it.
    """
    vertical, horizontal = DIRECTIONS[direction].split("-")
    above = np.arange(rows) <= row if vertical == "top" else np.arange(rows) >= row
    left = np.arange(columns) <= column if horizontal == "left" else np.arange(columns) >= column
    return np.logical_and.outer(above, left)


def wavefront_at(
    rows: int, columns: int, direction: int, diagonal: int, pinned: tuple[int, int] | None = None
) -> Wavefront:
    """Return how far a direction has got at a diagonal.

    With a pinned cell, what is computed but out of its reach covers less.
    """
    numbers = diagonal_numbers(rows, columns, direction)
    is_reached = numbers <= diagonal
    cover = np.where(is_reached, KNOWN, 0)
    if pinned is not None:
        cover[is_reached & ~known(rows, columns, direction, *pinned)] = REACHED
    return Wavefront(cover.astype(np.uint8), numbers == diagonal)


def check_diagonal(diagonal: int, layer: int, rows: int, columns: int) -> None:
    """Check that the grid of a layer has a diagonal; both count from 0.

    Raises:
        InputError: it has not.
    """
    count = diagonal_count(rows, columns)
    if not 0 <= diagonal < count:
        raise InputError(
            f"Layer {layer + 1} has diagonals 1 to {count} over this image, no diagonal "
            f"{diagonal + 1}."
        )
