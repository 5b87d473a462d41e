"""Entry point of `mdlstm`: finds the command and reports what the user can mend."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime

from app.cli import (
    average,
    doctor,
    evaluate,
    export,
    gates,
    import_labels,
    learn,
    predict,
    project,
    texture,
    train,
    volume,
)
from app.cli.common import IncompleteError, log_folder
from mdlstm_core import __version__
from mdlstm_core.errors import AlreadySaidError, InputError

_COMMANDS = (
    predict,
    train,
    average,
    learn,
    evaluate,
    gates,
    export,
    import_labels,
    project,
    texture,
    volume,
    doctor,
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands (argparse: in the standard library, enough here)."""
    parser = argparse.ArgumentParser(
        prog="mdlstm", description="Label images pixel by pixel with a 2D-LSTM."
    )
    parser.add_argument("--version", action="version", version=f"mdlstm {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when done; 1 when something failed on the way or a check found faults; 2 when what
        the user gave cannot be used, and nothing was done; 130 after Ctrl-C.
    """
    options = build_parser().parse_args(arguments)
    try:
        options.run(options)
    except InputError as error:
        sys.stderr.write(f"mdlstm: {error}\n")
        return 1 if isinstance(error, IncompleteError) else 2
    except AlreadySaidError:
        _logged()
        return 1
    except MemoryError:
        sys.stderr.write("mdlstm: There is not enough memory; close other programs.\n")
        return 1
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"mdlstm: {str(stop) or 'stopped.'}\n")
        return 130
    except BrokenPipeError:  # whoever reads the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left
        return 1
    except Exception as error:
        kind = type(error).__name__
        sys.stderr.write(f"mdlstm: Something unexpected happened ({kind}); {_logged()}.\n")
        return 1
    return 0


def _logged() -> str:
    """Write what was raised to the log, and say where that is."""
    path = log_folder() / "mdlstm.log"
    trace = traceback.format_exc()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n{trace}\n")
    except OSError:
        return f"the log cannot be written, so here it is:\n{trace.rstrip()}"
    return f"the details are in {path}"


if __name__ == "__main__":
    sys.exit(main())
