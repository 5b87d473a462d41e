"""Gate maps against the equations, written out cell by cell in float64."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mdlstm_core.config import DIRECTIONS, STATES, NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.insight.gates import compare, gate_map, gate_maps
from mdlstm_core.insight.queries import Components, GateQuery, Pixel, Strongest
from mdlstm_core.insight.recording import Recording, record
from mdlstm_core.layers import MDLSTM
from mdlstm_core.network import LabelingNetwork, build_network
from mdlstm_core.prediction import network_input

Array = NDArray[np.float64]
BLOCKS = ("output", "input", "forget_row", "forget_column", "candidate")
BEFORE = {"top-left": (-1, -1), "top-right": (-1, 1), "bottom-left": (1, -1)} | {
    "bottom-right": (1, 1)
}
"""Where the cell one row and the cell one column before lie, seen from each corner's sweep."""


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def shifted(values_RC: Array, row: int, column: int) -> Array:
    """Return the values of the cells at a distance, 0 outside the grid."""
    padded = np.pad(values_RC, [(1, 1), (1, 1)] + [(0, 0)] * (values_RC.ndim - 2))
    rows, columns = values_RC.shape[:2]
    return padded[1 + row : 1 + row + rows, 1 + column : 1 + column + columns]


def equations(input_RCI: Array, sweep: MDLSTM, direction: int) -> dict[str, Array]:
    """Return every state R×C×H of one direction, by the paper's equations."""
    w, u_row, u_column, b = (
        weight[direction].detach().double().numpy() for weight in sweep.weights
    )
    rows, columns = input_RCI.shape[:2]
    down, right = (-step for step in BEFORE[DIRECTIONS[direction]])
    states = {name: np.zeros((rows, columns, sweep.units)) for name in STATES}
    for row in range(rows)[::down]:
        for column in range(columns)[::right]:
            above, beside = (row - down, column), (row, column - right)
            has_above, has_beside = 0 <= above[0] < rows, 0 <= beside[1] < columns
            zero = np.zeros(sweep.units)
            c_row, h_row = (states[n][above] if has_above else zero for n in ("cell", "hidden"))
            c_col, h_col = (states[n][beside] if has_beside else zero for n in ("cell", "hidden"))
            sums = input_RCI[row, column] @ w + h_row @ u_row + h_col @ u_column + b
            now = dict(zip(BLOCKS, np.split(sums, 5), strict=True))
            now = {n: np.tanh(v) if n == "candidate" else sigmoid(v) for n, v in now.items()}
            kept = now["forget_row"] * c_row + now["forget_column"] * c_col
            now["cell"] = sweep.forget_scale * kept + now["input"] * now["candidate"]
            now["hidden"] = now["output"] * np.tanh(now["cell"])
            for name, value in now.items():
                states[name][row, column] = value
    return states


