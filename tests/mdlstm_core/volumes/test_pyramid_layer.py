"""The PyraMiD-LSTM layer against a reference that walks voxel by voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mdlstm_core.volumes.pyramid_layer import VOLUME_DIRECTIONS, PyramidLSTM

Array = NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def neighbours(weight_OIKK: Array, plane_IPQ: Array, p: int, q: int) -> Array:
    """Sum over the kernel's offsets; outside the plane is zero."""
    total = np.zeros(weight_OIKK.shape[0])
    size = weight_OIKK.shape[2]
    for u in range(size):
        for v in range(size):
            row, column = p + u - size // 2, q + v - size // 2
            if 0 <= row < plane_IPQ.shape[1] and 0 <= column < plane_IPQ.shape[2]:
                total += weight_OIKK[:, :, u, v] @ plane_IPQ[:, row, column]
    return total


def sweep(volume_ISPQ: Array, input_weight: Array, recurrent: Array, bias: Array) -> Array:
    """One convolutional LSTM from the first plane to the last, in the paper's words."""
    _, planes, rows, columns = volume_ISPQ.shape
    units = recurrent.shape[1]
    hidden = np.zeros((units, planes, rows, columns))
    cell = np.zeros_like(hidden)
    for s in range(planes):
        for p in range(rows):
            for q in range(columns):
                a = neighbours(input_weight, volume_ISPQ[:, s], p, q) + bias
                before = np.zeros(units)
                if s:
                    a = a + neighbours(recurrent, hidden[:, s - 1], p, q)
                    before = cell[:, s - 1, p, q]
                i, f, o, c = a.reshape(4, units)
                cell[:, s, p, q] = sigmoid(f) * before + sigmoid(i) * np.tanh(c)
                hidden[:, s, p, q] = sigmoid(o) * np.tanh(cell[:, s, p, q])
    return hidden


def reference(layer: PyramidLSTM, volume_BIDRC: Array) -> Array:
    """The six directions, summed."""
    weights = [
        parameter.detach().numpy()
        for parameter in (layer.input_weight, layer.recurrent_weight, layer.bias)
    ]
    results = []
    for volume in volume_BIDRC:
        total = np.zeros((layer.units, *volume.shape[1:]))
        for direction, name in enumerate(VOLUME_DIRECTIONS):
            axis = 1 + ("slice", "row", "column").index(name[1:])
            turned = np.moveaxis(volume, axis, 1)
            if name[0] == "-":
                turned = turned[:, ::-1]
            hidden = sweep(turned, *(weight[direction] for weight in weights))
            if name[0] == "-":
                hidden = hidden[:, ::-1]
            total += np.moveaxis(hidden, 1, axis)
        results.append(total)
    return np.stack(results)


def drawn(inputs: int, units: int, kernel_size: int, seed: int = 0) -> PyramidLSTM:
    """A layer whose weights, biases too, are large enough to matter."""
    torch.manual_seed(seed)
    layer = PyramidLSTM(inputs, units, kernel_size).double()
    with torch.no_grad():
        layer.bias.normal_()
    return layer


@pytest.mark.parametrize(
    ("shape", "units", "kernel_size"),
    [
        ((2, 2, 3, 4, 2), 3, 3),
        ((1, 1, 1, 7, 1), 2, 3),
        ((1, 3, 4, 1, 3), 2, 5),
        ((1, 2, 2, 3, 3), 1, 1),
        ((1, 1, 5, 3, 2), 2, 7),
    ],
)
def test_layer_is_what_the_reference_gives(shape: Any, units: int, kernel_size: int) -> None:
    layer = drawn(shape[1], units, kernel_size)
    volume = torch.randn(shape, dtype=torch.float64)

    with torch.no_grad():
        quick = layer(volume)

    np.testing.assert_allclose(quick, reference(layer, volume.numpy()), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer(volume), quick, rtol=0, atol=0)


def test_gradients_are_those_of_the_function() -> None:
    layer = drawn(1, 2, 3)
    volume = torch.randn(1, 1, 2, 1, 3, dtype=torch.float64, requires_grad=True)
    parameters = dict(layer.named_parameters())

    def run(volume: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        given = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(layer, given, (volume,))

    assert torch.autograd.gradcheck(run, (volume, *parameters.values()), fast_mode=True)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flipped_volume_with_the_two_directions_swapped_gives_the_flipped_output(axis: int) -> None:
    layer, turned = drawn(2, 3, 3), drawn(2, 3, 3)
    volume = torch.randn(1, 2, 3, 4, 5, dtype=torch.float64)
    order = list(range(6))
    order[2 * axis], order[2 * axis + 1] = 2 * axis + 1, 2 * axis
    with torch.no_grad():
        for name, parameter in turned.named_parameters():
            parameter.copy_(layer.get_parameter(name)[order])
            if parameter.dim() == 5:
                # The planes of the two other axes contain this one; their kernels turn with it.
                for other in {0, 1, 2} - {axis}:
                    inside = 2 + [a for a in (0, 1, 2) if a != other].index(axis)
                    both = slice(2 * other, 2 * other + 2)
                    parameter[both] = parameter[both].flip(1 + inside)

    with torch.no_grad():
        expected = layer(volume).flip(2 + axis)
        swapped = turned(volume.flip(2 + axis))

    torch.testing.assert_close(swapped, expected)
    with torch.no_grad():
        assert not torch.allclose(layer(volume.flip(2 + axis)), expected)


def test_pyramids_of_the_six_directions_cover_the_volume() -> None:
    layer = drawn(1, 2, 3)
    volume = torch.randn(1, 1, 5, 5, 5, dtype=torch.float64, requires_grad=True)

    layer(volume)[0, :, 0, 0, 0].sum().backward()

    assert volume.grad is not None
    reached = volume.grad[0, 0] != 0
    assert reached[0, 0, 4]
    assert reached[4, 4, 4]
    assert reached[2, 2, 2]


def test_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="odd number, given 4"):
        PyramidLSTM(1, 1, 4)
