"""How much memory the computer has, and a refusal of what would not fit into it."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from mdlstm_core.errors import InputError

_IF_UNKNOWN = 1 << 30
"""Bytes that may be taken on a computer that does not say how much memory it has."""


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
