"""The compiled kernel: what no other backend has, beside what test_kernels asks of all."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from llvmlite import ir
from numpy.typing import NDArray
from torch import Tensor

from mdlstm_core.kernels import (
    MDLSTMWeights,
    compiled_wavefront,
    native,
    reference,
    sweep_tasks,
    wavefront,
)
from mdlstm_core.kernels.vector_code import Target, VectorCode

ROOT = Path(__file__).parent.parent.parent
PROCESSORS = {
    "no vectors of 256 bits": Target(64, 128, 16),
    "AVX2": Target(64, 256, 16),
    "AVX-512": Target(64, 256, 32),
    "NEON": Target(64, 128, 32),
}


def draw(
    rows: int, columns: int, batch: int, inputs: int, units: int, dtype: torch.dtype
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(rows + 100 * columns + units)

    def normal(*shape: int, spread: float) -> Tensor:
        return (torch.randn(shape, generator=generator, dtype=torch.float64) * spread).to(dtype)

    return [
        normal(batch, rows, columns, inputs, spread=1.0),
        normal(4, inputs, 5 * units, spread=inputs**-0.5),
        normal(4, units, 5 * units, spread=units**-0.5 / 2),
        normal(4, units, 5 * units, spread=units**-0.5 / 2),
        normal(4, 5 * units, spread=0.5),
    ]


def results(run: object, tensors: list[Tensor], scale: float = 0.5) -> list[Tensor]:
    """Return the output and the gradients of input and weights."""
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    hidden = run(leaves[0], MDLSTMWeights(*leaves[1:]), scale)
    loss = (hidden * torch.arange(hidden.numel()).view_as(hidden).sin()).sum()
    return [hidden.detach(), *torch.autograd.grad(loss, leaves)]


def assert_close(given: list[Tensor], expected: list[Tensor], allowed: float) -> None:
    for found, right in zip(given, expected, strict=True):
        assert (found.double() - right.double()).norm() <= allowed * right.double().norm()


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float64, 1e-13), (torch.float32, 2e-6)])
@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize(
    ("size", "batch", "inputs", "units"),
    [
        ((1, 1), 3, 2, 50),
        ((1, 9), 1, 5, 20),
        ((9, 1), 3, 1, 13),
        ((7, 5), 1, 9, 41),
        ((5, 8), 3, 17, 8),
    ],
)
def test_output_states_and_gradients_equal_reference(
    dtype: torch.dtype,
    allowed: float,
    scale: float,
    size: tuple[int, int],
    batch: int,
    inputs: int,
    units: int,
) -> None:
    tensors = draw(*size, batch, inputs, units, dtype)
    exact = [tensor.double() for tensor in tensors]

    expected = results(reference.run, exact, scale)
    assert_close(results(compiled_wavefront.run, tensors, scale), expected, allowed)

    weights, right = MDLSTMWeights(*tensors[1:]), MDLSTMWeights(*exact[1:])
    states = compiled_wavefront.states(tensors[0], weights, scale)
    assert_close(list(states), list(reference.states(exact[0], right, scale)), allowed)
    without_gradients = compiled_wavefront.run(tensors[0], weights, scale)
    assert_close([without_gradients], expected[:1], allowed)


def test_large_odd_grid_equals_reference() -> None:
    tensors = draw(63, 65, 1, 3, 5, torch.float64)

    expected = results(reference.run, tensors)

    assert_close(results(compiled_wavefront.run, tensors), expected, 1e-12)


@pytest.fixture(params=["torch's threads", "threads of our own"])
def many_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tasks go to several threads, also where torch's runtime cannot be asked."""
    monkeypatch.setattr(sweep_tasks, "_WORTH_A_THREAD", 0)
    if request.param == "threads of our own":
        monkeypatch.setattr(sweep_tasks, "torch_team", lambda: None)
    elif sys.platform == "linux":
        assert sweep_tasks.torch_team() is not None


@pytest.mark.usefixtures("many_threads")
def test_threads_leave_the_numbers_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    # Others may be at work: of another test, or of Qt's, which Python may go on listing.
    before = set(threading.enumerate())
    tensors = draw(11, 9, 6, 4, 20, torch.float32)

    def with_threads(number: int) -> list[Tensor]:
        monkeypatch.setattr(torch, "get_num_threads", lambda: number)
        return results(compiled_wavefront.run, tensors)

    alone = with_threads(1)

    assert all(
        torch.equal(a, b)
        for number in (2, 5)
        for a, b in zip(with_threads(number), alone, strict=True)
    )
    assert set(threading.enumerate()) <= before


