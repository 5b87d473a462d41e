"""Whether the gates still regulate, and whether the cell state runs away along the sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import DIRECTIONS, SIGMOID_GATES
from mdlstm_core.insight.sweep import diagonal_count, diagonal_numbers

if TYPE_CHECKING:
    from mdlstm_core.insight.recording import Recording

CLOSED, OPEN = 0.1, 0.9
"""Below and above which a gate counts as saturated."""


@dataclass(frozen=True)
class DirectionHealth:
    """How one direction of one layer works on one image.

    Attributes:
        layer: 2D-LSTM layer, from 0.
        direction: index into `DIRECTIONS`.
        closed: of each sigmoid gate the share of its values below `CLOSED`, over all cells
            and units.
        open: likewise above `OPEN`.
        cell_by_diagonal: mean absolute cell state on each diagonal, in the order of the sweep.
    """

    layer: int
    direction: int
    closed: dict[str, float]
    open: dict[str, float]
    cell_by_diagonal: NDArray[np.float64]

    @property
    def growth(self) -> float | None:
        """Mean absolute cell state on the last quarter of the diagonals over the first's.

        None where the first is 0, so that there is nothing to compare with.
        """
        quarter = max(1, len(self.cell_by_diagonal) // 4)
        first = float(self.cell_by_diagonal[:quarter].mean())
        last = float(self.cell_by_diagonal[-quarter:].mean())
        return last / first if first > 0 else None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values; layers count from 1."""
        return {
            "layer": self.layer + 1,
            "direction": DIRECTIONS[self.direction],
            "closed": self.closed,
            "open": self.open,
            "growth": self.growth,
            "cell_by_diagonal": self.cell_by_diagonal.tolist(),
        }


def health(recording: Recording) -> tuple[DirectionHealth, ...]:
    """Return the health of every recorded layer and direction."""
    return tuple(
        found for layer in recording.layers for found in _health_of_layer(recording, layer)
    )


def _health_of_layer(recording: Recording, layer: int) -> list[DirectionHealth]:
    states = recording.states(layer)
    found = []
    for direction in range(len(DIRECTIONS)):
        gates = {name: getattr(states, name)[direction].numpy() for name in SIGMOID_GATES}
        cell_RC = np.abs(states.cell[direction, 0].numpy()).mean(axis=2, dtype=np.float64)
        rows, columns = cell_RC.shape
        numbers = diagonal_numbers(rows, columns, direction).ravel()
        count = diagonal_count(rows, columns)
        sums = np.bincount(numbers, weights=cell_RC.ravel(), minlength=count)
        found.append(
            DirectionHealth(
                layer,
                direction,
                {name: float((values < CLOSED).mean()) for name, values in gates.items()},
                {name: float((values > OPEN).mean()) for name, values in gates.items()},
                sums / np.bincount(numbers, minlength=count),
            )
        )
    return found


def health_table(found: tuple[DirectionHealth, ...]) -> str:
    """Return the figures for reading: a line for each layer and direction, shares in %."""
    columns = [f"{name} <{CLOSED} >{OPEN}" for name in SIGMOID_GATES]
    lines = ["  ".join(["layer", f"{'direction':12}", *columns, "growth of |cell|"])]
    for row in found:
        shares = [
            f"{100 * row.closed[name]:6.1f}{100 * row.open[name]:6.1f}".rjust(len(column))
            for name, column in zip(SIGMOID_GATES, columns, strict=True)
        ]
        start = [f"{row.layer + 1:5}", f"{DIRECTIONS[row.direction]:12}"]
        growth = "-" if row.growth is None else f"{row.growth:.3g}×"
        lines.append("  ".join([*start, *shares, f"{growth:>16}"]))
    return "\n".join(lines)
