"""Every backend of the 2D-LSTM against the specification, and that against the equations."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad

from mdlstm_core.config import DIRECTIONS
from mdlstm_core.kernels import KERNELS, MDLSTMWeights, reference, select_kernel

SIZES = [(1, 1), (1, 6), (6, 1), (7, 5)]
FAST = [name for name in KERNELS if name != "reference"]
FLIPS = {"top-left": (), "top-right": (2,), "bottom-left": (1,), "bottom-right": (1, 2)}
"""Axes of B×R×C×F that bring each corner to the top left."""


def draw(
    rows: int, columns: int, *, batch: int = 2, inputs: int = 3, units: int = 3
) -> tuple[Tensor, MDLSTMWeights]:
    generator = torch.Generator().manual_seed(rows * 100 + columns * 10 + batch + units)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    weights = MDLSTMWeights(
        normal(4, inputs, 5 * units),
        normal(4, units, 5 * units),
        normal(4, units, 5 * units),
        normal(4, 5 * units),
    )
    return normal(batch, rows, columns, inputs), weights


def with_gradients(image: Tensor, weights: MDLSTMWeights) -> tuple[Tensor, MDLSTMWeights]:
    leaves = [tensor.clone().requires_grad_() for tensor in (image, *weights)]
    return leaves[0], MDLSTMWeights(*leaves[1:])


def gradients(backend: str, image: Tensor, weights: MDLSTMWeights, scale: float) -> list[Tensor]:
    image, weights = with_gradients(image, weights)
    hidden = KERNELS[backend].run(image, weights, scale)
    # A weight of its own for each state: a mix-up of two would cancel in a plain sum.
    loss = (hidden * torch.arange(1, hidden.numel() + 1).view_as(hidden)).sum()
    return list(torch.autograd.grad(loss, [image, *weights]))


CASES = list(itertools.product(SIZES, (1, 3), (1, 3), (1.0, 0.5)))


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize(("size", "batch", "units", "scale"), CASES)
def test_states_equal_reference(
    backend: str, size: tuple[int, int], batch: int, units: int, scale: float
) -> None:
    image, weights = draw(*size, batch=batch, units=units)

    expected = reference.states(image, weights, scale)

    for name, state in KERNELS[backend].states(image, weights, scale)._asdict().items():
        torch.testing.assert_close(
            state, getattr(expected, name), msg=lambda m, n=name: f"{n}: {m}"
        )
    hidden = KERNELS[backend].run(image, weights, scale)
    torch.testing.assert_close(hidden, expected.hidden)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize(("size", "batch", "units", "scale"), CASES)
def test_gradients_equal_reference(
    backend: str, size: tuple[int, int], batch: int, units: int, scale: float
) -> None:
    image, weights = draw(*size, batch=batch, units=units)

    expected = gradients("reference", image, weights, scale)

    torch.testing.assert_close(gradients(backend, image, weights, scale), expected)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("size", SIZES)
def test_gradients_equal_differences(backend: str, size: tuple[int, int], scale: float) -> None:
    leaves = with_gradients(*draw(*size, batch=1, inputs=2, units=3))

    def run(image: Tensor, *weights: Tensor) -> Tensor:
        hidden: Tensor = KERNELS[backend].run(image, MDLSTMWeights(*weights), scale)
        return hidden

    assert torch.autograd.gradcheck(run, (leaves[0], *leaves[1]), fast_mode=size == (7, 5))


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.usefixtures("nan_memory")
def test_no_state_or_gradient_is_left_unwritten(backend: str) -> None:
    image, weights = draw(7, 5)

    states = KERNELS[backend].states(image, weights)

    assert torch.empty(1).isnan().all(), "memory is not poisoned"
    assert all(state.isfinite().all() for state in states)
    assert all(g.isfinite().all() for g in gradients(backend, image, weights, 1.0))


@pytest.mark.parametrize("backend", FAST)
def test_arguments_are_left_as_they_are(backend: str) -> None:
    image, weights = draw(4, 3)
    before = [tensor.clone() for tensor in (image, *weights)]

    gradients(backend, image, weights, 1.0)
    KERNELS[backend].states(image, weights)

    for tensor, copy in zip((image, *weights), before, strict=True):
        assert torch.equal(tensor, copy)


@pytest.mark.parametrize("backend", FAST)
def test_single_precision_and_strided_input(backend: str) -> None:
    image, weights = draw(7, 5)
    strided = image.float().permute(3, 0, 2, 1).contiguous().permute(1, 3, 2, 0)
    single = MDLSTMWeights(*(weight.float() for weight in weights))

    hidden = KERNELS[backend].run(strided, single)

    assert hidden.dtype == torch.float32
    expected = reference.run(image, weights).float()
    torch.testing.assert_close(hidden, expected, rtol=1e-4, atol=1e-5)


def brute_force(
    image_RCI: NDArray[np.float64],
    weights: list[NDArray[np.float64]],
    scale: float,
) -> dict[str, NDArray[np.float64]]:
    """One sweep from the top left, number by number from the paper's equations."""
    rows, columns, inputs = image_RCI.shape
    w, hy, hx, b = weights
    units = hy.shape[0]
    names = ("output", "input", "forget_row", "forget_column", "candidate", "cell", "hidden")
    found = {name: np.zeros((rows, columns, units)) for name in names}

    def before(state: str, row: int, column: int, unit: int) -> float:
        return float(found[state][row, column, unit]) if row >= 0 and column >= 0 else 0.0

    for r, c, u in itertools.product(range(rows), range(columns), range(units)):
        for block, name in enumerate(names[:5]):
            g = block * units + u
            net = b[g] + sum(image_RCI[r, c, i] * w[i, g] for i in range(inputs))
            net += sum(before("hidden", r - 1, c, k) * hy[k, g] for k in range(units))
            net += sum(before("hidden", r, c - 1, k) * hx[k, g] for k in range(units))
            found[name][r, c, u] = np.tanh(net) if name == "candidate" else 1 / (1 + np.exp(-net))
        forgotten = found["forget_row"][r, c, u] * before("cell", r - 1, c, u)
        forgotten += found["forget_column"][r, c, u] * before("cell", r, c - 1, u)
        written = found["input"][r, c, u] * found["candidate"][r, c, u]
        found["cell"][r, c, u] = scale * forgotten + written
        found["hidden"][r, c, u] = found["output"][r, c, u] * np.tanh(found["cell"][r, c, u])
    return found


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("size", SIZES)
def test_reference_equals_the_equations(size: tuple[int, int], scale: float) -> None:
    image, weights = draw(*size)

    states = reference.states(image, weights, scale)

    for number in range(len(image)):
        first = [weight[0].numpy() for weight in weights]
        for name, expected in brute_force(image[number].numpy(), first, scale).items():
            np.testing.assert_allclose(getattr(states, name)[0, number], expected, err_msg=name)


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_directions_are_flips_of_the_first(backend: str, direction: str) -> None:
    image, weights = draw(4, 3)
    index, flip = DIRECTIONS.index(direction), FLIPS[direction]
    same = MDLSTMWeights(*(weight[[index] * 4] for weight in weights))

    from_top_left = KERNELS[backend].run(image.flip(flip), same)[0].flip(flip)

    torch.testing.assert_close(KERNELS[backend].run(image, weights)[index], from_top_left)