@pytest.mark.usefixtures("many_threads")
def test_several_callers_at_once_do_not_mix_their_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    tasks = [draw(9, 7 + n, 2, 4, 20, torch.float32) for n in range(8)]
    alone = [results(compiled_wavefront.run, tensors) for tensors in tasks]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(partial(results, compiled_wavefront.run), tasks))

    for given, expected in zip(together, alone, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(given, expected, strict=True))


@pytest.mark.usefixtures("many_threads")
def test_each_call_is_made_once_and_those_of_a_task_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    loader = native.loader(32)
    sweeps = loader.get(wait=True)
    assert sweeps is not None
    # As many tasks as make a task given twice or left out likely, if threads disagreed.
    tasks = [[(task, call) for call in range(task % 4 + 1)] for task in range(500)]
    made = []

    def sweep(call: Any, factor: float) -> None:
        made.append((call[0], call[1], factor))

    kind = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_int64), ctypes.c_double)
    address = ctypes.cast(kind(sweep), ctypes.c_void_p)
    assert address.value is not None
    sweep_tasks.run_tasks(sweeps, address.value, tasks, 0.25, 1)

    for number, calls in enumerate(tasks):
        assert [one for one in made if one[0] == number] == [(*call, 0.25) for call in calls]
    assert len(made) == sum(map(len, tasks))


def test_gradients_are_the_same_when_asked_for_twice() -> None:
    leaves = [t.requires_grad_() for t in draw(6, 7, 2, 3, 9, torch.float64)]
    hidden = compiled_wavefront.run(leaves[0], MDLSTMWeights(*leaves[1:]), 0.5)

    # The gradient of a sum has one number for all cells.
    first = torch.autograd.grad(hidden.sum(), leaves, retain_graph=True)
    second = torch.autograd.grad(hidden.sum(), leaves)

    expected = reference.run(leaves[0], MDLSTMWeights(*leaves[1:]), 0.5).sum()
    torch.testing.assert_close(first, torch.autograd.grad(expected, leaves))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_input_without_gradient_gets_none() -> None:
    tensors = draw(6, 7, 2, 3, 9, torch.float64)
    expected = results(wavefront.run, tensors)
    leaves = [tensor.requires_grad_() for tensor in tensors[1:]]

    hidden = compiled_wavefront.run(tensors[0], MDLSTMWeights(*leaves), 0.5)
    (hidden * torch.arange(hidden.numel()).view_as(hidden).sin()).sum().backward()

    assert tensors[0].grad is None
    torch.testing.assert_close([leaf.grad for leaf in leaves], expected[2:])


@pytest.fixture
def fresh_loader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing is loaded, and nothing was ever kept."""
    monkeypatch.setattr(native, "cache_folder", lambda: tmp_path)
    native.loader.cache_clear()
    yield
    native.loader.cache_clear()


@pytest.mark.usefixtures("fresh_loader")
@pytest.mark.parametrize("processor", PROCESSORS)
def test_code_for_other_processors_is_right(
    processor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "host_target", lambda bits: PROCESSORS[processor])
    tensors = draw(7, 9, 2, 3, 27, torch.float64)

    given = results(compiled_wavefront.run, tensors)

    assert_close(given, results(reference.run, tensors), 1e-13)


def apply_nonlinearities(
    values: NDArray[np.floating],
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the kernel's sigmoid and tanh of some numbers."""
    target = native.host_target(values.itemsize * 8)
    module = ir.Module("nonlinearities")
    names = ("count", "values", "to_sigmoid", "to_tanh")
    code = VectorCode(module, "apply", target, names)
    given, sigmoid, tanh = (code.numbers(code.arguments[name]) for name in names[1:])
    with code.loop(code.arguments["count"], target.lanes) as start:
        x = code.load_vector(given, start)
        code.store_vector(code.sigmoid(x), sigmoid, start)
        code.store_vector(code.tanh(x), tanh, start)
    code.finish()
    _engine, (address,) = native.link(native.object_code(module), ["apply"])
    apply = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_double)(address)
    padded = np.concatenate([values, np.zeros(-len(values) % target.lanes, values.dtype)])
    found = np.full((2, len(padded)), np.nan, values.dtype)
    addresses = (len(padded), padded.ctypes.data, found[0].ctypes.data, found[1].ctypes.data)
    apply((ctypes.c_int64 * 4)(*addresses), 0.0)
    return found[0, : len(values)], found[1, : len(values)]


