"""Keeping small operations on one core.

Torch's number of threads is each thread's own. One that begins takes the number that was set
last, whichever thread set it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class _Thread(threading.local):
    """What is known of each thread.

    Attributes:
        is_own: whether it can have its number from nobody that is kept to one core.
    """

    is_own = False


_thread = _Thread()
_thread.is_own = True  # nobody is yet


class _Kept:
    """The threads that are kept to one core.

    Attributes:
        lock: for both others.
        count: how many there are.
        number: of threads, that the first of them had before.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.number = torch.get_num_threads()


_kept = _Kept()


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep a loop over small operations on one core; then torch's number of threads is as before.

    A parallel region each gains nothing on them, and waits for a slice of time at every one
    when something else wants the core. Measured on two cores: a training step of one image, a
    diagonal at a time, with another process on one of them, 1.4 s against 0.27 s; the fit of the
    live classifier beside the window 0.25 to 0.32 s against 0.12 to 0.15 s.
    """
    with _kept.lock:
        number = _number_before()
        if not _kept.count:
            _kept.number = number
        _kept.count += 1
        torch.set_num_threads(1)
        _thread.is_own = True
    try:
        yield
    finally:
        with _kept.lock:
            _kept.count -= 1
            torch.set_num_threads(number)


def _number_before() -> int:
    """Return this thread's number, but not one that it took over from a thread that is kept."""
    number = torch.get_num_threads()
    if number > 1 or _thread.is_own:
        return number
    return _kept.number if _kept.count else _number_of_a_new_thread()


def _number_of_a_new_thread() -> int:
    """Return the number that was set last, which torch tells only to a thread that begins."""
    found: list[int] = []
    new = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    new.start()
    new.join()
    return found[0]
