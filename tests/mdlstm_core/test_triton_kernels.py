"""The GPU kernels against the specification: on a GPU, or in Triton's interpreter.

The interpreter has to be chosen before Triton is loaded, and for the whole process. So the
tests here run where they are called if there is a GPU, and one test runs them once more in
a process of its own that interprets them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from mdlstm_core.kernels import MDLSTMStates, MDLSTMWeights, reference, wavefront

pytest.importorskip("triton", reason="triton is not installed: it exists for Linux only")

from mdlstm_core.kernels import triton_launch, triton_persistent, triton_wavefront

ROOT = Path(__file__).parents[2]
DEVICE = "cpu" if triton_launch.INTERPRETED else "cuda"
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 3e-2}
"""Of ‖given − expected‖ / ‖expected‖; bfloat16 has three decimal digits."""

WAYS = {"diagonals": triton_wavefront, "bands": triton_persistent}
LAUNCHES = {"diagonals": "launch_pass", "bands": "launch_bands"}
"""The ways to run a pass, and what a backend calls for it."""

needs_kernels = pytest.mark.skipif(
    not triton_launch.INTERPRETED and not torch.cuda.is_available(),
    reason="there is no CUDA GPU; see test_kernels_in_the_interpreter",
)
needs_gpu = pytest.mark.skipif(
    triton_launch.INTERPRETED or not torch.cuda.is_available(), reason="there is no CUDA GPU"
)


class Case(NamedTuple):
    """A layer and its input: batch, rows, columns, input features, hidden units."""

    batch: int
    rows: int
    columns: int
    inputs: int
    units: int
    scale: float = 1.0
    dtype: torch.dtype = torch.float32


class Numbers(NamedTuple):
    """What a backend computed for a case."""

    hidden: Tensor
    gradients: tuple[Tensor, ...]
    states: MDLSTMStates


def draw(case: Case, seed: int = 5) -> tuple[Tensor, MDLSTMWeights, Tensor]:
    """Return input, weights and the gradient that reaches the hidden states."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(DEVICE, case.dtype)

    gates = 5 * case.units
    weights = MDLSTMWeights(
        normal(4, case.inputs, gates),
        normal(4, case.units, gates) / case.units**0.5,
        normal(4, case.units, gates) / case.units**0.5,
        normal(4, gates),
    )
    grid = case.batch, case.rows, case.columns
    return normal(*grid, case.inputs), weights, normal(4, *grid, case.units)


def leaves_of(image: Tensor, weights: MDLSTMWeights, **change: Any) -> list[Tensor]:
    return [tensor.to(**change).detach().requires_grad_() for tensor in (image, *weights)]


def computed(backend: Any, leaves: list[Tensor], grad: Tensor, scale: float) -> Numbers:
    weights = MDLSTMWeights(*leaves[1:])
    hidden = backend.run(leaves[0], weights, scale)
    gradients = torch.autograd.grad(hidden, leaves, grad.to(hidden))
    return Numbers(hidden.detach(), gradients, backend.states(leaves[0], weights, scale))


def expected_of(
    image: Tensor, weights: MDLSTMWeights, grad: Tensor, scale: float, backend: Any = reference
) -> Numbers:
    leaves = leaves_of(image, weights, device="cpu", dtype=torch.float64)
    return computed(backend, leaves, grad, scale)


def assert_close(given: Tensor, expected: Tensor, tolerance: float, name: str) -> None:
    assert given.shape == expected.shape, name
    error = (given.detach().cpu().double() - expected.detach()).norm()
    # Not `error > bound`: that would let NaN pass.
    assert error <= tolerance * (expected.norm() + 1e-3), f"{name}: {error} of {expected.norm()}"


def assert_same_numbers(given: Numbers, expected: Numbers, tolerance: float) -> None:
    assert_close(given.hidden, expected.hidden, tolerance, "hidden")
    names = ("input_BRCI", *MDLSTMWeights._fields)
    for name, one, other in zip(names, given.gradients, expected.gradients, strict=True):
        assert_close(one, other, tolerance, f"gradient of {name}")
    for name, one, other in zip(MDLSTMStates._fields, given.states, expected.states, strict=True):
        assert_close(one, other, tolerance, name)


def check(way: str, case: Case, backend: Any = reference) -> None:
    image, weights, grad = draw(case)
    leaves = leaves_of(image, weights)
    given = computed(WAYS[way], leaves, grad, case.scale)
    expected = expected_of(image, weights, grad, case.scale, backend)
    assert given.hidden.dtype == case.dtype
    assert_same_numbers(given, expected, TOLERANCE[case.dtype])


