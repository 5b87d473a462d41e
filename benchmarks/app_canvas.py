"""How fast the canvas answers, in the real window on an image of 8192×8192 pixels.

python -m benchmarks.app_canvas --json FILE

Every time is from the event to the end of the repaint that it causes. No display is needed;
the model is not loaded, so that it does not compute along, but its label map is there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PySide6.QtCore import QEvent, QObject, QPointF, QSettings, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication
from skimage import data

from app.document.document import ImageDocument
from app.session import LabelingSession
from app.views.canvas.canvas_view import CanvasView
from app.views.main_window import MainWindow
from benchmarks.app_start import application
from mdlstm_core.config import LabelClass

_SIDE = 8192
_PREVIEWED = (5774, 8660)  # 50 megapixels
_MOVES = 60
_STROKES = 4
_REPEATS = 12
_RADIUS = 580
"""Of a lasso, in pixels of the image."""
_LASSOED = 1_000_000
_PATIENCE_S = 60.0
_REST_S = 4.0
_CLASSES = (LabelClass("ground", (60, 140, 60)), LabelClass("object", (200, 60, 60)))


def run() -> dict[str, float]:
    """Measure once; see the bars of each in `docs/`.

    Returns:
        brush_64_p95_ms, brush_256_p95_ms, undo_ms, lasso_ms, fit_ms: milliseconds, the
            slowest but 5 of 100; preview_50mp_s: seconds; bytes_per_pixel: memory beyond the
            program and the decoded image: the most while opening, and what stays after
            painting; masks of a stroke under way come and go. And, by names that end in
            `_processor_ms`, what of the times the window's thread worked, whoever else did.
    """
    with tempfile.TemporaryDirectory() as name, opened_window(Path(name)) as bench:
        folder = Path(name)
        _write_photograph(folder / "large" / "large.jpg", _SIDE, _SIDE)
        _write_photograph(folder / "previewed" / "previewed.jpg", *_PREVIEWED)
        before = reset_peak()
        document = bench.open(folder / "large" / "large.jpg")
        _let_model_speak(document)
        used = peak() - before
        brush_64, undo_64 = bench.brush(64)
        brush_256, undo_256 = bench.brush(256)
        found = {
            "brush_64_p95_ms": brush_64,
            "brush_256_p95_ms": brush_256,
            "undo_ms": max(undo_64, undo_256),
            "lasso_ms": bench.lasso(),
            "fit_ms": bench.fit(),
        }
        bench.let_all_be_stored()
        used = max(used, memory() - before)
        found["bytes_per_pixel"] = used / (_SIDE * _SIDE) - 3
        found["preview_50mp_s"] = bench.preview(folder / "previewed" / "previewed.jpg")
        worked = {f"{name}_processor_ms": _p95(times) for name, times in bench.worked.items()}
        return found | worked


class _Bench(QObject):
    """The window, and when its canvas was painted."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__()
        self.window = window
        self._paints = 0
        self.worked: defaultdict[str, list[float]] = defaultdict(list)
        window.canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Count paint events."""
        self._paints += event.type() == QEvent.Type.Paint
        return super().eventFilter(watched, event)

    def open(self, path: Path) -> ImageDocument:
        """Open an image and wait until it is shown with all levels of its pyramid."""
        session = self.window.session
        session.open_paths([path])
        self._wait(lambda: session.document is not None and session.document.path == path)
        assert session.document is not None
        self.window.canvas.set_classes(_CLASSES)
        self._settle()
        return session.document

    def brush(self, diameter: int) -> tuple[float, float]:
        """Return the slower of painting, and of undoing that, at 1:1 and on all of the image."""
        canvas = self.window.canvas
        # Not by the toolbar: what it shows is not measured here.
        canvas.set_options(dataclasses.replace(canvas._options, diameter=diameter, label=1))
        painting, undoing = [], []
        for show in (canvas.zoom_to_pixels, canvas.fit):
            show()
            self._settle()
            name = f"brush_{diameter}"
            painting.append(_p95([t for n in range(_STROKES) for t in self._stroke(n, name)]))
            undoing.append(_p95([self._undo() for _ in range(_STROKES)]))
            for _ in range(_STROKES):
                self.window.session.redo()
        return max(painting), max(undoing)

    def _undo(self) -> float:
        """Return the time to undo a stroke that is seen."""
        self._settle()
        return self._timed("undo", self.window.session.undo)

    def let_all_be_stored(self) -> None:
        """Wait until no step is in memory because it is not on disk, and a moment more."""
        self._wait(lambda: not self.window.session.journal.has_unsaved)
        rested = time.perf_counter() + _REST_S
        self._wait(lambda: time.perf_counter() > rested)

    def lasso(self) -> float:
        """Return the time of the slowest event of a lasso around a million pixels."""
        canvas, document = self.window.canvas, self.window.session.document
        assert document is not None
        self.window.actions_by_name["tool-lasso"].trigger()
        canvas.set_options(dataclasses.replace(canvas._options, label=0))
        canvas.fit()
        times = []
        for number in range(_REPEATS):
            self._settle()
            x, y = 600 + 500 * number, 600 + 200 * number
            turns = np.linspace(0, 2 * np.pi, _MOVES)
            line = [(x + _RADIUS * np.cos(t), y + _RADIUS * np.sin(t)) for t in turns]
            places = [QPointF(*canvas.transform.to_view(*point)) for point in line]
            events = _drag(canvas, places)
            QApplication.sendEvent(canvas, next(events))  # what is pressed shows nothing yet
            sent = (partial(QApplication.sendEvent, canvas, event) for event in events)
            times.append(max(self._timed("lasso", send) for send in sent))
            box = document.corrections.values[y - 600 : y + 600, x - 600 : x + 600]
            assert np.count_nonzero(box == 0) >= _LASSOED
        return _p95(times)

    def fit(self) -> float:
        """Return the time to show all of the image, coming from 1:1."""
        times = []
        for _ in range(_REPEATS):
            self.window.canvas.zoom_to_pixels()
            self._settle()
            times.append(self._timed("fit", self.window.canvas.fit))
        return _p95(times)

    def preview(self, path: Path) -> float:
        """Return the seconds until something of an image is seen."""
        shown: list[object] = []
        self.window.session.preview_loaded.connect(lambda *_: shown.append(1))
        start = time.perf_counter()
        self.window.session.open_paths([path])
        self._wait(lambda: bool(shown))
        paints = self._paints
        self._wait(lambda: self._paints > paints)
        seconds = time.perf_counter() - start
        self._wait(lambda: self._is_open(path))
        return seconds

    def _is_open(self, path: Path) -> bool:
        document = self.window.session.document
        return document is not None and document.path == path

    def _stroke(self, number: int, name: str) -> Iterator[float]:
        """Paint one stroke round the view's middle; yield the time of each event."""
        canvas = self.window.canvas
        middle, radius = QPointF(canvas.rect().center()), min(canvas.width(), canvas.height()) / 3
        places = [
            middle + QPointF(np.cos(t) * radius, np.sin(t + number) * radius)
            for t in np.linspace(0, 5, _MOVES)
        ]
        for event in _drag(canvas, places):
            yield self._timed(name, partial(QApplication.sendEvent, canvas, event))

    def _timed(self, name: str, act: Callable[[], object]) -> float:
        """Return the milliseconds until what `act` changes is painted."""
        paints, worked = self._paints, time.thread_time()
        start = time.perf_counter()
        act()
        while self._paints == paints:
            QApplication.processEvents()
        self.worked[name].append((time.thread_time() - worked) * 1e3)
        return (time.perf_counter() - start) * 1e3

    def _wait(self, until: Callable[[], bool]) -> None:
        limit = time.perf_counter() + _PATIENCE_S
        while not until():
            QApplication.processEvents()
            time.sleep(0.001)
            assert time.perf_counter() < limit, "waited in vain"

    def _settle(self) -> None:
        """Let everything queued happen, work in other threads too."""
        for _ in range(20):
            QApplication.processEvents()
            time.sleep(0.01)


