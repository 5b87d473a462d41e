"""Starts the window; torch is not imported on the way to its first frame."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import logging
import os
import sys
from collections.abc import Callable, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import platformdirs
from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication

from app.garbage import collect_on_this_thread
from app.session import LabelingSession
from app.settings import PROGRAM, crash_path, load_settings, log_path
from mdlstm_core import __version__
from mdlstm_core.config import DEFAULT_MODEL, DEVICE_NAMES
from mdlstm_core.errors import InputError
from mdlstm_core.freed_memory import keep_large_blocks_apart

if TYPE_CHECKING:
    from app.views.main_window import MainWindow

_log = logging.getLogger(__name__)

_TURN_S = 0.0002
"""How long a thread keeps the interpreter while others want it; Python's own is 5 ms.

The window's thread asks for it at every event. With 5 ms events came 1.5 times as late while the
model learned (99th percentile, by `python -m benchmarks.app_learning`) as with half of one; with
that, scrolling while modules were imported stalled for 50 ms, with this for 40.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window, or go through the loop without one where there is no display.

    Returns:
        0 when done, 2 when something the user gave cannot be used.
    """
    options = parse(arguments)
    headless = options.headless or not _has_display()
    if headless:
        if not options.headless:
            sys.stdout.write(
                "There is no display: going through the loop without a window, "
                f"results in {options.out}.\n"
            )
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    application = make_application()
    try:
        return _run_headless(options) if headless else _run_window(application, options)
    except InputError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 2


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Label images pixel by pixel, with a model that learns along."
    )
    parser.add_argument("paths", type=Path, nargs="*", help="images, folders or a project file")
    parser.add_argument("--sample", action="store_true", help="open a sample photograph")
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME|FILE")
    parser.add_argument("--device", choices=DEVICE_NAMES, default=None)
    parser.add_argument(
        "--headless", action="store_true", help="go through the loop without a window"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="where that leaves its results"
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser.parse_args(arguments)


def make_application() -> QApplication:
    """Start the log and Qt; let the window's thread have its turn soon, and memory go back."""
    sys.setswitchinterval(_TURN_S)
    keep_large_blocks_apart()
    _start_log()
    qInstallMessageHandler(_log_qt_message)
    application = QApplication(sys.argv[:1])
    application.setApplicationName(PROGRAM)
    collect_on_this_thread(application)
    return application


def make_window(options: argparse.Namespace) -> MainWindow:
    """Return the window, not shown yet, on a new session."""
    from app.views.main_window import MainWindow

    session = _session(options)
    sys.excepthook = _report_to(session)
    return MainWindow(session)


def _run_window(application: QApplication, options: argparse.Namespace) -> int:
    paths = list(options.paths)
    if options.sample:
        from app.samples import write_sample

        paths.append(write_sample(platformdirs.user_pictures_path() / PROGRAM))
    window = make_window(options)
    window.show()
    window.open_paths(paths)
    return application.exec()


def _run_headless(options: argparse.Namespace) -> int:
    from app.headless import run_loop
    from app.samples import write_sample
    from mdlstm_core.files import make_folder

    if options.paths:
        # What the loop paints is made up: it has no place among somebody's own corrections.
        raise InputError(
            "There is no display to label your images on; use mdlstm predict, or --sample."
        )
    make_folder(options.out)
    run_loop(_session(options), write_sample(options.out), options.out)
    return 0


def _session(options: argparse.Namespace) -> LabelingSession:
    settings = load_settings()
    device = options.device or settings.device
    return LabelingSession(options.model, device, settings.history_mb << 20)


def _has_display() -> bool:
    """Say whether a window could be shown; only on X11 and Wayland it may not."""
    if sys.platform in ("win32", "darwin"):
        return True
    asked = os.environ.get("QT_QPA_PLATFORM", "")
    shown = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return shown and asked not in ("offscreen", "minimal")


def _start_log() -> None:
    """Write warnings and errors to the log in the platform's own place, crashes beside it."""
    path = log_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = RotatingFileHandler(path, maxBytes=1_000_000, backupCount=2)
    except OSError:
        handler = logging.StreamHandler()
    with contextlib.suppress(OSError):
        # A file of its own, open to the end: the log's is another one after each rotation.
        faulthandler.enable(crash_path().open("a", encoding="utf-8"))
    logging.basicConfig(
        level=logging.INFO,
        handlers=[handler],
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def _log_qt_message(kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
    """Send what Qt says to the log, which a user can find, and not to the terminal."""
    is_warning = kind in (QtMsgType.QtWarningMsg, QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg)
    _log.log(logging.WARNING if is_warning else logging.INFO, "Qt: %s", text)


def _report_to(
    session: LabelingSession,
) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """Return an exception hook: the whole of it in the log, one sentence in the window."""

    def report(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        _log.critical("unexpected error", exc_info=(kind, error, trace))
        session.warned.emit(
            f"Something unexpected happened ({kind.__name__}); the details are in {log_path()}."
        )

    return report


if __name__ == "__main__":
    sys.exit(main())
