"""How much memory the computer has, and a refusal of what would not fit into it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mdlstm_core.errors import InputError

_IF_UNKNOWN = 1 << 30
"""Bytes that may be taken on a computer that does not say how much memory it has."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""Of `mallopt`, from malloc.h."""
_LARGE = 16 << 20
_ANY_NUMBER, _NEVER = 1 << 16, -1
"""Of blocks that are kept apart, which is glibc's own; and no size at which memory is trimmed."""


def host_memory() -> tuple[int | None, int | None]:
    """Return the computer's memory in bytes: all of it, and what is free; None if unknown."""
    table = Path("/proc/meminfo")
    if table.exists():
        lines = (line.split() for line in table.read_text(encoding="ascii").splitlines())
        kibibytes = {words[0]: int(words[1]) for words in lines}
        available = kibibytes.get("MemAvailable:")
        return kibibytes["MemTotal:"] * 1024, None if available is None else available * 1024
    if sys.platform == "win32":
        return _memory_of_windows()
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None


def check_fits(needed: int, what: str) -> None:
    """Refuse what would take more than half of the memory that is free.

    The system would slow to a crawl, or end the program without a word. Where it is not
    known what is free, a quarter of all memory may be taken.

    Args:
        needed: bytes.
        what: needs them; begins the sentence.

    Raises:
        InputError: it would not fit.
    """
    total, available = host_memory()
    if available is not None:
        limit = available // 2
    else:
        limit = _IF_UNKNOWN if total is None else total // 4
    if needed > limit:
        raise InputError(
            f"{what} needs about {_amount(needed)} of memory, and at most {_amount(limit)} can "
            "be spared now; let the model look at fewer pixels."
        )


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


def _amount(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(1, round(size / 2**20))} MiB"


def _memory_of_windows() -> tuple[int | None, int | None]:
    class Status(ctypes.Structure):
        """MEMORYSTATUSEX: the structure's size, the load in percent, then seven amounts."""

        _fields_ = (
            ("size", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            ("bytes", ctypes.c_uint64 * 7),
        )

    status = Status(size=ctypes.sizeof(Status))
    # Looked up by name: the type checker knows `windll` on Windows only.
    kernel32 = getattr(ctypes, "windll").kernel32  # noqa: B009
    if not kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None, None
    return int(status.bytes[0]), int(status.bytes[1])
