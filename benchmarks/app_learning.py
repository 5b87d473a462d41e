"""How late the window's events come while the model learns, and whether it outlives 1,000 events.

python -m benchmarks.app_learning [--json FILE] [--events N]

The real window, offscreen, with the shipped model. Lateness is that of a timer of 5 ms. The
events begin, stop and cancel learning, paint, undo, redo, turn to another image, switch the
live model on and off and go back in the timeline, at random times.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer, Slot
from PySide6.QtWidgets import QApplication

from app.document.edit import edit_of_stroke
from app.document.stroke import Stroke
from app.session import LabelingSession
from app.settings import Settings
from app.views.main_window import MainWindow
from benchmarks.app_start import _isolated, application
from mdlstm_core.config import LabelClass

_PERIOD_MS = 5
_QUIET_S = 8.0
_STROKES = 20
_PATIENCE_S = 240.0
_IMAGES = 10
_LABELED = 20
"""Images of a project that is opened again."""

_NEW_CLASSES = tuple(LabelClass(f"class {n}", (40 * n, 0, 200)) for n in range(1, 5))
_SIZE = (480, 360)
_EVENTS = 1_000
_WARM = 100
"""Events after which the memory is compared with that at the end."""

_LONGEST_PAUSE_S = 0.4


def run(events: int = _EVENTS) -> dict[str, float]:
    """Measure once.

    Returns:
        live_median_s, live_max_s: from the end of a stroke to the overlay that follows it;
            live_new_median_s, live_new_max_s: with classes that the model does not have;
        reopened_s, reopened_stroke_s: the same in a project with 20 more labeled images that
            was opened again: from the switch, and from the end of a stroke after that (median);
        learn_first_s, learn_s: from the start of learning from ten images to the first
            improved overlay, and to that of the learned model;
        learning_late_p99_ms, learning_late_max_ms: how late the timer came while learning;
            quiet_late_p99_ms, quiet_late_max_ms: in the same run before that;
            stress_memory_ratio: memory after all events by that after 100, before which a model
            was learned once, Live being off both times; stress_threads: threads at the end
            beyond those after 100.
    """
    return {**live(), **reopened(), **lateness(), **stress(events)}


class Lateness(QObject):
    """Notes how much later than asked a timer comes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[float] = []
        self._due = time.perf_counter()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(_PERIOD_MS)
        self._timer.timeout.connect(self._on_timeout)

    def start(self) -> None:
        """Begin to measure."""
        self.found.clear()
        self._due = time.perf_counter() + _PERIOD_MS / 1000
        self._timer.start()

    def stop(self, name: str) -> dict[str, float]:
        """End measuring and return the 99th percentile and the most, in ms, by this name."""
        self._timer.stop()
        late = np.array(self.found)
        return {
            f"{name}_late_p99_ms": float(np.percentile(late, 99)),
            f"{name}_late_max_ms": float(late.max()),
        }

    @Slot()
    def _on_timeout(self) -> None:
        now = time.perf_counter()
        self.found.append(1000 * max(now - self._due, 0))
        self._due = now + _PERIOD_MS / 1000


def lateness() -> dict[str, float]:
    """Learn from ten corrected images and return how late events came meanwhile."""
    with tempfile.TemporaryDirectory() as place, _window(Path(place)) as bench:
        for image in list(bench.session.project.images):
            bench.show(image)
            bench.paint()
        bench.idle(_QUIET_S)  # what is prepared in the background is done
        clock = Lateness()
        clock.start()
        bench.idle(_QUIET_S)
        found = clock.stop("quiet")
        clock.start()
        shown: list[float] = []
        bench.session.prediction_changed.connect(lambda: shown.append(time.perf_counter()))
        begun = time.perf_counter()
        bench.session.learn(Settings().learning_seconds)
        bench.wait(lambda: not bench.session.is_learning)
        found |= clock.stop("learning")
        ended = time.perf_counter()
        bench.wait(lambda: shown[-1] > ended)
        return {**found, "learn_first_s": shown[0] - begun, "learn_s": shown[-1] - begun}


