"""Options and output that several commands share, so that all of them behave alike."""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import platformdirs
from tqdm import tqdm

from mdlstm_core.config import DEFAULT_MODEL, DEVICE_NAMES
from mdlstm_core.errors import InputError

MAX_SEED = 2**32 - 1
"""What every generator takes."""


class IncompleteError(InputError):
    """Something was left out, the rest is done: exit code 1."""


def log_folder() -> Path:
    """Return where the logs are, the window's too; its settings, which know it, are Qt's."""
    return platformdirs.user_log_path("mdlstm-labeler", appauthor=False)


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    examples: str,
    description: str | None = None,
) -> argparse.ArgumentParser:
    """Add a command whose `--help` ends with examples.

    Args:
        commands: where it is added.
        name: what the user types.
        summary: half a sentence for the list of commands.
        examples: of calls, a line each.
        description: a sentence for its own help; the summary if None.
    """
    return commands.add_parser(
        name,
        help=summary,
        description=description or f"{summary[0].upper()}{summary[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_model_option(parser: argparse.ArgumentParser, default: str | None = DEFAULT_MODEL) -> None:
    """Add `--model` and `--pixels`; without a default, the project's own model is meant."""
    parser.add_argument(
        "--model",
        default=default,
        metavar="NAME|FILE",
        help="a shipped model's name or a checkpoint file "
        + ("(default: %(default)s)" if default else f"(the project's own, else {DEFAULT_MODEL})"),
    )
    parser.add_argument(
        "--pixels",
        type=int,
        metavar="N",
        help="look at larger images scaled down to N pixels (default: "
        + ("" if default else "as the project says, else ")
        + "as the model was trained)",
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument(
        "--device",
        choices=DEVICE_NAMES,
        default="auto",
        help="where to compute (default: the GPU if there is one)",
    )


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return the `type` of an option that takes whole numbers of a range, ends included."""

    def parsed(text: str) -> int:
        value = int(text)
        if value < low or (high is not None and value > high):
            upper = "on" if high is None else f"to {high}"
            raise argparse.ArgumentTypeError(f"{value} is not a whole number from {low} {upper}")
        return value

    parsed.__name__ = "whole number"  # what argparse calls it
    return parsed


def number(low: float, high: float = math.inf, *, ends: bool) -> Callable[[str], float]:
    """Return the `type` of an option that takes finite numbers of a range.

    Args:
        low: where the range begins.
        high: where it ends.
        ends: whether the two belong to it.
    """

    def parsed(text: str) -> float:
        value = float(text)
        inside = low <= value <= high if ends else low < value < high
        if not (inside and math.isfinite(value)):
            told = f"above {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
            raise argparse.ArgumentTypeError(f"{value:g} is not a number {told}")
        return value

    parsed.__name__ = "number"  # what argparse calls it
    return parsed


def add_seed_option(parser: argparse.ArgumentParser) -> None:
    """Add `--seed`."""
    parser.add_argument("--seed", type=whole_number(0, MAX_SEED), default=0)


def print_result(options: argparse.Namespace, values: dict[str, Any], text: str) -> None:
    """Print what a command found: one JSON object with `--json`, else text for reading."""
    shown = json.dumps(values, ensure_ascii=False) if options.json else text
    if shown:
        sys.stdout.write(shown + "\n")
        sys.stdout.flush()


def progress_bar(total: int | None, unit: str) -> tqdm[Any]:
    """Return a bar on a terminal, one that shows nothing in a pipe."""
    return tqdm(total=total, unit=unit, disable=None)


def notice_if_cut_off(done: int, steps: int, limit: str) -> None:
    """Say on stderr that the clock ended a run before its steps were done.

    Args:
        done: steps that were done.
        steps: of the whole run.
        limit: the option that would give it more time.
    """
    if done < steps:
        sys.stderr.write(
            f"mdlstm: The time was up after {done} of {steps} steps, which will not come out the "
            f"same again; give more {limit}, or fewer --steps.\n"
        )


def is_confirmed(options: argparse.Namespace, question: str) -> bool:
    """Ask on a terminal, unless `--yes` was given; in a pipe nobody is asked."""
    if options.yes or options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def raise_left_out(failures: list[InputError], kind: type[InputError] = IncompleteError) -> None:
    """Say what was left out, a line each.

    Raises:
        kind: something was.
    """
    for failure in failures[:-1]:
        sys.stderr.write(f"mdlstm: {failure}\n")
    if failures:
        raise kind(str(failures[-1])) from failures[-1]


@contextmanager
def stopped_by_ctrl_c() -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C sets; the second one interrupts as ever."""
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)
        tqdm.write(
            "mdlstm: stopping, the best so far is kept; Ctrl-C again keeps nothing.",
            file=sys.stderr,
        )

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


class NoticePrinter:
    """Prints what a user should know of an answer on stderr, once until it changes."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, notice: str) -> None:
        """Print the notice of an answer; an empty one only ends the one before."""
        if notice and notice != self._last:
            tqdm.write(f"mdlstm: {notice}", file=sys.stderr)
        self._last = notice
