"""The 2D-LSTM cell by cell: the specification that every other backend is tested against.

Byeon et al., CVPR 2015, section 3.1, without peepholes (the published weight counts have
none). Axes: D direction, B batch, R row, C column, I input feature, H hidden unit, G gate.
Slow on purpose: plain loops, gradients by autograd.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mdlstm_core.kernels.weights import FLIPS, MDLSTMStates, MDLSTMWeights, check_arguments


def run(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0) -> Tensor:
    """Return the hidden states D×B×R×C×H of the four directions, in image coordinates.

    Args:
        input_BRCI: input features.
        weights: the layer's weights, same dtype as the input.
        forget_scale: factor on both forget gates; 1 is the paper's cell.

    Raises:
        ValueError: an argument does not fit, or is not finite.
    """
    return states(input_BRCI, weights, forget_scale).hidden


def states(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0) -> MDLSTMStates:
    """Return all gates, cell and hidden states (see `run`)."""
    check_arguments(input_BRCI, weights, forget_scale)
    directions = []
    for direction, flip in enumerate(FLIPS):
        of_direction = MDLSTMWeights(*(weight[direction] for weight in weights))
        grids = _sweep(input_BRCI.flip(flip), of_direction, forget_scale)
        directions.append([grid.flip(flip) for grid in grids])
    return MDLSTMStates(*(torch.stack(grids) for grids in zip(*directions, strict=True)))


def _sweep(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float) -> list[Tensor]:
    """Sweep one direction from the top left; return the states, each B×R×C×H."""
    batch, rows, columns, _ = input_BRCI.shape
    zero = input_BRCI.new_zeros(batch, weights.units)
    cells: dict[tuple[int, int], tuple[Tensor, ...]] = {}
    for row in range(rows):
        for column in range(columns):
            *_, c_row, h_row = cells.get((row - 1, column), (zero, zero))
            *_, c_column, h_column = cells.get((row, column - 1), (zero, zero))
            gates = (
                input_BRCI[:, row, column] @ weights.input_DIG
                + h_row @ weights.recurrent_row_DHG
                + h_column @ weights.recurrent_column_DHG
                + weights.bias_DG
            )
            output, write, forget_row, forget_column, candidate = gates.chunk(5, dim=1)
            o, i = output.sigmoid(), write.sigmoid()
            f_row, f_column = forget_row.sigmoid(), forget_column.sigmoid()
            c_new = candidate.tanh()
            c = forget_scale * (f_row * c_row + f_column * c_column) + i * c_new
            h = o * c.tanh()
            cells[row, column] = (o, i, f_row, f_column, c_new, c, h)
    return [
        torch.stack(grid, dim=1).unflatten(1, (rows, columns))
        for grid in zip(*cells.values(), strict=True)
    ]
