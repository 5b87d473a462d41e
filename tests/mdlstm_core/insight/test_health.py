"""Saturation and growth, counted once more by plain loops."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mdlstm_core.config import DIRECTIONS, SIGMOID_GATES, NetworkConfig
from mdlstm_core.insight.health import DirectionHealth, health, health_table
from mdlstm_core.insight.recording import Recording, record
from mdlstm_core.network import build_network

CORNERS = {"top-left": (0, 0), "top-right": (0, -1), "bottom-left": (-1, 0)} | {
    "bottom-right": (-1, -1)
}


@torch.no_grad()
def test_figures_equal_counting(recording: Recording) -> None:
    # Weights large enough that gates do saturate.
    for sweep in recording.network.sweeps:
        sweep.bias.mul_(6)
    found = health(recording)

    assert [(row.layer, row.direction) for row in found] == [
        (layer, direction) for layer in range(2) for direction in range(4)
    ]
    for row in found:
        states = recording.states(row.layer)
        for gate in SIGMOID_GATES:
            values = getattr(states, gate)[row.direction].flatten().tolist()
            assert row.closed[gate] == pytest.approx(sum(v < 0.1 for v in values) / len(values))
            assert row.open[gate] == pytest.approx(sum(v > 0.9 for v in values) / len(values))
        cell = states.cell[row.direction, 0].abs().mean(dim=2).numpy()
        rows, columns = cell.shape
        top, left = (
            corner % side
            for corner, side in zip(CORNERS[DIRECTIONS[row.direction]], cell.shape, strict=True)
        )
        diagonals: list[list[float]] = [[] for _ in range(rows + columns - 1)]
        for place in np.ndindex(rows, columns):
            diagonals[abs(place[0] - top) + abs(place[1] - left)].append(float(cell[place]))
        means = [sum(values) / len(values) for values in diagonals]
        np.testing.assert_allclose(row.cell_by_diagonal, means, rtol=1e-5)
        quarter = max(1, len(means) // 4)
        assert row.growth == pytest.approx(
            np.mean(means[-quarter:]) / np.mean(means[:quarter]), rel=1e-4
        )
    shares = [s for row in found for of in (row.closed, row.open) for s in of.values()]
    assert min(shares) < 0.1
    assert max(shares) > 0.3


def test_the_papers_cell_grows_and_the_halved_one_cannot(
    tiny_config: NetworkConfig, photo: NDArray[np.uint8]
) -> None:
    torch.manual_seed(5)
    network = build_network(tiny_config).eval()
    for sweep in network.sweeps:
        # All forget gates wide open.
        sweep.bias.data.unflatten(1, (5, -1))[:, 2:4] = 8
    grown = {}
    for scale in (1.0, 0.5):
        for sweep in network.sweeps:
            sweep.forget_scale = scale
        grown[scale] = min(row.growth or 0 for row in health(record(network, photo)))

    assert grown[1.0] > 100
    assert grown[0.5] < 30


def test_table_has_a_line_for_each_direction(recording: Recording) -> None:
    lines = health_table(health(recording)).splitlines()

    assert len(lines) == 1 + 8
    assert [line.split()[:2] for line in lines[1:3]] == [["1", "top-left"], ["1", "top-right"]]
    assert len({len(line) for line in lines}) == 1


def test_nothing_to_grow_from_is_no_growth() -> None:
    none = dict.fromkeys(SIGMOID_GATES, 0.0)
    still = DirectionHealth(0, 0, none, none, np.zeros(5))

    assert still.growth is None
    assert json.loads(json.dumps(still.to_json()))["growth"] is None
    assert health_table((still,)).splitlines()[1].endswith(" -")