PARTS = ["not thorough", pytest.param("thorough", marks=pytest.mark.thorough)]
SMALL = {
    "diagonals": [
        Case(1, 1, 1, 3, 3),
        Case(3, 1, 5, 2, 3, scale=0.5),
        Case(1, 5, 1, 1, 5),
        Case(1, 2, 3, 7, 20),
        Case(3, 4, 3, 3, 5, scale=0.5),
        Case(3, 2, 4, 3, 5, dtype=torch.bfloat16),
    ],
    # A grid smaller than a band, and more than one band.
    "bands": [
        Case(1, 1, 1, 3, 3),
        Case(3, 1, 3, 2, 3, scale=0.5),
        Case(1, 5, 1, 1, 5),
        Case(1, 9, 3, 3, 50, scale=0.5),
        Case(1, 9, 2, 7, 20),
        Case(1, 3, 2, 3, 5, scale=0.5, dtype=torch.bfloat16),
    ],
}
LARGE = [
    Case(batch, *grid, 12, units, 0.5, dtype)
    for batch, grid, units in (
        (1, (63, 65), 50),
        (3, (17, 40), 20),
        (1, (1, 70), 100),
        (40, (20, 19), 50),
        (40, (20, 19), 3),
    )
    for dtype in TOLERANCE
]


@needs_kernels
@pytest.mark.parametrize(
    ("way", "case"),
    [
        # The last two are of several rows, columns and images, or bands, of either type.
        pytest.param(way, case, marks=[] if case in SMALL[way][-2:] else pytest.mark.thorough)
        for way in WAYS
        for case in SMALL[way]
    ],
    ids=str,
)
@pytest.mark.usefixtures("nan_memory")
def test_numbers_equal_reference(way: str, case: Case) -> None:
    assert torch.empty(1).isnan().all(), "memory is not poisoned"
    check(way, case)


