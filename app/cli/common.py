"""Options and output that several commands share."""

from __future__ import annotations

import argparse

from mdlstm_core.config import DEFAULT_MODEL, DEVICE_NAMES


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
        choices=DEVICE_NAMES,
        default="auto",
        help="where to compute (default: the GPU if there is one)",
    )
