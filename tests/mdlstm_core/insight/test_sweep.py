"""The order of the sweep against what a change of the input reaches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mdlstm_core.insight.sweep import (
    diagonal_count,
    diagonal_numbers,
    known,
    reached,
    wavefront_at,
)
from mdlstm_core.kernels import reference
from mdlstm_core.layers import MDLSTM

sizes = st.integers(1, 12)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 5), (4, 3), (5, 6)])
def test_known_cells_are_those_that_a_change_comes_from(rows: int, columns: int) -> None:
    torch.manual_seed(3)
    sweep = MDLSTM(inputs=2, units=3)
    grid = torch.randn(1, rows, columns, 2)
    with torch.no_grad():
        before = reference.run(grid, sweep.weights)
        for row, column in np.ndindex(rows, columns):
            changed = grid.clone()
            changed[0, row, column] += 5
            moved = reference.run(changed, sweep.weights) != before
            for direction in range(4):
                reaches = moved[direction, 0].any(dim=2).numpy()
                for cell in np.ndindex(rows, columns):
                    mask = known(rows, columns, direction, *cell)
                    assert mask[row, column] == reaches[cell]


@given(sizes, sizes, st.integers(0, 3))
def test_a_cell_knows_only_diagonals_before_its_own(
    rows: int, columns: int, direction: int
) -> None:
    numbers = diagonal_numbers(rows, columns, direction)
    for row, column in np.ndindex(rows, columns):
        mask = known(rows, columns, direction, row, column)
        mask[row, column] = False
        assert (numbers[mask] < numbers[row, column]).all()


@given(sizes, sizes, st.integers(0, 3))
def test_reached_cells_grow_from_the_corner_to_the_whole_grid(
    rows: int, columns: int, direction: int
) -> None:
    count = diagonal_count(rows, columns)
    masks = [reached(rows, columns, direction, d) for d in range(-1, count)]

    assert not masks[0].any()
    assert masks[1].sum() == 1
    assert masks[-1].all()
    corner = [(0, 0), (0, -1), (-1, 0), (-1, -1)][direction]
    assert masks[1][corner]
    for before, after in itertools.pairwise(masks):
        assert (before <= after).all()
        assert after.sum() > before.sum()


@given(sizes, sizes, st.integers(0, 3), st.data())
def test_the_wavefront_covers_what_is_reached_and_less_what_the_pinned_cell_cannot_know(
    rows: int, columns: int, direction: int, data: st.DataObject
) -> None:
    diagonal = data.draw(st.integers(0, diagonal_count(rows, columns) - 1))
    pinned = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    is_reached = reached(rows, columns, direction, diagonal)
    front = diagonal_numbers(rows, columns, direction) == diagonal

    bare = wavefront_at(rows, columns, direction, diagonal)
    np.testing.assert_array_equal(bare.cover, np.where(is_reached, 255, 0))
    found = wavefront_at(rows, columns, direction, diagonal, pinned)
    knows = known(rows, columns, direction, *pinned)
    np.testing.assert_array_equal(found.cover == 255, is_reached & knows)
    np.testing.assert_array_equal(found.cover > 0, is_reached)
    for wavefront in (bare, found):
        np.testing.assert_array_equal(wavefront.front, front)
