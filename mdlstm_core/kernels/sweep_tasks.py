"""Running compiled sweeps on the threads that torch has already.

Threads of our own would have to wait for a core: unless they are told to sleep, as `app` does,
torch's threads go on spinning for milliseconds after each operation, in case that another one
follows. They serve only where torch's cannot be asked.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch

from mdlstm_core.kernels.native import Sweeps

_WORTH_A_THREAD = 20_000_000
"""Operations below which a second thread costs more than it gains: about 0.3 ms."""

Call = Sequence[int]
"""What a sweep takes, in the order of `sweep_arguments`."""


def run_tasks(
    sweeps: Sweeps,
    sweep: int,
    tasks: Sequence[Sequence[Call]],
    forget_scale: float,
    operations: int,
) -> None:
    """Do tasks on as many threads as torch uses, this one among them; all end with it.

    Args:
        sweeps: the compiled functions.
        sweep: the address of the one to call.
        tasks: at least one, of at least one call each; independent of one another. The calls of
            each are made in their order.
        forget_scale: for all calls.
        operations: floating-point operations of all of them.
    """
    assert tasks
    assert all(tasks), "a task without calls would make the one that follows"
    calls = np.array([call for task in tasks for call in task], np.int64)
    firsts = np.cumsum([0, *map(len, tasks)], dtype=np.int64)
    factor = np.float64(forget_scale).view(np.int64)
    shared = (firsts.ctypes.data, calls.ctypes.data, calls.shape[1], sweep, factor)
    plan = np.array([0, len(tasks), *shared], np.int64)
    threads = torch.get_num_threads() if operations > _WORTH_A_THREAD else 1
    if threads == 1 or len(tasks) == 1:
        sweeps.work(plan.ctypes.data)
    elif (team := torch_team()) is not None:
        # Always of one size, which costs nothing where tasks are few: a team that changes its
        # size ends threads and starts others.
        team(sweeps.work_address, plan.ctypes.data, threads, 0)
    else:
        _on_own_threads(sweeps, plan.ctypes.data, min(threads, len(tasks)))


def _on_own_threads(sweeps: Sweeps, plan: int, threads: int) -> None:
    """Do a plan's tasks on this thread and new ones, `threads` in all."""
    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(sweeps.work, plan) for _ in range(threads - 1)]
        sweeps.work(plan)
        for other in others:
            other.result()


@lru_cache(maxsize=1)
def torch_team() -> Callable[[int, int, int, int], None] | None:
    """Return OpenMP's call that runs a function on torch's threads; None where there is none.

    It takes the addresses of the function and of its argument, the number of threads, and
    0. GNU's runtime has it, and those of Intel and LLVM have it for its sake.
    """
    try:
        team = ctypes.CDLL(None).GOMP_parallel
    # In this order: no such runtime; no library at all, as on Windows.
    except (AttributeError, TypeError, OSError):
        return None
    team.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    team.restype = None
    found: Callable[[int, int, int, int], None] = team
    return found
