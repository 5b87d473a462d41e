"""The tables of docs/performance.md, from the rows of a run."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Any

import torch

Row = dict[str, Any]


def write_tables(document: Path, rows: list[Row], arguments: str) -> None:
    """Replace the tables of the device that was measured; the rest of the document stays.

    Args:
        document: has a pair of lines <!-- cpu --> and <!-- end cpu -->, likewise for cuda.
        rows: of one device.
        arguments: that the benchmark was called with.
    """
    device = rows[0]["device"]
    text = document.read_text("utf-8")
    begin, end = f"<!-- {device} -->\n", f"<!-- end {device} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    tables = [_machine(device, arguments)]
    tables += [_table(rows, which) for which in ("forward", "forward+backward")]
    tables.append(_busy_table(rows))
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


def _sizes(rows: list[Row]) -> list[tuple[int, int, int, int]]:
    return list(dict.fromkeys((*row["grid"], row["hidden"], row["batch"]) for row in rows))


def _find(
    rows: list[Row], size: tuple[int, ...], which: str, backend: str, *, busy: bool
) -> Row | None:
    for row in rows:
        if (
            (*row["grid"], row["hidden"], row["batch"]) == size
            and (row["pass"], row["backend"], row["busy"]) == (which, backend, busy)
        ):  # fmt: skip
            return row
    return None


def _table(rows: list[Row], which: str) -> str:
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    lines = [
        f"### {which.capitalize()}, milliseconds (times the floor)\n",
        f"| grid | H | batch | floor | {' | '.join(backends)} |",
        "|---|---|---|---|" + "---|" * len(backends),
    ]
    for size in _sizes(rows):
        found = [_find(rows, size, which, backend, busy=False) for backend in backends]
        floors = [_milliseconds(row["floor_seconds"]) for row in found if row]
        cells = [
            f"{_milliseconds(row['seconds'])} ({row['seconds'] / row['floor_seconds']:.1f})"
            if row
            else "not measured"
            for row in found
        ]
        grid = f"{size[0]}×{size[1]}"
        floor = floors[0] if floors else "not measured"
        lines.append(f"| {grid} | {size[2]} | {size[3]} | {floor} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _busy_table(rows: list[Row]) -> str:
    lines = [
        "### With another process that keeps one core busy, times the quiet time\n",
        "| grid | H | batch | pass | backend | milliseconds | times quiet |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        size = (*row["grid"], row["hidden"], row["batch"])
        quiet = _find(rows, size, row["pass"], row["backend"], busy=False)
        if row["busy"] and quiet:
            lines.append(
                f"| {size[0]}×{size[1]} | {size[2]} | {size[3]} | {row['pass']} | {row['backend']} "
                f"| {_milliseconds(row['seconds'])} | {row['seconds'] / quiet['seconds']:.1f} |"
            )
    return "\n".join(lines) + "\n"
