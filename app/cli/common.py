"""Options and output that several commands share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mdlstm_core.errors import InputError

DEFAULT_MODEL = "scene"


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """Add `--model`."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|FILE",
        help="a shipped model's name or a checkpoint file (default: %(default)s)",
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where to compute (default: the GPU if there is one)",
    )


def make_folder(path: Path) -> None:
    """Make a folder to write into, with its parents.

    Raises:
        InputError: it cannot be made or written into.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {path} cannot be made: {error.strerror}.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"The folder {path} cannot be written into; choose another one.")
