"""Pictures of many figures at once: a layer's maps, its health, a pixel's logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import DIRECTIONS, SIGMOID_GATES
from mdlstm_core.insight.contributions import Contributions
from mdlstm_core.insight.drawing import (
    Scale,
    add_bar,
    drawn_size,
    is_signed,
    new_figure,
    plain,
    png_of,
    scale_of,
    show_cells,
)
from mdlstm_core.insight.gates import GateMap
from mdlstm_core.insight.health import CLOSED, OPEN, DirectionHealth

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE = 170
"""Pixels of the longer side of a map on a contact sheet."""


def draw_contact_sheet(maps: Sequence[GateMap], title: str) -> bytes:
    """Return a PNG of maps of one layer: a row for each gate, a column for each direction.

    The directions of a gate share one scale, so that they can be compared.
    """
    gates = list(dict.fromkeys(found.query.gate for found in maps))
    directions = sorted({found.query.direction for found in maps})
    height, width = drawn_size(maps[0].values.shape[0], maps[0].values.shape[1], _SIDE)
    size = (len(gates) * (height + 16) + 110, len(directions) * (width + 16) + 200)
    figure = new_figure(*size, layout="constrained")
    ratios = [1.0] * len(directions) + [0.08]
    grid = figure.subplots(len(gates), len(ratios), squeeze=False, width_ratios=ratios)
    for axes, direction in zip(grid[0], directions, strict=False):
        axes.set_title(f"from {DIRECTIONS[direction]}", fontsize=8)
    for gate, line in zip(gates, grid, strict=True):
        of_gate = {found.query.direction: found for found in maps if found.query.gate == gate}
        signed = is_signed(gate) or bool(maps[0].shares)
        scale = scale_of([found.values for found in of_gate.values()], signed=signed)
        for direction, axes in zip(directions, line, strict=False):
            show_cells(axes, of_gate[direction].values, scale, of_gate[direction].cell_pixels)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(gate.replace("_", " "), fontsize=8)
        _bar_or_nothing(line[-1], scale, maps[0])
    figure.suptitle(plain(title), fontsize=9)
    return png_of(figure)


def _bar_or_nothing(axes: Axes, scale: Scale, of: GateMap) -> None:
    if of.shares:
        axes.axis("off")
    else:
        add_bar(axes, scale)


def draw_contributions(
    found: Contributions, names: Sequence[str], changed_K: NDArray[np.float64] | None = None
) -> bytes:
    """Return a PNG of a pixel's logits: a line for each class, a column for each summand.

    A last column says by how much each logit changed, if that is given; NaN is left empty.
    """
    logits = found.logits
    columns = [f"from {direction}" for direction in DIRECTIONS]
    if found.fine_K.any():
        columns.append("fine path")
    parts = [*found.by_direction.T, *([found.fine_K] if found.fine_K.any() else []), found.bias_K]
    told = [*parts, logits] if changed_K is None else [*parts, logits, changed_K]
    table = np.stack(told, axis=1)
    figure = new_figure(90 + 28 * len(names), 150 + 90 * table.shape[1], layout="constrained")
    axes = figure.subplots()
    _numbers(axes, table, scale_of([table], signed=True))
    columns += ["bias", "logit"] if changed_K is None else ["bias", "logit", "changed by"]
    axes.set_xticks(range(table.shape[1]), columns, fontsize=8)
    axes.set_yticks(range(len(names)), [plain(name) for name in names], fontsize=8)
    axes.set_title(
        f"logits at {found.pixel.x},{found.pixel.y}: each is the sum of what stands before it",
        fontsize=9,
    )
    return png_of(figure)


def draw_health(found: Sequence[DirectionHealth], before: Sequence[DirectionHealth] = ()) -> bytes:
    """Return a PNG with a line for each layer: cell state by diagonal, saturation of gates.

    The cell states of a model before are drawn in grey.
    """
    layers = sorted({row.layer for row in found})
    figure = new_figure(60 + 230 * len(layers), 1100, layout="constrained")
    for layer, (left, right) in zip(
        layers, figure.subplots(len(layers), 2, squeeze=False), strict=True
    ):
        rows = [row for row in found if row.layer == layer]
        for index, row in enumerate(row for row in before if row.layer == layer):
            label = None if index else "before the last learning"
            left.plot(row.cell_by_diagonal, color="0.7", label=label)
        for row in rows:
            left.plot(row.cell_by_diagonal, label=f"from {DIRECTIONS[row.direction]}")
        left.set(xlabel="diagonal", ylabel="mean |cell state|", title=f"layer {layer + 1}")
        left.legend(fontsize="x-small")
        left.grid(alpha=0.3)
        table = np.array(
            [[share[g] for g in SIGMOID_GATES for share in (row.closed, row.open)] for row in rows]
        )
        _numbers(right, 100 * table, Scale(0, 100, signed=False))
        names = [
            f"{gate.replace('_', ' ')}\n{side}"
            for gate in SIGMOID_GATES
            for side in (f"<{CLOSED}", f">{OPEN}")
        ]
        right.set_xticks(range(len(names)), names, fontsize=6)
        right.set_yticks(range(len(rows)), [DIRECTIONS[row.direction] for row in rows], fontsize=7)
        right.set_title(f"layer {layer + 1}: saturated, % of cells and units")
    return png_of(figure)


def _numbers(axes: Axes, table: NDArray[np.float64], scale: Scale) -> None:
    """Draw a table of numbers, each on its colour."""
    axes.imshow(table, cmap=scale.colors, vmin=scale.low, vmax=scale.high, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        if np.isnan(value):
            continue
        placed = (value - scale.low) / (scale.high - scale.low)
        # viridis is dark where values are low, the signed colours at both ends.
        dark = abs(placed - 0.5) > 0.4 if scale.signed else placed < 0.6
        axes.text(
            column,
            row,
            f"{value:.3g}",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if dark else "black",
        )
