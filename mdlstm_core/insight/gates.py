"""Gates of the 2D-LSTM as maps over an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import DIRECTIONS, STATES
from mdlstm_core.errors import InputError
from mdlstm_core.insight.components import principal_components
from mdlstm_core.insight.queries import Components, GateQuery, Pixel, Strongest
from mdlstm_core.insight.recording import Recording, check_layer, check_pixel


@dataclass(frozen=True)
class GateMap:
    """A gate as a map.

    Attributes:
        query: what was asked for.
        values: R×C, one value a cell of the layer's grid; R×C×3 for principal components.
            Sigmoid gates lie in 0 to 1, candidate and hidden state in -1 to 1, the cell
            state has no bound; the scores on components have mean 0.
        cell_pixels: height and width of a cell in pixels of the image; the last row and
            column of cells may reach over its border.
        unit: the hidden unit that is shown, from 0; None where it is not a single one.
        shares: of the variance that each component holds, 0 to 1; empty for other maps.
        notice: why it was not made as usual, for the user; empty if it was.
    """

    query: GateQuery
    values: NDArray[np.float32]
    cell_pixels: tuple[float, float]
    unit: int | None = None
    shares: tuple[float, ...] = ()
    notice: str = ""

    def cell_at(self, pixel: Pixel) -> tuple[int, int]:
        """Return row and column of the cell over a pixel of the image."""
        rows, columns = self.values.shape[:2]
        return _cell_at(pixel, self.cell_pixels, rows, columns)


@dataclass(frozen=True)
class MapPair:
    """The same map of two models.

    Attributes:
        before: of the first.
        after: of the second.
    """

    before: GateMap
    after: GateMap

    @property
    def difference(self) -> NDArray[np.float32]:
        """What the second has more than the first, R×C."""
        return self.after.values - self.before.values


def gate_map(recording: Recording, query: GateQuery) -> GateMap:
    """Return the map asked for.

    Raises:
        InputError: layer, direction, gate or unit does not exist in this network, the layer
            was not recorded, or the pixel lies outside the image.
    """
    return gate_maps(recording, [query])[0]


def gate_maps(recording: Recording, queries: Iterable[GateQuery]) -> list[GateMap]:
    """Return several maps; a layer's states are computed once for all of them.

    Raises:
        InputError: see `gate_map`.
    """
    asked = list(queries)
    for query in asked:
        _check(query, recording)
    found: dict[GateQuery, GateMap] = {}
    for layer in dict.fromkeys(query.layer for query in asked):
        states = recording.states(layer)
        for query in (query for query in asked if query.layer == layer):
            state_RCH = getattr(states, query.gate)[query.direction, 0].float().numpy()
            found[query] = _reduce(state_RCH, query, recording)
    return [found[query] for query in asked]


def compare(before: Recording, after: Recording, query: GateQuery) -> MapPair:
    """Return the same map of two models' ways over the same image.

    The strongest unit is that of the first model.

    Raises:
        InputError: the two have no such map in common, or as for `gate_map`.
    """
    if isinstance(query.unit, Components):
        raise InputError(
            "Principal components are each model's own; compare the mean or a unit of the two."
        )
    first = gate_map(before, query)
    second = gate_map(after, replace(query, unit=first.unit))
    if first.values.shape != second.values.shape:
        (rows, columns), (other_rows, other_columns) = first.values.shape, second.values.shape
        raise InputError(
            f"The two models cannot be compared in layer {query.layer + 1}: one has {rows}×"
            f"{columns} cells over this image, the other {other_rows}×{other_columns}."
        )
    return MapPair(first, second)


def _reduce(state_RCH: NDArray[np.float32], query: GateQuery, recording: Recording) -> GateMap:
    """Bring the units of a state down to what is asked for."""
    cell_pixels = recording.cell_pixels(query.layer)

    def shown(values: NDArray[np.float32], **more: Any) -> GateMap:
        own = np.ascontiguousarray(values, dtype=np.float32)
        own.setflags(write=False)
        return GateMap(query, own, cell_pixels, notice=recording.notice, **more)

    if query.unit is None:
        return shown(state_RCH.mean(axis=2, dtype=np.float64).astype(np.float32))
    if isinstance(query.unit, Components):
        scores, shares = principal_components(state_RCH)
        return shown(scores, shares=shares)
    if isinstance(query.unit, Strongest):
        cell = _cell_at(query.unit.pixel, cell_pixels, *state_RCH.shape[:2])
        unit = int(np.abs(state_RCH[cell]).argmax())
    else:
        unit = query.unit
    # A copy: a view would keep all units in memory.
    return shown(state_RCH[..., unit].copy(), unit=unit)


def _cell_at(
    pixel: Pixel, cell_pixels: tuple[float, float], rows: int, columns: int
) -> tuple[int, int]:
    row, column = int(pixel.y / cell_pixels[0]), int(pixel.x / cell_pixels[1])
    return min(row, rows - 1), min(column, columns - 1)


def _check(query: GateQuery, recording: Recording) -> None:
    check_layer(query.layer, recording.network)
    if not 0 <= query.direction < len(DIRECTIONS):
        raise InputError(
            f"There are {len(DIRECTIONS)} directions, no number {query.direction + 1}."
        )
    if query.gate not in STATES:
        raise InputError(f"There is no gate {query.gate!r}; choose one of {', '.join(STATES)}.")
    units = recording.network.sweeps[query.layer].units
    if isinstance(query.unit, int) and not 0 <= query.unit < units:
        raise InputError(
            f"Layer {query.layer + 1} has units 1 to {units}, no unit {query.unit + 1}."
        )
    if isinstance(query.unit, Strongest):
        check_pixel(query.unit.pixel, recording.image_size)