@pytest.mark.parametrize("backend", KERNELS)
def test_a_cell_reaches_the_cells_behind_it(backend: str) -> None:
    image, weights = draw(5, 5, batch=1)
    changed = image.clone()
    changed[0, 2, 1] += 1

    moved = (KERNELS[backend].run(changed, weights) - KERNELS[backend].run(image, weights)) != 0

    reached = moved.any(dim=-1)[:, 0]
    for direction, rows, columns in (
        ("top-left", slice(2, None), slice(1, None)),
        ("top-right", slice(2, None), slice(None, 2)),
        ("bottom-left", slice(None, 3), slice(1, None)),
        ("bottom-right", slice(None, 3), slice(None, 2)),
    ):
        expected = torch.zeros(5, 5, dtype=torch.bool)
        expected[rows, columns] = True
        assert torch.equal(reached[DIRECTIONS.index(direction)], expected), direction


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("function", ["run", "states"])
@pytest.mark.parametrize(
    ("argument", "wrong", "given"),
    [
        ("input_BRCI", torch.zeros(2, 4, 3), "(2, 4, 3)"),
        ("input_BRCI", torch.zeros(2, 0, 3, 3), "(2, 0, 3, 3)"),
        ("input_DIG", torch.zeros(4, 2, 15), "(4, 2, 15)"),
        ("recurrent_row_DHG", torch.zeros(4, 3, 12), "(4, 3, 12)"),
        ("recurrent_column_DHG", torch.zeros(3, 3, 15), "(3, 3, 15)"),
        ("bias_DG", torch.zeros(4, 16), "(4, 16)"),
        ("bias_DG", torch.zeros(4, 15, dtype=torch.float32), "float32 of shape (4, 15)"),
        ("recurrent_row_DHG", torch.zeros(4, 4, 20), "(4, 4, 20)"),
        ("recurrent_row_DHG", torch.zeros(15), "(15,)"),
        ("recurrent_row_DHG", torch.tensor(0.0), "()"),
    ],
)
def test_errors_name_argument_expected_and_given(
    backend: str, function: str, argument: str, wrong: Tensor, given: str
) -> None:
    image, weights = draw(4, 3)
    if argument == "input_BRCI":
        image = wrong.double()
    else:
        wrong = wrong if "float" in given else wrong.double()
        weights = weights._replace(**{argument: wrong})

    with pytest.raises(ValueError, match=f"^{argument}: expected .* given ") as caught:
        getattr(KERNELS[backend], function)(image, weights)

    assert given in str(caught.value)


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("function", ["run", "states"])
@pytest.mark.parametrize("argument", ["input_BRCI", "input_DIG", "recurrent_row_DHG", "bias_DG"])
@pytest.mark.parametrize(
    ("wrong", "given"),
    [
        (None, "NoneType"),
        ([1.0], "list"),
        (np.zeros((4, 15)), "ndarray of shape (4, 15)"),
        (torch.zeros(4, 15).to_sparse(), "torch.sparse_coo of shape (4, 15)"),
    ],
)
def test_what_is_no_dense_tensor_is_named(
    backend: str, function: str, argument: str, wrong: Any, given: str
) -> None:
    image, weights = draw(4, 3)
    arguments = {"input_BRCI": image, **weights._asdict(), argument: wrong}
    image = arguments.pop("input_BRCI")

    with pytest.raises(ValueError, match=f"^{argument}: expected a .*tensor, given ") as caught:
        getattr(KERNELS[backend], function)(image, MDLSTMWeights(**arguments))

    assert str(caught.value).endswith(f"given {given}")


