"""`mdlstm doctor`: what the program runs on, for a question or a report."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from mdlstm_core import __version__
from resources import model_names

_EXAMPLES = """examples:
  mdlstm doctor
  mdlstm doctor --json
"""

_LIBRARIES = {"torch": "torch", "numpy": "numpy", "opencv": "cv2", "PySide6": "PySide6"}
"""Name of each library and of its module; PySide6 alone loads no widgets."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = commands.add_parser(
        "doctor",
        help="show what the program runs on",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what there is."""
    found = findings()
    if options.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        return
    for topic, values in found.items():
        lines = values.items() if isinstance(values, dict) else [("", values)]
        for name, value in lines:
            sys.stdout.write(
                f"{f'{topic} {name}'.strip().removesuffix('_bytes'):<18} {_text(value)}\n"
            )


def findings() -> dict[str, Any]:
    """Return all findings as JSON values; what cannot be found out is None."""
    import torch

    from mdlstm_core.devices import select_device
    from mdlstm_core.kernels import GPU_KERNELS, KERNELS, select_kernel

    choice = select_device("auto")
    kernels = {device: select_kernel(device=device, wait=True) for device in ("cpu", "cuda")}
    total, available = _memory()
    return {
        "versions": {"mdlstm": __version__, "python": platform.python_version()}
        | {name: _version(module) for name, module in _LIBRARIES.items()},
        "platform": platform.platform(),
        "device": {"used": choice.device.type, "why": choice.reason},
        "processor": {"cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "memory": {"total_bytes": total, "available_bytes": available},
        "kernel": {
            "backends": [*KERNELS, *GPU_KERNELS],
            "used": kernels[choice.device.type].name,
        }
        | {f"on_{device}": f"{kernel.name}, {kernel.reason}" for device, kernel in kernels.items()},
        "models": model_names(),
    }


def _version(module: str) -> str | None:
    """Return a library's version, None where it is not installed or broken."""
    try:
        return str(importlib.import_module(module).__version__)
    except ImportError:
        return None


def _memory() -> tuple[int | None, int | None]:
    """Return the machine's memory in bytes: all of it, and what is free for use."""
    table = Path("/proc/meminfo")
    if table.exists():
        lines = (line.split() for line in table.read_text(encoding="ascii").splitlines())
        kibibytes = {words[0]: int(words[1]) for words in lines}
        available = kibibytes.get("MemAvailable:")
        return kibibytes["MemTotal:"] * 1024, None if available is None else available * 1024
    if sys.platform == "win32":
        return _memory_of_windows()
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None


def _memory_of_windows() -> tuple[int | None, int | None]:
    import ctypes

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


def _text(value: Any) -> str:
    if value is None:
        return "not found"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    # Only amounts of memory are this large.
    return f"{value / 2**30:.1f} GiB" if isinstance(value, int) and value > 2**20 else str(value)
