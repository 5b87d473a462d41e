"""Options and output that several commands share."""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

from mdlstm_core.config import DEFAULT_MODEL, DEVICE_NAMES


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """Add `--model`."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|FILE",
        help="a shipped model's name or a checkpoint file (default: %(default)s)",
    )
    parser.add_argument(
        "--pixels",
        type=int,
        metavar="N",
        help="look at larger images scaled down to N pixels (default: as the model was trained)",
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument(
        "--device",
        choices=DEVICE_NAMES,
        default="auto",
        help="where to compute (default: the GPU if there is one)",
    )


class NoticePrinter:
    """Prints what a user should know of an answer on stderr, once until it changes."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, notice: str) -> None:
        """Print the notice of an answer; an empty one only ends the one before."""
        if notice and notice != self._last:
            tqdm.write(f"mdlstm: {notice}", file=sys.stderr)
        self._last = notice