@pytest.mark.parametrize("backend", KERNELS)
def test_weights_of_another_kind_are_named(backend: str) -> None:
    image, weights = draw(4, 3)

    with pytest.raises(ValueError, match=r"^weights: expected MDLSTMWeights, given tuple$"):
        KERNELS[backend].run(image, tuple(weights))


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("function", ["run", "states"])
@pytest.mark.parametrize(
    ("scale", "given"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (None, "NoneType"),
        ("a", "str"),
        (torch.tensor(0.5), "Tensor"),
    ],
)
def test_scale_that_is_no_finite_number_is_named(
    backend: str, function: str, scale: Any, given: str
) -> None:
    expected = f"^forget_scale: expected a finite number, given {given}$"
    with pytest.raises(ValueError, match=expected):
        getattr(KERNELS[backend], function)(*draw(4, 3), scale)


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("function", ["run", "states"])
def test_type_that_no_backend_has_is_named_with_its_shape(backend: str, function: str) -> None:
    image, weights = draw(4, 3)

    with pytest.raises(
        ValueError, match=r"^input_BRCI: .* given torch.int64 of shape \(2, 4, 3, 3"
    ):
        getattr(KERNELS[backend], function)(image.long(), weights)


# Torch's own forward mode still loads what torch itself warns of.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is:DeprecationWarning")
@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("of", range(5))
def test_tangent_is_refused_and_not_dropped(backend: str, of: int) -> None:
    image, weights = draw(4, 3)
    arguments = [image, *weights]
    with forward_ad.dual_level():
        arguments[of] = forward_ad.make_dual(arguments[of], torch.ones_like(arguments[of]))

        with pytest.raises(NotImplementedError, match="jvp"):
            KERNELS[backend].run(arguments[0], MDLSTMWeights(*arguments[1:]))


def test_unknown_kernel_is_named() -> None:
    with pytest.raises(ValueError, match="given 'abacus'"):
        select_kernel("abacus")
