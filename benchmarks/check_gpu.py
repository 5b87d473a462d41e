"""Check the GPU kernels against float64 on the CPU, then time them.

    python -m benchmarks.check_gpu [--quick] [--tiles] [--json FILE]

For a machine with a CUDA GPU, and the first thing to run on a new one: a kernel whose
numbers are wrong is not timed. Each shape runs often enough to use the launches one by one,
their recording and its replay. Exit status 1 if a number is wrong. A kernel that waits for
ever would show here too: it does not come back.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor

from mdlstm_core.kernels import GPU_KERNELS, MDLSTMWeights, wavefront

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 3e-2}
"""Of ‖given − expected‖ / ‖expected‖."""

ROUNDS = 4
"""Launches one by one, then recorded, then replayed twice."""


class Layer(NamedTuple):
    """A layer's size: batch, rows, columns, input features, hidden units."""

    batch: int
    rows: int
    columns: int
    inputs: int
    units: int
    dtype: torch.dtype


CHECKED = [
    (1, 1, 1, 3, 3),
    (1, 1, 70, 5, 20),
    (3, 70, 1, 5, 17),
    (1, 63, 65, 12, 50),
    (3, 63, 65, 30, 20),
    (2, 33, 17, 8, 100),
    (40, 20, 19, 12, 50),
    (5, 7, 129, 4, 1),
    (1, 64, 48, 50, 128),
]
TIMED = [
    Layer(1, 64, 48, 50, 20, torch.float32),
    Layer(1, 64, 48, 50, 50, torch.float32),
    Layer(1, 64, 48, 50, 50, torch.bfloat16),
    Layer(16, 64, 48, 50, 50, torch.float32),
    Layer(1, 128, 96, 50, 50, torch.float32),
    Layer(1, 512, 512, 50, 50, torch.float32),
    Layer(16, 512, 512, 50, 50, torch.bfloat16),
]
QUICK = 3

SHORT_TILES = [
    *((16, 16, 16, 4, 2), (16, 16, 16, 4, 4), (16, 16, 16, 2, 4), (16, 16, 32, 4, 3)),
    *((8, 16, 16, 4, 4), (16, 32, 16, 4, 4), (32, 16, 16, 4, 4)),
]
LONG_TILES = [
    *((32, 32, 16, 8, 2), (64, 32, 16, 8, 2), (64, 32, 16, 8, 3), (64, 32, 32, 8, 3)),
    *((64, 64, 16, 8, 3), (128, 32, 16, 8, 3), (128, 64, 32, 8, 3)),
]
"""Tiles to time on short and on long diagonals (see `triton_launch.Tiles`)."""

FLOAT32_BANDS = [
    *((4, 64, 1, 8), (4, 64, 2, 8), (4, 64, 4, 8), (4, 64, 8, 8)),
    *((2, 64, 4, 8), (8, 64, 4, 16)),
]
BFLOAT16_BANDS = [
    *((16, 64, 1, 8), (16, 64, 2, 8), (16, 64, 4, 8), (16, 64, 8, 8)),
    *((16, 64, 4, 4), (32, 64, 4, 8)),
]
"""Bands of 50 units to time in either type (see `triton_persistent.Bands`)."""


