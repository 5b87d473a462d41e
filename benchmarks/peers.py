"""What the kernels are compared with. Axes as in `mdlstm_core.kernels`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mdlstm_core.kernels.diagonals import diagonal_layout
from mdlstm_core.kernels.weights import MDLSTMWeights

_MOST_ROWS = 4_096
"""Rows of a product that are timed; more would only leave the cache, and are scaled up."""


def autograd_diagonal(
    input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0
) -> Tensor:
    """Return the hidden states D×B×R×C×H: a diagonal at a time, gradients by autograd.

    What one writes in torch without a backward pass of one's own: all directions, images
    and cells of a diagonal in one product a predecessor.
    """
    batch, rows, columns, features = input_BRCI.shape
    layout = diagonal_layout(rows, columns, input_BRCI.device)
    cells = input_BRCI.reshape(batch, -1, features).transpose(0, 1)
    ordered = cells.repeat(4, 1, 1)[layout.order].view(4, -1, features)
    units = weights.units
    projected = torch.baddbmm(weights.bias_DG.unsqueeze(1), ordered, weights.input_DIG)
    projected = projected.view(4, -1, batch, 5 * units)
    none = input_BRCI.new_zeros(4, 1, batch, units)
    hidden, cell = none.expand(4, 3, batch, units), none.expand(4, 3, batch, units)
    found, slot = [], 1
    # Split at once: the gradient of a slice of all cells would be as large as all cells.
    of_diagonals = projected.split([diagonal.length for diagonal in layout.diagonals], dim=1)
    for diagonal, gates in zip(layout.diagonals, of_diagonals, strict=True):
        length, start = diagonal.length, diagonal.row_slot - (slot - 1)
        h_row, h_column = hidden[:, start : start + length], hidden[:, start + 1 :][:, :length]
        c_row, c_column = cell[:, start : start + length], cell[:, start + 1 :][:, :length]
        gates = gates + (
            h_row.flatten(1, 2) @ weights.recurrent_row_DHG
            + h_column.flatten(1, 2) @ weights.recurrent_column_DHG
        ).unflatten(1, (length, batch))
        o, i, f_row, f_column = gates[..., : 4 * units].sigmoid().chunk(4, dim=3)
        c = forget_scale * (f_row * c_row + f_column * c_column)
        c = c + i * gates[..., 4 * units :].tanh()
        h = o * c.tanh()
        found.append(h)
        hidden, cell = torch.cat([none, h, none], dim=1), torch.cat([none, c, none], dim=1)
        slot = diagonal.slot
    in_order = torch.cat(found, dim=1).reshape(-1, batch, units)[layout.inverse]
    return in_order.view(4, rows, columns, batch, units).permute(0, 3, 1, 2, 4)


def layer_flops(rows: int, columns: int, batch: int, units: int) -> int:
    """Floating-point operations of a forward pass's products; as many inputs as units."""
    return 4 * rows * columns * batch * 2 * 5 * units * 3 * units


def equal_lstm(
    rows: int, columns: int, batch: int, units: int, device: torch.device, dtype: torch.dtype
) -> tuple[nn.LSTM, Tensor]:
    """Return a torch.nn.LSTM and an input with as many steps and operations as the layer.

    Its steps are the grid's diagonals; its sequences make up for the rest.
    """
    steps = rows + columns - 1
    of_step = 2 * 4 * units * 2 * units
    sequences = max(1, round(layer_flops(rows, columns, batch, units) / (of_step * steps)))
    lstm = nn.LSTM(units, units).to(device, dtype)
    return lstm, torch.randn(steps, sequences, units, device=device, dtype=dtype)


def floor_products(
    rows: int, columns: int, batch: int, units: int, device: torch.device, dtype: torch.dtype
) -> tuple[Callable[[], None], Callable[[], None], float]:
    """Return the layer's bare products forward and backward, and what to scale their time by.

    Of each direction one product for all cells, with input and both predecessors side by
    side: gates = values · weights; backward the gradients of values and of weights.
    """
    cells = rows * columns * batch
    timed = min(cells, _MOST_ROWS)
    values = torch.randn(timed, 3 * units, device=device, dtype=dtype)
    weights = torch.randn(3 * units, 5 * units, device=device, dtype=dtype)
    gates = torch.randn(timed, 5 * units, device=device, dtype=dtype)
    like_values, like_weights = torch.empty_like(values), torch.empty_like(weights)

    def forward() -> None:
        torch.mm(values, weights, out=gates)

    def backward() -> None:
        torch.mm(gates, weights.T, out=like_values)
        torch.mm(values.T, gates, out=like_weights)

    return forward, backward, 4 * cells / timed
