"""Timing several things in turn, with a rival for the processor or without."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

_ENOUGH_SECONDS = 1.0
_MOST_ROUNDS = 25


@contextmanager
def rival(wanted: bool) -> Iterator[None]:
    """Keep one core busy with another process."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def time_in_turn(
    jobs: Mapping[str, Callable[[], object]], device: torch.device, *, busy: bool
) -> dict[str, float]:
    """Return the seconds of each job; they take turns, so that all meet the same machine.

    Quiet, the fastest run counts: what disturbs one is not its own. Busy, the median does.
    """
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for name in jobs:
        _time(jobs[name], device)
    with rival(busy):
        for _ in range(_MOST_ROUNDS):
            waiting = [
                name
                for name, times in found.items()
                if sum(times) < _ENOUGH_SECONDS or len(times) < 2
            ]
            for name in waiting:
                found[name].append(_time(jobs[name], device))
    return {n: statistics.median(t) if busy else min(t) for n, t in found.items()}


def _time(job: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    job()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