def main() -> int:
    """Check, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and smaller shapes")
    parser.add_argument("--tiles", action="store_true", help="time other tiles too")
    parser.add_argument("--json", type=Path, help="write the times to this file")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no CUDA GPU here.", file=sys.stderr)
        return 2
    import triton

    # The persistent kernel says there where it has no room, and leaves the work to the other.
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    print(
        f"{torch.cuda.get_device_name()}, {memory:.0f} GiB; torch {torch.__version__}, "
        f"triton {triton.__version__}, Python {platform.python_version()}"
    )
    backends = {name: import_module(module) for name, module in GPU_KERNELS.items()}
    shapes = CHECKED[:QUICK] if options.quick else CHECKED
    right = [
        check(name, backend, Layer(*shape, dtype))
        for name, backend in backends.items()
        for shape, dtype in itertools.product(shapes, TOLERANCE)
    ]
    if not all(right):
        print(f"{right.count(False)} of {len(right)} checks failed.")
        return 1
    rows: list[dict[str, Any]] = []
    for layer in TIMED[:QUICK] if options.quick else TIMED:
        rows += time_layer(backends | {"torch": wavefront}, layer)
    if options.tiles:
        compare_all_tiles(quick=options.quick)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


def draw(layer: Layer, seed: int) -> tuple[list[Tensor], Tensor]:
    """Return input and weights, and the gradient that reaches the hidden states."""
    generator = torch.Generator("cuda").manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device="cuda")

    batch, rows, columns, inputs, units, dtype = layer
    leaves = [
        normal(batch, rows, columns, inputs),
        normal(4, inputs, 5 * units) / inputs**0.5,
        normal(4, units, 5 * units) / units**0.5,
        normal(4, units, 5 * units) / units**0.5,
        normal(4, 5 * units),
    ]
    grad = normal(4, batch, rows, columns, units).to(dtype)
    return [leaf.to(dtype).requires_grad_() for leaf in leaves], grad


def trained(backend: ModuleType, leaves: list[Tensor], grad: Tensor) -> list[Tensor]:
    """Return the hidden states and the gradients of input and weights."""
    hidden = backend.run(leaves[0], MDLSTMWeights(*leaves[1:]), 0.5)
    return [hidden.detach(), *torch.autograd.grad(hidden, leaves, grad)]


def check(name: str, backend: ModuleType, layer: Layer) -> bool:
    """Compare with float64 on the CPU; print the errors; return whether they are small."""
    worst, same = 0.0, True
    for seed in range(ROUNDS):
        leaves, grad = draw(layer, seed)
        # What the kernels leave unwritten shows as NaN: torch hands this memory out again.
        junk = torch.full((2**28,), torch.nan, device="cuda")
        del junk
        given = trained(backend, leaves, grad)
        again = trained(backend, leaves, grad)
        same &= all(map(torch.equal, given, again))
        exact = [leaf.detach().cpu().double().requires_grad_() for leaf in leaves]
        expected = trained(wavefront, exact, grad.cpu().double())
        for one, other in zip(given, expected, strict=True):
            error = (one.cpu().double() - other).norm() / (other.norm() + 1e-12)
            # A comparison with NaN is false, so that the worst would forget it.
            worst = max(worst, error.nan_to_num(torch.inf).item())
    right = same and worst <= TOLERANCE[layer.dtype]
    print(
        f"{'right' if right else 'WRONG'}  {name:17}  {_text(layer)}  "
        f"largest relative error {worst:.1e}"
        f"{'' if same else ', and two runs on the same numbers differ'}"
    )
    return right


def time_layer(backends: dict[str, ModuleType], layer: Layer) -> list[dict[str, Any]]:
    """Time a layer's passes and print them; skip what the GPU's memory does not hold."""
    cells = layer.batch * layer.rows * layer.columns * 4
    itemsize = layer.dtype.itemsize
    # Gates and their gradients, the states and what is formed of them.
    needed = cells * layer.units * (10 * itemsize + 6 * itemsize + 8)
    free, _ = torch.cuda.mem_get_info()
    diagonals = layer.rows + layer.columns - 1
    rows = []
    for name, backend in backends.items():
        if needed * (1 if name in GPU_KERNELS else 2) > free:
            print(f"       {_text(layer)}  {name}: not measured, {free / 2**30:.0f} GiB free")
            continue
        leaves, grad = draw(layer, 0)

        def forward(backend: ModuleType = backend, leaves: list[Tensor] = leaves) -> None:
            with torch.no_grad():
                backend.run(leaves[0], MDLSTMWeights(*leaves[1:]), 0.5)

        def both(
            backend: ModuleType = backend, leaves: list[Tensor] = leaves, grad: Tensor = grad
        ) -> None:
            trained(backend, leaves, grad)

        for of_pass, work, products in (("forward", forward, 1), ("forward+backward", both, 3)):
            seconds = seconds_of(work)
            floor = products * seconds_of(_products(layer))
            rows.append(
                {
                    "grid": [layer.rows, layer.columns],
                    "hidden": layer.units,
                    "batch": layer.batch,
                    "pass": of_pass,
                    "backend": name,
                    "dtype": str(layer.dtype).removeprefix("torch."),
                    "device": "cuda",
                    "busy": False,
                    "seconds": seconds,
                    "floor_seconds": floor,
                }
            )
            # The fewest bytes: of inference input part, both states; of training all gates too.
            per_unit = 5 * itemsize + itemsize + 4
            moved = cells * layer.units * (per_unit if of_pass == "forward" else 4 * per_unit)
            print(
                f"       {_text(layer)}  {name:17} {of_pass:16} {seconds * 1e3:9.3f} ms"
                f"  {seconds / diagonals * 1e6:8.2f} µs a diagonal"
                f"  {seconds / floor:7.1f}× the products  {moved / seconds / 1e12:6.2f} TB/s"
            )
    return rows


def compare_all_tiles(*, quick: bool) -> None:
    """Time both kernels with other tiles than their own."""
    from mdlstm_core.kernels.triton_launch import Tiles
    from mdlstm_core.kernels.triton_persistent import Bands

    def tiles(layer: Layer, candidates: list[tuple[int, int, int, int, int]]) -> None:
        named = [Tiles(*candidate) for candidate in candidates]
        compare_tiles("triton", "triton_launch", "tiles_for", layer, named)

    def bands(layer: Layer, candidates: list[tuple[int, int, int, int]]) -> None:
        named = [Bands(*candidate) for candidate in candidates]
        compare_tiles("triton-persistent", "triton_persistent", "bands_for", layer, named)

    tiles(TIMED[1], SHORT_TILES)
    tiles(TIMED[2], SHORT_TILES)
    bands(TIMED[1], FLOAT32_BANDS)
    bands(TIMED[2], BFLOAT16_BANDS)
    if not quick:
        tiles(TIMED[-2], LONG_TILES)
        tiles(TIMED[-1], LONG_TILES)
        bands(TIMED[-2], FLOAT32_BANDS)
        bands(TIMED[-1], BFLOAT16_BANDS)


def compare_tiles(
    name: str, module: str, rule: str, layer: Layer, candidates: Sequence[tuple[int, ...]]
) -> None:
    """Check and time a layer with each of the candidates in place of what a rule says.

    Args:
        name: of the kernel.
        module: of `mdlstm_core.kernels` that the rule is in.
        rule: the function's name.
        layer: to time.
        candidates: what the rule is to say.
    """
    backend = import_module(GPU_KERNELS[name])
    where = import_module(f"mdlstm_core.kernels.{module}")
    own = getattr(where, rule)(_pass_of(layer))
    # The numbers do not depend on the grid's size, and a small one is checked sooner.
    sample = layer._replace(batch=3, rows=17, columns=21)
    for tiles in candidates:
        print(f"{tiles}{' (its own)' if tiles == own else ''}")
        try:
            with mock.patch.object(where, rule, return_value=tiles):
                if check(name, backend, sample):
                    time_layer({name: backend}, layer)
        # A tile may ask for more shared memory than there is: Triton's own kind of error.
        except Exception as error:
            print(f"       {error}")


def _pass_of(layer: Layer) -> Any:
    from mdlstm_core.kernels.triton_launch import Pass

    batch, rows, columns, _, units, dtype = layer
    return Pass("forward", batch, rows, columns, units, dtype, 0.5)


def _products(layer: Layer) -> Callable[[], None]:
    """Return the recurrent products of a forward pass as if they were independent."""
    cells = layer.batch * layer.rows * layer.columns
    before = torch.randn(4, cells, 2 * layer.units, device="cuda", dtype=layer.dtype)
    weights = torch.randn(4, 2 * layer.units, 5 * layer.units, device="cuda", dtype=layer.dtype)

    def multiply() -> None:
        torch.bmm(before, weights)

    return multiply


def seconds_of(work: Callable[[], None], most: int = 50) -> float:
    """Return the median time of `work`, after enough calls to compile and to record it."""
    for _ in range(ROUNDS):
        work()
    torch.cuda.synchronize()
    times: list[float] = []
    while len(times) < 5 or (len(times) < most and sum(times) < 2):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return statistics.median(times)


def _text(layer: Layer) -> str:
    dtype = str(layer.dtype).removeprefix("torch.")
    grid = f"{layer.rows}×{layer.columns}"
    return f"{grid:>8}  batch {layer.batch:2}  H {layer.units:3}  {dtype:8}"


if __name__ == "__main__":
    sys.exit(main())
