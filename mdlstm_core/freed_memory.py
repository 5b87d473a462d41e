"""What becomes of memory that was freed; where the C library is not glibc, nothing is changed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""Of `mallopt`, from malloc.h."""
_LARGE = 16 << 20
_ANY_NUMBER, _NEVER = 1 << 16, -1
"""Of blocks that are kept apart, which is glibc's own; and no size at which memory is trimmed."""


def give_back() -> None:
    """Hand memory that was freed back to the system, where the C library keeps it (glibc).

    Training takes and frees hundreds of megabytes in thousands of pieces; what lies between
    pieces in use stays with the process otherwise: 400 MB after some trainings, measured.
    """
    _glibc("malloc_trim", 0)


def keep_large_blocks_apart() -> None:
    """Let blocks of 16 MiB and more go back to the system as soon as they are freed (glibc).

    By itself glibc raises that size to 32 MiB in a program that frees large blocks, and then
    puts the levels of an image's pyramid among the small ones: opening 8192×8192 pixels in a
    window that had shown other images took 3.2 bytes a pixel more, measured.
    """
    _glibc("mallopt", _MMAP_THRESHOLD, _LARGE)
    _glibc("mallopt", _TRIM_THRESHOLD, 2 * _LARGE)  # what glibc sets beside it


@contextmanager
def keep_freed() -> Iterator[None]:
    """Give what is freed inside to what asks next, and back to the system at the end (glibc).

    A training step frees hundreds of megabytes and asks for as many. New from the system they
    are filled with zeros first: a step of eight views of 240×320 pixels took 0.79 s, and 0.72 s
    with what was freed before; the process took 1.1 GB in place of 0.9 to 1.0. On a virtual
    machine that lends out what is free they may have to be fetched: 2.7 ms a megabyte, measured.
    Afterwards large blocks are kept apart, whatever was before.
    """
    _glibc("mallopt", _MMAP_MAX, 0)
    _glibc("mallopt", _TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        _glibc("mallopt", _MMAP_MAX, _ANY_NUMBER)
        keep_large_blocks_apart()
        give_back()


def _glibc(name: str, *arguments: int) -> None:
    """Call a function that only glibc has, if that is the C library."""
    if sys.platform == "linux":
        function = getattr(ctypes.CDLL(None), name, None)
        if function is not None:
            function(*arguments)
