"""The kernels beside one another, their peers and the bare matrix products.

python -m benchmarks.wavefront [--device cpu|cuda] [--quick] --json FILE

All are timed with nothing else at work, and again while another process keeps one core busy.
They get memory that was freed before, as in a training. A run that would by its operations take
longer than --seconds, or more memory than half of what is free, is left out; the tables say
"not measured".
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from app.cli.doctor import findings
from benchmarks.measuring import time_in_turn
from benchmarks.peers import autograd_diagonal, equal_lstm, floor_products, layer_flops
from benchmarks.tables import write_tables
from mdlstm_core.devices import select_device
from mdlstm_core.errors import InputError
from mdlstm_core.freed_memory import keep_freed
from mdlstm_core.kernels import GPU_KERNELS, KERNELS, MDLSTMWeights, reference, select_kernel

Row = dict[str, Any]
_PASSES = ("forward", "forward+backward")
_SCALE = 0.5
_FIRST_RATE = {"reference": 1e3, "autograd-diagonal": 2e9}
"""Work a second (see `Bench.work`) to expect of a backend before anything is known of it."""


@dataclass(frozen=True)
class Size:
    """What one comparison is about."""

    grid: tuple[int, int]
    hidden: int
    batch: int


@dataclass
class Bench:
    """What a whole run shares.

    Attributes:
        device: to run on.
        dtype: of all numbers.
        seconds: that one run may take.
        memory: bytes that are free.
        rows: what was found so far, as they go into the JSON file.
        rates: work a second of each backend and pass in the last size.
    """

    device: torch.device
    dtype: torch.dtype
    seconds: float
    memory: int
    rows: list[Row] = field(default_factory=list)
    rates: dict[tuple[str, str], float] = field(default_factory=dict)

    def backends(self) -> dict[str, Callable[..., Tensor]]:
        """Return the kernels that run here, and the peer that takes the same arguments."""
        names = [n for n in KERNELS if n != "compiled"] + list(GPU_KERNELS)
        if self.device.type == "cpu":
            names = list(KERNELS)
        chosen = {n: select_kernel(n, self.device, self.dtype) for n in names}
        found = {n: choice.module.run for n, choice in chosen.items() if choice.name == n}
        return found | {"autograd-diagonal": autograd_diagonal}

    def fits(self, name: str, which: str, size: Size) -> bool:
        """Return whether a run keeps to the time and the memory it may take."""
        cells = 4 * size.grid[0] * size.grid[1] * size.batch
        values = cells * size.hidden * (2 if which == "forward" else 14)
        if name in ("reference", "autograd-diagonal", "torch"):
            values = cells * size.hidden * (10 if which == "forward" else 40)
        rate = self.rates.get((name, which), _FIRST_RATE.get(name, 1e10))
        seconds = self.work(name, size) / rate
        return values * self.dtype.itemsize < self.memory / 2 and seconds < self.seconds

    def work(self, name: str, size: Size) -> int:
        """Return what a backend's time grows with: its operations, or cells one by one."""
        if name == "reference":
            return size.grid[0] * size.grid[1]
        return layer_flops(*size.grid, size.batch, size.hidden)


