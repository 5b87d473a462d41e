"""The torch kernel without gradients: a part of the diagonals at a time."""

from __future__ import annotations

import pytest
import torch

from mdlstm_core.kernels import MDLSTMWeights, reference, wavefront
from mdlstm_core.kernels.diagonals import walk

GRIDS = [(1, 1), (5, 7), (9, 1), (1, 8), (13, 6)]


def drawn(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("cells", [1, 4, 11, 1000])
@pytest.mark.parametrize("grid", GRIDS)
def test_parts_give_what_the_reference_does(
    grid: tuple[int, int], cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, features, units = 2, 3, 4
    image = drawn(batch, *grid, features)
    recurrent = drawn(4, units, 5 * units), drawn(4, units, 5 * units) / 2
    weights = MDLSTMWeights(drawn(4, features, 5 * units), *recurrent, drawn(4, 5 * units))
    monkeypatch.setattr(wavefront, "_PART_BYTES", cells * 4 * 5 * units * 8)

    found = wavefront.run(image, weights, 0.5)

    torch.testing.assert_close(found, reference.run(image, weights, 0.5), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("grid", GRIDS)
def test_parts_hold_each_diagonal_once_and_no_more_cells_than_they_may(
    grid: tuple[int, int],
) -> None:
    most, diagonals = 7, walk(*grid)

    parts = list(wavefront._parts(diagonals, most))

    lengths = [[d.length for d in part] for _, _, part in parts]
    assert [length for each in lengths for length in each] == [d.length for d in diagonals]
    assert all(len(each) == 1 or sum(each) <= most for each in lengths)
    assert [cell for cell, _, _ in parts] == [
        sum(sum(each) for each in lengths[:number]) for number in range(len(parts))
    ]
