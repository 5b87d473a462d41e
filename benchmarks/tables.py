"""The tables of docs/performance.md, from the rows of a run."""

from __future__ import annotations

import itertools
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

Row = dict[str, Any]


Size = tuple[int, int, int, int]
"""Rows and columns of a grid, hidden units, batch."""

_NOT_MEASURED = "not measured"
_PASSES = ("forward", "forward+backward")


def write_tables(document: Path, rows: list[Row], sizes: Sequence[Size], arguments: str) -> None:
    """Replace the tables of the device that was measured; the rest of the document stays.

    Args:
        document: has a pair of lines <!-- cpu --> and <!-- end cpu -->, likewise for cuda.
        rows: of one device.
        sizes: all that the tables tell of, whether they were run or not.
        arguments: that the benchmark was called with.
    """
    device = rows[0]["device"]
    text = document.read_text("utf-8")
    begin, end = f"<!-- {device} -->\n", f"<!-- end {device} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    tables = [_machine(device, arguments)]
    tables += [_table(rows, sizes, which) for which in _PASSES]
    tables.append(_busy_table(rows, sizes))
    document.write_text(before + begin + "\n".join(tables) + end + after, encoding="utf-8")


def _machine(device: str, arguments: str) -> str:
    name = torch.cuda.get_device_name() if device == "cuda" else machine()
    return (
        f"{name}, {torch.get_num_threads()} threads; {platform.system()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}. "
        f"`python -m benchmarks.wavefront {arguments}`\n"
    )


def machine() -> str:
    """Return the name of the processor."""
    table = Path("/proc/cpuinfo")
    if table.exists():
        named = re.search(r"model name\s*: (.+)", table.read_text("utf-8"))
        if named:
            return named[1]
    return platform.processor() or platform.machine()


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:.0f}"


def _find(rows: list[Row], size: Size, which: str, backend: str, *, busy: bool) -> Row | None:
    for row in rows:
        if (
            (*row["grid"], row["hidden"], row["batch"]) == size
            and (row["pass"], row["backend"], row["busy"]) == (which, backend, busy)
        ):  # fmt: skip
            return row
    return None


def _table(rows: list[Row], sizes: Sequence[Size], which: str) -> str:
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    lines = [
        f"### {which.capitalize()}, milliseconds (times the floor)\n",
        f"| grid | H | batch | floor | {' | '.join(backends)} |",
        "|---|---|---|---|" + "---|" * len(backends),
    ]
    for size in sizes:
        found = [_find(rows, size, which, backend, busy=False) for backend in backends]
        floors = [_milliseconds(row["floor_seconds"]) for row in found if row]
        cells = [
            f"{_milliseconds(row['seconds'])} ({row['seconds'] / row['floor_seconds']:.1f})"
            if row
            else _NOT_MEASURED
            for row in found
        ]
        grid = f"{size[0]}×{size[1]}"
        floor = floors[0] if floors else _NOT_MEASURED
        lines.append(f"| {grid} | {size[2]} | {size[3]} | {floor} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _busy_table(rows: list[Row], sizes: Sequence[Size]) -> str:
    backends = dict.fromkeys(row["backend"] for row in rows if row["busy"])
    lines = [
        "### With another process that keeps one core busy, times the quiet time\n",
        "| grid | H | batch | pass | backend | milliseconds | times quiet |",
        "|---|---|---|---|---|---|---|",
    ]
    for size, which, backend in itertools.product(sizes, _PASSES, backends):
        busy = _find(rows, size, which, backend, busy=True)
        quiet = _find(rows, size, which, backend, busy=False)
        cells = [_NOT_MEASURED] * 2
        if busy and quiet:
            cells = [_milliseconds(busy["seconds"]), f"{busy['seconds'] / quiet['seconds']:.1f}"]
        grid = f"{size[0]}×{size[1]}"
        lines.append(
            f"| {grid} | {size[2]} | {size[3]} | {which} | {backend} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"
