"""Timing several things in turn, with a rival for the processor or without."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

_ENOUGH_SECONDS = 0.7
_MOST_ROUNDS = 40
_LONG = 1.0
"""Seconds of a run after which no other one is timed."""


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
    # The first run fills caches and fetches memory from the system: it does not count.
    for job in jobs.values():
        job()
    found: dict[str, list[float]] = {name: [] for name in jobs}
    with rival(busy):
        for _ in range(_MOST_ROUNDS):
            for name, times in found.items():
                if len(times) < 2 - (sum(times) > _LONG) or sum(times) < _ENOUGH_SECONDS:
                    times.append(_time(jobs[name], device))
    return {n: statistics.median(t) if busy else min(t) for n, t in found.items()}


def _time(job: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    job()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