def _drag(canvas: CanvasView, places: Sequence[QPointF]) -> Iterator[QMouseEvent]:
    """Yield the events of a drag along these places of the canvas."""
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    steps = [(QEvent.Type.MouseButtonPress, places[0], left, left)]
    steps += [(QEvent.Type.MouseMove, place, none, left) for place in places]
    steps.append((QEvent.Type.MouseButtonRelease, places[-1], left, none))
    for kind, place, button, buttons in steps:
        at = canvas.mapToGlobal(place)
        yield QMouseEvent(kind, place, at, button, buttons, Qt.KeyboardModifier.NoModifier)


@contextmanager
def opened_window(folder: Path) -> Iterator[_Bench]:
    """Show the real window, with settings of its own and without a model."""
    running = application()
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder))
    window = MainWindow(LabelingSession(device="cpu"))
    window.canvas.first_painted.disconnect()
    window.show()
    bench = _Bench(window)
    bench._settle()
    try:
        yield bench
    finally:
        window.close()
        del running


def _write_photograph(path: Path, height: int, width: int) -> None:
    """Write a photograph of this size, with noise, so that it is as hard to read as one."""
    path.parent.mkdir()
    large = cv2.resize(data.astronaut(), (width, height), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).integers(0, 12, (512, width, 3), dtype=np.uint8)
    for top in range(0, height, 512):
        rows = large[top : top + 512]
        cv2.add(rows, noise[: len(rows)], dst=rows)
    assert cv2.imwrite(str(path), large[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


def _let_model_speak(document: ImageDocument) -> None:
    """Set a label map as the model would."""
    small = np.random.default_rng(0).integers(0, 2, (64, 64), dtype=np.uint8)
    size = (document.width, document.height)
    label_map = cv2.resize(small, size, interpolation=cv2.INTER_NEAREST)
    confidence, uncertainty = (np.full_like(label_map, 200) for _ in range(2))
    document.set_prediction(label_map, confidence, uncertainty)


def _p95(times: list[float]) -> float:
    return float(np.percentile(times, 95))


def reset_peak() -> int:
    """Begin to watch the most memory used; return what is used now, in bytes."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")
    return memory()


def memory() -> int:
    """Return the memory used now, in bytes; where that cannot be told, the most."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return peak()


def peak() -> int:
    """Return the most memory used, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    found = run()
    for name, value in found.items():
        print(f"{name:20} {value:8.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