def live() -> dict[str, float]:
    """Return how long after the pen lifts the overlay follows the stroke: median and most.

    With the model's own classes, and with others, for which trees are grown, too.
    """
    found: dict[str, float] = {}
    for name, classes in (("live", ()), ("live_new", _NEW_CLASSES)):
        with tempfile.TemporaryDirectory() as place, _window(Path(place)) as bench:
            if classes and not bench.session.stored.start_with_classes(classes, ()):
                raise RuntimeError("The project kept the model's classes.")
            bench.show(bench.session.project.images[0])
            bench.window.actions_by_name["live"].trigger()
            took = bench.strokes(_STROKES)
        found |= {f"{name}_median_s": float(np.median(took)), f"{name}_max_s": max(took)}
    return found


def reopened() -> dict[str, float]:
    """Return how soon Live follows strokes that were painted before the project was opened."""
    with tempfile.TemporaryDirectory() as place:
        with _window(Path(place), _LABELED + 1) as bench:
            for image in list(bench.session.project.images)[1:]:
                bench.session.open_image(image)
                bench.wait(partial(bench.is_shown, image))
                bench.paint()
        with _window(Path(place)) as bench:
            bench.idle(_QUIET_S)
            shown: list[float] = []
            bench.session.prediction_changed.connect(lambda: shown.append(time.perf_counter()))
            begun = time.perf_counter()
            bench.window.actions_by_name["live"].trigger()
            bench.wait(lambda: bool(shown))
            found = {"reopened_s": shown[0] - begun}
            found["reopened_stroke_s"] = float(np.median(bench.strokes(_STROKES)))
            return found