def input_of(network: LabelingNetwork, image: NDArray[np.uint8], layer: int) -> Array:
    """Return what a layer is given, by a hook of its own."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor], _output: Tensor) -> None:
        kept.append(inputs[0])

    handle = network.sweeps[layer].register_forward_hook(keep)
    with torch.no_grad():
        network(network_input(image, network))
    handle.remove()
    return kept[0][0].double().numpy()


def unit_maps(recording: Recording, layer: int, direction: int, gate: str) -> Array:
    """Return the maps of all units, R×C×H."""
    units = range(recording.network.sweeps[layer].units)
    maps = gate_maps(recording, [GateQuery(layer, direction, gate, unit) for unit in units])
    return np.stack([found.values for found in maps], axis=2).astype(np.float64)


@pytest.mark.parametrize("layer", [0, 1])
def test_maps_equal_the_equations(
    network: LabelingNetwork, recording: Recording, photo: NDArray[np.uint8], layer: int
) -> None:
    given = input_of(network, photo, layer)
    for direction in range(4):
        expected = equations(given, network.sweeps[layer], direction)
        for gate in STATES:
            found = unit_maps(recording, layer, direction, gate)
            np.testing.assert_allclose(found, expected[gate], atol=1e-6, rtol=1e-6)
            mean = gate_map(recording, GateQuery(layer, direction, gate)).values
            np.testing.assert_allclose(mean, expected[gate].mean(axis=2), atol=1e-6, rtol=1e-6)
        assert expected["cell"].std() > 1e-2, "nothing to see"


@pytest.mark.parametrize(("layer", "direction"), [*itertools.product([0, 1], range(4))])
def test_recorded_maps_obey_the_cell(recording: Recording, layer: int, direction: int) -> None:
    maps = {gate: unit_maps(recording, layer, direction, gate) for gate in STATES}
    scale = recording.network.config.forget_scale
    row, column = BEFORE[DIRECTIONS[direction]]

    kept = maps["forget_row"] * shifted(maps["cell"], row, 0)
    kept += maps["forget_column"] * shifted(maps["cell"], 0, column)
    np.testing.assert_allclose(
        scale * kept + maps["input"] * maps["candidate"], maps["cell"], atol=1e-6, rtol=1e-6
    )
    np.testing.assert_allclose(maps["output"] * np.tanh(maps["cell"]), maps["hidden"], atol=1e-6)


def test_strongest_unit_is_the_one_furthest_from_zero(recording: Recording) -> None:
    pixel, units = Pixel(30, 22), unit_maps(recording, 1, 2, "candidate")

    found = gate_map(recording, GateQuery(1, 2, "candidate", Strongest(pixel)))

    cell = found.cell_at(pixel)
    height, width = found.cell_pixels
    assert cell == (int(22 / height), int(30 / width))
    expected = int(np.abs(units[cell]).argmax())
    assert found.unit == expected
    np.testing.assert_array_equal(found.values, units[..., expected].astype(np.float32))


def test_components_equal_the_singular_value_decomposition(recording: Recording) -> None:
    units = unit_maps(recording, 1, 0, "cell")

    found = gate_map(recording, GateQuery(1, 0, "cell", Components()))

    centred = units.reshape(-1, units.shape[2]) - units.mean(axis=(0, 1))
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign([axis[np.abs(axis).argmax()] for axis in right])
    expected = (left * sizes * signs).reshape(*units.shape[:2], -1)[..., :3]
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    np.testing.assert_allclose(found.shares, (sizes**2 / (sizes**2).sum())[:3], atol=1e-6)
    assert found.unit is None


def test_missing_components_are_zero(recording: Recording) -> None:
    # Layer 1 has two units only.
    found = gate_map(recording, GateQuery(0, 0, "cell", Components()))

    assert found.values.shape[2] == 3
    assert found.values[..., :2].any()
    assert not found.values[..., 2].any()
    assert found.shares[2] == 0
    assert sum(found.shares) == pytest.approx(1)


def test_only_what_is_asked_for_is_kept(network: LabelingNetwork, photo: NDArray[np.uint8]) -> None:
    recording = record(network, photo, [0], logits=False)
    found = gate_map(recording, GateQuery(0, 1, "cell", 1))

    assert recording.layers == (0,)
    assert recording.fine is None
    assert found.values.base is None, "a view keeps all units"
    assert not any(module._forward_pre_hooks for module in network.modules())
    with pytest.raises(InputError, match="Layer 2 was not recorded"):
        gate_map(recording, GateQuery(1, 1, "cell"))


def test_maps_cannot_be_written_to(recording: Recording) -> None:
    with pytest.raises(ValueError, match="read-only"):
        gate_map(recording, GateQuery(0, 0, "cell")).values[0, 0] = 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layer": 2}, "The model has 2D-LSTM layers 1 to 2, no layer 3."),
        ({"layer": -1}, "The model has 2D-LSTM layers 1 to 2, no layer 0."),
        ({"direction": 4}, "There are 4 directions, no number 5."),
        ({"gate": "forget"}, "There is no gate 'forget'; choose one of output, input, "),
        ({"unit": 3}, "Layer 2 has units 1 to 3, no unit 4."),
        ({"unit": -1}, "Layer 2 has units 1 to 3, no unit 0."),
        ({"unit": Strongest(Pixel(31, 0))}, "The pixel 31,0 lies outside the image: it has "),
    ],
)
def test_impossible_query_is_refused(
    recording: Recording, changes: dict[str, Any], sentence: str
) -> None:
    query = dataclasses.replace(GateQuery(1, 0, "cell"), **changes)

    with pytest.raises(InputError) as caught:
        gate_map(recording, query)

    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3)])
def test_image_smaller_than_one_window_is_padded(
    scene_config: NetworkConfig, size: tuple[int, int]
) -> None:
    torch.manual_seed(1)
    network = build_network(dataclasses.replace(scene_config, channels=(8, 8, 8, 16))).eval()
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    padded = np.pad(image, [(0, 16 - size[0]), (0, 16 - size[1]), (0, 0)], mode="edge")

    recording, whole = record(network, image), record(network, padded)

    assert "smaller than one window of 16×16 pixels" in recording.notice
    assert whole.notice == ""
    for query in (GateQuery(0, 3, "cell"), GateQuery(1, 1, "hidden", Components())):
        found, expected = gate_map(recording, query), gate_map(whole, query)
        # Norms over a nearly uniform image magnify rounding.
        np.testing.assert_allclose(found.values, expected.values, atol=1e-4)
        assert found.notice == recording.notice


def test_compared_models_differ_by_their_maps(
    network: LabelingNetwork, recording: Recording, photo: NDArray[np.uint8]
) -> None:
    torch.manual_seed(99)
    other = record(build_network(network.config).eval(), photo)
    query = GateQuery(1, 2, "forget_row", Strongest(Pixel(4, 5)))

    pair = compare(recording, other, query)

    unit = gate_map(recording, query).unit
    expected = [gate_map(r, GateQuery(1, 2, "forget_row", unit)) for r in (recording, other)]
    np.testing.assert_array_equal(pair.difference, expected[1].values - expected[0].values)
    assert (pair.before.unit, pair.after.unit) == (unit, unit)
    assert pair.difference.any()
    assert not compare(recording, recording, query).difference.any()


def test_models_without_a_common_map_are_refused(
    tiny_config: NetworkConfig, scene_config: NetworkConfig, photo: NDArray[np.uint8]
) -> None:
    first, second = (record(build_network(c).eval(), photo) for c in (tiny_config, scene_config))

    with pytest.raises(InputError, match=r"layer 1: one has 12×16 cells .*, the other 2×2"):
        compare(first, second, GateQuery(0, 0, "cell"))
    with pytest.raises(InputError, match="each model's own"):
        compare(first, first, GateQuery(0, 0, "cell", Components()))
