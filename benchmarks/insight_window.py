"""How fast the gate explorer answers in the real window, drawn offscreen, with real events.

    python -m benchmarks.insight_window
    python -m benchmarks.insight_window --size 640 480

Prints milliseconds, the median and the slowest, beside what is aimed at: from a move of the
pointer until the number is painted, from a choice until the new map is painted, and from
pinning a pixel until its context is painted; by hiding, the first patches of it and the whole.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import torch
from PySide6.QtCore import QCoreApplication, QEventLoop, QTimer
from PySide6.QtWidgets import QApplication
from skimage import data, io

from app.inference.insight_messages import ContextAnswer, ContextRequest, InsightAnswer, MapAnswer
from app.offscreen import point, wait
from app.session import LabelingSession
from app.views.main_window import MainWindow
from mdlstm_core.insight.queries import Pixel
from mdlstm_core.kernels import select_kernel

_QUIET_MS = 5000
"""After the first labels a thread loads what learning needs, once; meanwhile the window is late."""


class _Clock:
    """Times what the window does."""

    def __init__(self, window: MainWindow, width: int, height: int) -> None:
        self.window, self.size = window, (width, height)
        self.answers: list[InsightAnswer] = []
        window.session.insight.answered.connect(self.answers.append)

    def until(
        self,
        kind: type[InsightAnswer],
        accept: Callable[[InsightAnswer], bool] = lambda _answer: True,
    ) -> None:
        """Wait for an answer until it is painted, asleep between events as the window is."""
        patience = QTimer()
        patience.setSingleShot(True)
        patience.start(60_000)
        while not any(isinstance(answer, kind) and accept(answer) for answer in self.answers):
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
            if not patience.isActive():
                raise RuntimeError("the model does not answer")
        self.answers.clear()
        self.paint()

    def paint(self) -> None:
        """Let all be painted that waits for it."""
        QCoreApplication.processEvents()

    def line(self, title: str, works: Iterator[Callable[[], None]], aim: float | None) -> None:
        """Time each piece of work and print a line; the aim is in milliseconds, None for none."""
        took = []
        for work in works:
            begun = time.perf_counter()
            work()
            took.append(1000 * (time.perf_counter() - begun))
        aimed = f"{'-':>8}" if aim is None else f"{aim:8.1f}"
        figures = f"{statistics.median(took):8.1f} {max(took):8.1f} {aimed}"
        print(f"{title:44}{figures}   of {len(took)}")

    def moves(self) -> Iterator[Callable[[], None]]:
        """Yield moves of the pointer all over the map."""
        width, height = self.size
        for step in range(300):
            x, y = (7.3 * step) % width, (3.7 * step) % height

            def move(x: float = x, y: float = y) -> None:
                point(self.window, x, y)
                self.paint()

            yield move

    def switches(self, **choices: list[object]) -> Iterator[Callable[[], None]]:
        """Yield choices of another layer, direction or gate."""
        ((name, values),) = choices.items()
        for value in values:

            def choose(value: object = value) -> None:
                self.window.gates.chooser.choose(**{name: value})  # type: ignore[arg-type]
                self.until(MapAnswer)

            yield choose

    def pins(self, count: int, *, whole: bool = False) -> Iterator[Callable[[], None]]:
        """Yield pins of pixels, each until its own context is painted, or the whole of it."""
        width, height = self.size
        for step in range(count):
            # Others than were pinned last: an answer to those would be taken for this one's.
            x, y = 37 * step + (23 if whole else 11), 23 * step + 17
            pixel = Pixel(x % width, y % height)

            def pin(pixel: Pixel = pixel) -> None:
                self.window.explorer.pin(pixel)
                self.until(ContextAnswer, lambda answer: _is_of(answer, pixel, whole=whole))

            yield pin


def _is_of(answer: InsightAnswer, pixel: Pixel, *, whole: bool) -> bool:
    """Say whether an answer is the context of a pixel, and all of it if that is wanted."""
    request = answer.request
    assert isinstance(request, ContextRequest)
    assert isinstance(answer, ContextAnswer)
    return request.query.pixel == pixel and (answer.found.is_whole or not whole)


def main() -> None:
    """Open the window and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=(320, 240), metavar=("W", "H"))
    parser.add_argument("--repeats", type=int, default=8, help="of each switch (%(default)s)")
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    width, height = options.size
    with tempfile.TemporaryDirectory() as folder:
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            os.environ[name] = folder
        path = Path(folder) / "rocket.png"
        io.imsave(path, cv2.resize(data.rocket(), (width, height)), check_contrast=False)
        application = QApplication([])
        window = MainWindow(LabelingSession(device="cpu"))
        window.resize(1280, 800)
        window.show()
        labeled: list[None] = []
        window.session.prediction_changed.connect(lambda: labeled.append(None))
        window.open_paths([path])
        wait(lambda: bool(labeled))
        select_kernel(wait=True)
        wait(lambda: False, _QUIET_MS)  # what is prepared in the background is done
        print(f"{width}×{height} pixels, {torch.get_num_threads()} threads")
        print(f"{'milliseconds':44}{'median':>8} {'slowest':>8} {'aim':>8}")
        _measure(_Clock(window, width, height), options.repeats)
        window.close()
        application.quit()


def _measure(clock: _Clock, repeats: int) -> None:
    panel = clock.window.gates
    for mode in ("over", "beside"):
        clock.window.explorer.show_map(mode)
        clock.until(MapAnswer)
        clock.line(f"number at the pointer, map {mode}", clock.moves(), 1000 / 60)
        clock.line(f"another layer, map {mode}", clock.switches(layer=[0, 1, 2] * repeats), 100)
        directions: list[object] = [1, 2, 3, 0] * repeats
        clock.line(f"another direction, map {mode}", clock.switches(direction=directions), 100)
        gates: list[object] = ["cell", "input", "hidden"] * repeats
        clock.line(f"another gate, map {mode}", clock.switches(gate=gates), 100)
    panel.mode.choose("over")
    panel.tabs.choose("why")
    clock.line("context of a pinned pixel, gradient", clock.pins(repeats), 500)
    panel.why.kind.choose("hiding")
    clock.until(ContextAnswer)
    clock.line("context of a pinned pixel, first by hiding", clock.pins(repeats), 500)
    whole = clock.pins(repeats, whole=True)
    clock.line("context of a pinned pixel, all by hiding", whole, None)


if __name__ == "__main__":
    main()