def stress(events: int = _EVENTS, seed: int = 0) -> dict[str, float]:
    """Send random events at random times and return what they left behind."""
    with tempfile.TemporaryDirectory() as place, _window(Path(place)) as bench:
        random_ = random.Random(seed)
        warm = (_memory(), len(threading.enumerate()))
        bench.paint()
        bench.session.learn(3)
        bench.wait(lambda: not bench.session.is_learning)
        for number in range(1, events + 1):
            bench.event(random_)
            bench.idle(random_.uniform(0, _LONGEST_PAUSE_S))
            if number == min(_WARM, events // 2 or 1):
                bench.settle()
                warm = (_memory(), len(threading.enumerate()))
        bench.settle()
        memory, threads = _memory(), len(threading.enumerate())
    return {
        "stress_events": float(events),
        "stress_memory_ratio": memory / warm[0],
        "stress_threads": float(threads - warm[1]),
    }


class Bench:
    """The window, and the events that are sent to it."""

    def __init__(self, application: QApplication, window: MainWindow) -> None:
        self.window, self.session = window, window.session
        self.application = application
        self._random = random.Random(1)

    def event(self, chosen: random.Random) -> None:
        """Send one event, drawn at random."""
        actions = self.window.actions_by_name
        triggered = ("learn", "learn", "stop", "cancel", "undo", "redo", "next", "previous", "live")
        review = ("change-next", "change-accept", "change-refuse", "next-region")
        kind = chosen.choice((*triggered, *review, "paint", "paint", "back"))
        if kind == "paint":
            self.paint()
        elif kind == "back":
            timeline = self.window.learning_views.timeline
            rows = self.session.teacher.timeline.rows
            if rows:
                timeline.choose(chosen.choice(rows).number)
                timeline.back.click()
        else:
            actions[kind].trigger()

    def paint(self) -> None:
        """Draw a stroke somewhere on the image shown."""
        document = self.session.document
        if document is None or not self.session.classes:
            return
        x, y = self._random.uniform(20, 300), self._random.uniform(20, document.height - 20)
        label = self._random.randrange(len(self.session.classes))
        stroke = Stroke(((x, y), (x + 60, y + 10)), 7, label)
        edit = edit_of_stroke(stroke, document.height, document.width)
        if edit is not None:
            self.session.edit(document.path, edit)

    def strokes(self, count: int) -> list[float]:
        """Paint and return how long after the pen lifted the overlay followed, in seconds."""
        shown: list[float] = []
        self.session.prediction_changed.connect(lambda: shown.append(time.perf_counter()))
        took = []
        for _ in range(count):
            self.idle(0.5)
            shown.clear()
            lifted = time.perf_counter()
            self.paint()
            self.wait(lambda: bool(shown))
            took.append(shown[0] - lifted)
        return took

    def is_shown(self, image: Path) -> bool:
        """Whether this is the image shown."""
        return self.session.document is not None and self.session.document.path == image

    def show(self, image: Path) -> None:
        """Show an image and wait until it is labeled."""
        labeled: list[None] = []
        note = self.session.prediction_changed.connect(lambda: labeled.append(None))
        self.session.open_image(image)
        if not self.is_shown(image):
            self.wait(lambda: bool(labeled))
        self.session.prediction_changed.disconnect(note)

    def settle(self) -> None:
        """Let all that is under way come to its end, Live included: its features take 200 MB."""
        self.session.teacher.cancel()
        live = self.window.actions_by_name["live"]
        if live.isChecked():
            live.trigger()
        self.wait(lambda: self.session._client.is_idle)
        self.session.journal.store()
        self.wait(lambda: self.session._client.is_idle)
        self.session.review.survey.wait()
        self.wait(lambda: self.session.review.survey.is_resting)
        self.idle(1.0)

    def idle(self, seconds: float) -> None:
        """Let events be handled for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.application.processEvents()
            time.sleep(0.002)

    def wait(self, is_done: Callable[[], bool]) -> None:
        """Let events be handled until something is done.

        Raises:
            TimeoutError: it was not in four minutes.
        """
        end = time.monotonic() + _PATIENCE_S
        while not is_done():
            if time.monotonic() > end:
                raise TimeoutError("The window did not get on.")
            self.application.processEvents()
            time.sleep(0.001)


@contextmanager
def _window(place: Path, images: int = _IMAGES) -> Iterator[Bench]:
    """Open the window on small photographs, drawn if none are there; settings lie beside them."""
    with _isolated(place / "home"):
        running = application()
        window = MainWindow(LabelingSession(device="cpu"))
        bench = Bench(running, window)
        try:
            window.learning._seconds.setValue(3)
            window.show()
            if not (place / "photos").exists():
                _draw_photographs(place / "photos", images)
            bench.session.open_paths([place / "photos"])
            bench.wait(lambda: bench.session.model is not None)
            bench.wait(lambda: bench.session.document is not None)
            bench.idle(1.0)
            yield bench
        finally:
            window.close()


def _draw_photographs(folder: Path, count: int) -> None:
    from PIL import Image
    from skimage import data

    folder.mkdir(parents=True)
    sources = [data.astronaut(), data.coffee(), data.rocket(), data.chelsea()]
    for number in range(count):
        picture = Image.fromarray(sources[number % len(sources)]).resize(_SIZE)
        picture.rotate(7 * number).save(folder / f"{number}.png")


def _memory() -> int:
    """Return the bytes that this process has in memory (Linux)."""
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measure and print, or write one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app_learning")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--events", type=int, default=_EVENTS)
    parser.add_argument(
        "--only", choices=("live", "reopened", "lateness", "stress"), help="a part of it"
    )
    options = parser.parse_args()
    parts: dict[str | None, Callable[[], dict[str, float]]] = {
        "live": live,
        "reopened": reopened,
        "lateness": lateness,
        "stress": lambda: stress(options.events),
        None: lambda: run(options.events),
    }
    found = parts[options.only]()
    text = json.dumps({key: round(value, 3) for key, value in found.items()}, indent=1)
    if options.json:
        options.json.write_text(text + "\n", "utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
