"""`mdlstm doctor`: what the program runs on, for a question or a report."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
from typing import Any

from app.cli.common import add_command, add_json_option, log_folder, print_result
from mdlstm_core import __version__
from mdlstm_core.host_memory import host_memory
from resources import model_names

_EXAMPLES = """examples:
  mdlstm doctor
  mdlstm doctor --json
"""

_LIBRARIES = {"torch": "torch", "numpy": "numpy", "opencv": "cv2", "PySide6": "PySide6"}
"""Name of each library and of its module; PySide6 alone loads no widgets."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = add_command(commands, "doctor", "show what the program runs on", _EXAMPLES)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what there is."""
    found = findings()
    rows = [
        f"{f'{topic} {name}'.strip().removesuffix('_bytes'):<18} {_text(value)}"
        for topic, values in found.items()
        for name, value in (values.items() if isinstance(values, dict) else [("", values)])
    ]
    print_result(options, found, "\n".join(rows))


def findings() -> dict[str, Any]:
    """Return all findings as JSON values; what cannot be found out is None."""
    import torch

    from mdlstm_core.devices import select_device
    from mdlstm_core.kernels import GPU_KERNELS, KERNELS, select_kernel

    choice = select_device("auto")
    kernels = {device: select_kernel(device=device, wait=True) for device in ("cpu", "cuda")}
    total, available = host_memory()
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
        "logs": str(log_folder()),
    }


def _version(module: str) -> str | None:
    """Return a library's version, None where it is not installed or broken."""
    try:
        return str(importlib.import_module(module).__version__)
    except ImportError:
        return None


def _text(value: Any) -> str:
    if value is None:
        return "not found"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    # Only amounts of memory are this large.
    return f"{value / 2**30:.1f} GiB" if isinstance(value, int) and value > 2**20 else str(value)
