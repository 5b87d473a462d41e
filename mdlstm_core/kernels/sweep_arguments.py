"""What the compiled sweeps take: 64-bit integers, addresses among them, by name.

Steps between rows and columns count numbers, not bytes.
"""

from __future__ import annotations

TABLE = ("length", "first_row", "cell", "slot", "row_slot", "back_slot", "successor_slot")
"""Of a diagonal: cells; row of the first; number of cells before; slots of the first cell
and of its predecessor in the row before (that in the column before follows); in the backward
sweep's memory the slots of the first cell and of its successor in the next column (that in
the next row follows)."""

_GRID = ("diagonals", "table", "features", "units", "blocks", "input", "input_row", "input_column")
"""Number of diagonals, their table, sizes (blocks: vectors that hold the units), the input at
the corner where the sweep starts, and how far apart its rows and columns are."""

FORWARD = (
    *_GRID,
    "weights",  # blocks × (features, units of the row, of the column before) × 5 × lanes
    "bias",  # blocks × 5 × lanes
    "hidden",  # slots × padded units, zeros to begin with
    "cell_state",  # slots × padded units, zeros to begin with
    "gates",  # cells × 5 × padded units
    "output",  # at the corner where the sweep starts
    "output_row",
    "output_column",
)
"""What a forward sweep takes, in this order."""

BACKWARD = (
    *_GRID,
    "to_hidden",  # blocks × (5 gates × units of the column after, of the row after) × lanes
    "to_input",  # blocks of features × 5 gates × units × lanes; 0: no gradient of the input
    "hidden",
    "cell_state",
    "gates",
    "output",  # its gradient
    "output_row",
    "output_column",
    "grad_hidden",  # cells of the longest diagonal × padded units, zeros to begin with
    "grad_gates",  # slots × 5 × padded units, zeros to begin with
    "grad_cell_row",  # slots × padded units, zeros to begin with
    "grad_cell_column",  # slots × padded units, zeros to begin with
    "grad_weights",  # (features, units, units) × 5 × padded units, to be added to
    "grad_bias",  # 5 × padded units, to be added to
    "grad_input",  # rows × columns × padded features, from the corner
    "grad_input_row",
    "grad_input_column",
    "input_blocks",  # vectors that hold the features
)
"""What the backward sweep takes, in this order."""