@pytest.mark.parametrize(("dtype", "allowed"), [(np.float32, 5e-7), (np.float64, 2e-15)])
def test_nonlinearities_are_exact_to_a_few_last_digits(
    dtype: type[np.floating], allowed: float
) -> None:
    small = np.logspace(-30, 1.9, 200_001)
    values = np.concatenate([np.linspace(-80, 80, 200_001), small, -small]).astype(dtype)
    values = values[values != 0]
    exact = values.astype(np.longdouble)

    sigmoid, tanh = apply_nonlinearities(values)

    for found, right in ((sigmoid, 1 / (1 + np.exp(-exact))), (tanh, np.tanh(exact))):
        assert np.abs(found.astype(np.longdouble) / right - 1).max() < allowed


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nonlinearities_at_their_ends(dtype: type[np.floating]) -> None:
    values = np.array([0.0, np.inf, -np.inf, 1e30, -1e30, np.nan], dtype)

    sigmoid, tanh = apply_nonlinearities(values)

    np.testing.assert_allclose(sigmoid[:5], [0.5, 1, 0, 1, 0], rtol=0, atol=1e-30)
    np.testing.assert_array_equal(tanh[:5], [0, 1, -1, 1, -1])
    assert np.isnan([sigmoid[5], tanh[5]]).all()


@pytest.mark.parametrize("number", [torch.inf, -torch.inf, torch.nan])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_input_that_is_not_finite_is_named(number: float, dtype: torch.dtype) -> None:
    image, *weights = draw(4, 3, 1, 2, 3, dtype)
    image[0, 2, 1, 1] = number

    with pytest.raises(ValueError, match=r"^input_BRCI: expected finite .* given 1 .*4, 3, 2"):
        compiled_wavefront.run(image, MDLSTMWeights(*weights))


@pytest.mark.parametrize("of", range(5))
@pytest.mark.parametrize("units", [3, 16])
def test_negative_views_are_read_as_what_they_say(of: int, units: int) -> None:
    tensors = draw(6, 5, 2, 4, units, torch.float64)
    plain = list(tensors)
    tensors[of], plain[of] = torch._neg_view(tensors[of]), -tensors[of]

    for run in (without_gradients, partial(results, compiled_wavefront.run)):
        for given, expected in zip(run(tensors), run(plain), strict=True):
            assert torch.equal(given, expected)


def without_gradients(tensors: list[Tensor]) -> list[Tensor]:
    image, *weights = tensors
    return [compiled_wavefront.run(image, MDLSTMWeights(*weights), 0.5)]


@pytest.mark.parametrize("of", range(5))
def test_zeros_that_lie_nowhere_are_zeros(of: int) -> None:
    tensors = draw(6, 5, 2, 4, 3, torch.float64)
    plain = list(tensors)
    tensors[of] = torch._efficientzerotensor(tensors[of].shape, dtype=torch.float64)
    plain[of] = torch.zeros_like(plain[of])

    assert torch.equal(without_gradients(tensors)[0], without_gradients(plain)[0])


def test_gradients_that_are_no_plain_memory() -> None:
    leaves = [tensor.requires_grad_() for tensor in draw(6, 5, 2, 4, 3, torch.float64)]
    (hidden,) = without_gradients(leaves)
    ones = torch.ones_like(hidden)

    def gradients(grad: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(hidden, leaves, grad, retain_graph=True)

    nowhere = torch._efficientzerotensor(hidden.shape, dtype=torch.float64)
    assert not any(of_leaf.any() for of_leaf in gradients(nowhere))
    negative = gradients(torch._neg_view(ones))
    assert all(torch.equal(a, b) for a, b in zip(negative, gradients(-ones), strict=True))


def test_large_numbers_are_finite() -> None:
    image, *weights = draw(4, 3, 1, 2, 3, torch.float32)
    # Their sum is not.
    image.fill_(3e38)

    assert compiled_wavefront.run(image, MDLSTMWeights(*weights)).isfinite().all()


def test_types_it_does_not_know_are_named() -> None:
    image, *weights = draw(4, 3, 1, 2, 3, torch.bfloat16)

    with pytest.raises(ValueError, match=r"^input_BRCI: expected torch.float32 .* given .*bfloat"):
        compiled_wavefront.run(image, MDLSTMWeights(*weights))


MEMORY = """
import resource, sys, torch
from mdlstm_core.kernels import MDLSTMWeights, select_kernel

def peak():
    # The usage of a process begins with its parent's peak where a process is forked.
    try:
        lines = open("/proc/self/status").read().splitlines()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024

units = 20
run = select_kernel(sys.argv[1]).module.run
weights = MDLSTMWeights(*(torch.zeros(4, n, 5 * units) for n in (3, units, units)),
                        torch.zeros(4, 5 * units))
run(torch.zeros(1, 8, 8, 3), weights)
image = torch.zeros(1, 512, 512, 3)
before = peak()
output = run(image, weights)
print((peak() - before) / (output.numel() * output.itemsize))
"""


@pytest.mark.parametrize(("kernel", "most"), [("compiled", 1.3), ("torch", 2.5)])
def test_inference_needs_little_more_memory_than_its_output(kernel: str, most: float) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, kernel],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert 0.9 < float(done.stdout) < most