@needs_kernels
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.usefixtures("nan_memory")
def test_numbers_with_the_tiles_of_long_diagonals(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    many = triton_launch.Pass("forward", 600, 4, 4, 3, dtype, 1.0)
    tiles = triton_launch.tiles_for(many)
    assert tiles != triton_launch.tiles_for(many._replace(batch=1)), "both are the same"
    monkeypatch.setattr(triton_launch, "tiles_for", lambda _: tiles)

    check("diagonals", Case(14, 3, 3, 2, 5, dtype=dtype))


@needs_gpu
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", LARGE, ids=str)
def test_numbers_of_large_grids_equal_the_torch_backend(way: str, case: Case) -> None:
    # In float64; cell by cell it would take minutes.
    check(way, case, wavefront)


@needs_gpu
def test_recorded_launches_serve_other_tensors() -> None:
    case = Case(2, 9, 7, 3, 20)
    drawn = [draw(case, seed) for seed in range(5)]
    expected = [expected_of(*one, 1.0) for one in drawn]

    given = [computed(triton_wavefront, leaves_of(*one[:2]), one[2], 1.0) for one in drawn]
    again = [computed(triton_wavefront, leaves_of(*one[:2]), one[2], 1.0) for one in drawn]

    recorded = [graph for graph in triton_launch._graphs.values() if graph is not None]
    assert recorded, "no pass was recorded as a graph"
    for one, other, wanted in zip(given, again, expected, strict=True):
        assert_same_numbers(one, wanted, TOLERANCE[case.dtype])
        assert torch.equal(one.hidden, other.hidden)
        assert all(map(torch.equal, one.gradients, other.gradients))


@needs_kernels
def test_memory_at_odd_addresses_and_arguments_left_as_they_are() -> None:
    case = Case(2, 2, 3, 3, 3)
    image, weights, grad = draw(case)

    def moved(tensor: Tensor) -> Tensor:
        return torch.cat([tensor.new_zeros(1), tensor.flatten()])[1:].view_as(tensor)

    odd = MDLSTMWeights(*(moved(weight) for weight in weights))
    strided = image.transpose(1, 2).contiguous().transpose(1, 2)
    assert odd.recurrent_row_DHG.data_ptr() % 16
    before = [tensor.clone() for tensor in (strided, *odd)]

    given = computed(triton_wavefront, leaves_of(strided, odd), moved(grad), 1.0)

    assert_same_numbers(given, expected_of(image, weights, grad, 1.0), 1e-5)
    assert all(map(torch.equal, (strided, *odd), before))


@needs_kernels
@pytest.mark.parametrize("way", WAYS)
def test_second_backward_pass_gives_the_same(way: str) -> None:
    image, weights, grad = draw(Case(1, 2, 3, 3, 3))
    leaves = leaves_of(image, weights)
    hidden = WAYS[way].run(leaves[0], MDLSTMWeights(*leaves[1:]))

    first = torch.autograd.grad(hidden, leaves, grad, retain_graph=True)
    second = torch.autograd.grad(hidden, leaves, grad)

    assert all(map(torch.equal, first, second))


@needs_kernels
@pytest.mark.parametrize("way", WAYS)
def test_inference_stores_no_gates(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, launch = WAYS[way], getattr(WAYS[way], LAUNCHES[way])
    launched = []

    def noted(of_pass: triton_launch.Pass, tensors: Any) -> None:
        launched.append((of_pass.kind, of_pass.keep_gates))
        launch(of_pass, tensors)

    monkeypatch.setattr(backend, LAUNCHES[way], noted)
    image, weights, grad = draw(Case(1, 2, 3, 3, 3))
    leaves = leaves_of(image, weights)

    trained = backend.run(leaves[0], MDLSTMWeights(*leaves[1:]))
    frozen = backend.run(image, weights)
    with torch.no_grad():
        inferred = backend.run(leaves[0], MDLSTMWeights(*leaves[1:]))
    trained.backward(grad)

    forward = [("forward", True), ("forward", False), ("forward", False)]
    assert launched == [*forward, ("backward", True)]
    assert torch.equal(trained, inferred)
    assert torch.equal(trained, frozen)


def too_large(kind: str, most: int) -> Callable[..., None]:
    """Return a launch whose passes of one kind have memory for at most `most` images."""

    def launch(of_pass: triton_launch.Pass, tensors: Any) -> None:
        if of_pass.kind == kind and of_pass.batch > most:
            raise torch.OutOfMemoryError
        triton_launch.launch_pass(of_pass, tensors)

    return launch


@needs_kernels
@pytest.mark.parametrize("kind", ["forward", "backward"])
def test_too_little_memory_for_the_whole_batch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    image, weights, grad = draw(Case(3, 2, 3, 3, 3))
    expected = expected_of(image, weights, grad, 1.0)
    triton_wavefront._warn_of_halves.cache_clear()
    monkeypatch.setattr(triton_wavefront, "launch_pass", too_large(kind, 2))

    given = computed(triton_wavefront, leaves_of(image, weights), grad, 1.0)

    assert_same_numbers(given, expected, 1e-5)
    assert [m for m in caplog.messages if m.startswith("Too little GPU memory")] == [
        f"Too little GPU memory for the {kind} pass of a 2D-LSTM layer: "
        "it runs in two halves of the batch."
    ]


@needs_kernels
@pytest.mark.parametrize("batch", [1, 2])
def test_too_little_memory_for_half_of_the_batch(
    monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    image, weights, grad = draw(Case(batch, 2, 3, 3, 3))
    leaves = leaves_of(image, weights)
    monkeypatch.setattr(triton_wavefront, "launch_pass", too_large("backward", 0))
    hidden = triton_wavefront.run(leaves[0], MDLSTMWeights(*leaves[1:]))

    with pytest.raises(torch.OutOfMemoryError):
        torch.autograd.grad(hidden, leaves, grad)
    monkeypatch.setattr(triton_wavefront, "launch_pass", too_large("forward", 0))
    with pytest.raises(torch.OutOfMemoryError):
        triton_wavefront.run(image, weights)
    with pytest.raises(torch.OutOfMemoryError):
        triton_wavefront.states(image, weights)


def test_errors_name_argument_expected_and_given() -> None:
    image, weights, _ = draw(Case(1, 2, 2, 3, 3)) if DEVICE == "cpu" else _on_cpu()
    doubled = MDLSTMWeights(*(weight.double() for weight in weights))

    with pytest.raises(ValueError, match=r"^input_BRCI: expected torch.float32 .* given .*float64"):
        triton_wavefront.run(image.double(), doubled)
    with pytest.raises(ValueError, match=r"^bias_DG: expected shape \(4, 15\), given \(4, 14\)"):
        triton_wavefront.states(image, weights._replace(bias_DG=weights.bias_DG[:, :14]))
    if triton_launch.INTERPRETED:
        elsewhere = weights._replace(bias_DG=weights.bias_DG.to("meta"))
        with pytest.raises(
            ValueError, match=r"^bias_DG: expected the device cpu of input_BRCI, given meta"
        ):
            triton_wavefront.run(image, elsewhere)
    else:
        with pytest.raises(ValueError, match=r"^input_BRCI: expected .*CUDA GPU, given cpu"):
            triton_wavefront.run(image, weights)


def _on_cpu() -> tuple[Tensor, MDLSTMWeights, Tensor]:
    weights = (torch.ones(4, 3, 15), torch.ones(4, 3, 15), torch.ones(4, 3, 15), torch.ones(4, 15))
    return torch.ones(1, 2, 2, 3), MDLSTMWeights(*weights), torch.ones(4, 1, 2, 2, 3)


@pytest.mark.skipif(triton_launch.INTERPRETED, reason="this is the interpreter")
@pytest.mark.parametrize("cases", PARTS)
def test_kernels_in_the_interpreter(interpreted: Callable[..., Any], cases: str) -> None:
    done = interpreted(__file__, cases)

    assert done.returncode == 0, done.stdout + done.stderr


def test_package_does_without_triton() -> None:
    code = "import sys; sys.modules['triton'] = None; import mdlstm_core.network"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