def _draw(size: Size, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, MDLSTMWeights]:
    """Draw an input with as many features as units, and weights that keep the states small."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int, spread: float) -> Tensor:
        numbers = torch.randn(shape, generator=generator, dtype=torch.float64) * spread
        return numbers.to(device, dtype)

    units, spread = size.hidden, size.hidden**-0.5
    weights = MDLSTMWeights(
        normal(4, units, 5 * units, spread=spread),
        normal(4, units, 5 * units, spread=spread / 2),
        normal(4, units, 5 * units, spread=spread / 2),
        normal(4, 5 * units, spread=0.5),
    )
    return normal(size.batch, *size.grid, units, spread=1.0), weights


def _gradients(run: Callable[..., Tensor], image: Tensor, weights: MDLSTMWeights) -> list[Tensor]:
    leaves = [tensor.detach().requires_grad_() for tensor in (image, *weights)]
    hidden = run(leaves[0], MDLSTMWeights(*leaves[1:]), _SCALE)
    return [hidden.detach(), *torch.autograd.grad(hidden, leaves, torch.ones_like(hidden))]


def check_equality(bench: Bench, size: Size) -> None:
    """Compare outputs and gradients with the reference in float64, on a piece of the grid.

    Raises:
        SystemExit: one differs; nothing is timed then.
    """
    piece = Size((min(size.grid[0], 13), min(size.grid[1], 11)), size.hidden, min(size.batch, 2))
    expected = _gradients(reference.run, *_draw(piece, torch.device("cpu"), torch.float64))
    allowed = 2e-2 if bench.dtype.itemsize < 4 else 1e-4
    for name, run in bench.backends().items():
        for given, right in zip(
            _gradients(run, *_draw(piece, bench.device, bench.dtype)), expected, strict=True
        ):
            error = float((given.cpu().double() - right).norm() / right.norm())
            if not error < allowed:
                raise SystemExit(f"{name} differs from the reference by {error:.1e} at {piece}")


def compare(bench: Bench, size: Size, which: str, *, busy: bool) -> None:
    """Time everything that fits at one size and for one pass; add the rows."""
    jobs = _jobs(bench, size, which)
    if not jobs:
        return
    forward, backward, scale = floor_products(
        *size.grid, size.batch, size.hidden, bench.device, bench.dtype
    )
    floors: dict[str, Callable[[], object]]
    floors = {"floor forward": forward, "floor backward": backward}
    found = time_in_turn(jobs if busy else jobs | floors, bench.device, busy=busy)
    bare = time_in_turn(floors, bench.device, busy=False) if busy else found
    floor = bare["floor forward"] + (bare["floor backward"] if which != "forward" else 0.0)
    for name, seconds in found.items():
        if name in floors:
            continue
        if not busy:
            bench.rates[name, which] = bench.work(name, size) / seconds
        bench.rows.append(
            {
                "grid": list(size.grid),
                "hidden": size.hidden,
                "batch": size.batch,
                "pass": which,
                "backend": name,
                "dtype": str(bench.dtype).removeprefix("torch."),
                "device": bench.device.type,
                "busy": busy,
                "seconds": seconds,
                "floor_seconds": floor * scale,
            }
        )
        print(
            f"{size.grid[0]}×{size.grid[1]} H={size.hidden} batch {size.batch} {which}"
            f"{' busy' if busy else ''}: {name} {seconds * 1e3:.2f} ms, "
            f"{seconds / (floor * scale):.2f} × floor",
            flush=True,
        )


def _jobs(bench: Bench, size: Size, which: str) -> dict[str, Callable[[], object]]:
    """Return what to time, by the backend's name."""
    image, weights = _draw(size, bench.device, bench.dtype)
    jobs: dict[str, Callable[[], object]] = {}

    def forward(run: Callable[..., Tensor]) -> Callable[[], object]:
        return torch.no_grad()(lambda: run(image, weights, _SCALE))

    for name, run in bench.backends().items():
        if bench.fits(name, which, size):
            both = partial(_gradients, run, image, weights)
            jobs[name] = forward(run) if which == "forward" else both
    if bench.fits("nn.LSTM", which, size):
        lstm, sequences = equal_lstm(*size.grid, size.batch, size.hidden, bench.device, bench.dtype)
        leaves = [sequences.requires_grad_(), *lstm.parameters()]

        def lstm_both() -> object:
            hidden = lstm(sequences)[0]
            return torch.autograd.grad(hidden, leaves, torch.ones_like(hidden))

        jobs["nn.LSTM"] = (
            torch.no_grad()(lambda: lstm(sequences)) if which == "forward" else lstm_both
        )
    return jobs


def _free_memory(device: torch.device) -> int:
    """Return the device's free memory in bytes; a cautious guess where it does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info()[0]
    return findings()["memory"]["available_bytes"] or 2**32


def main(arguments: list[str] | None = None) -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wavefront", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--quick", action="store_true", help="one tiny size; no document")
    parser.add_argument("--json", type=Path, required=True, help="file to write the rows to")
    parser.add_argument("--seconds", type=float, default=10.0, help="most that a run may take")
    parser.add_argument("--document", type=Path, default=Path("docs/performance.md"))
    options = parser.parse_args(arguments)
    try:
        device, dtype = select_device(options.device).device, getattr(torch, options.dtype)
    except InputError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    bench = Bench(device, dtype, options.seconds, _free_memory(device))
    grids = [(64, 48), (128, 96), (512, 512)]
    sizes = [Size(*size) for size in itertools.product(grids, (20, 50, 100), (1, 16))]
    for size in [Size((9, 7), 5, 2)] if options.quick else sizes:
        check_equality(bench, size)
        for which, busy in itertools.product(_PASSES, (False, True)):
            with keep_freed():
                compare(bench, size, which, busy=busy)
    options.json.write_text(json.dumps(bench.rows, indent=1) + "\n", encoding="utf-8")
    if not options.quick:
        command = f"--device {device} --dtype {options.dtype} --seconds {options.seconds:g}"
        told = [(*size.grid, size.hidden, size.batch) for size in sizes]
        write_tables(options.document, bench.rows, told, f"{command} --json FILE")


if __name__ == "__main__":
    main()
