"""How soon the window is there, and how it copes with a folder of 5,000 images.

python -m benchmarks.app_start
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from PySide6.QtCore import QElapsedTimer, QPoint, QPointF, QSettings, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication

from app.session import LabelingSession
from app.views.main_window import MainWindow

_IMAGES = 5_000
_SIZE = (640, 480)
_STARTS = 5
_WHEEL_TURNS = 150
_PATIENCE_S = 120


def run() -> dict[str, float]:
    """Return start_to_window_s, folder_5000_s and scroll_max_ms."""
    start = start_to_window()
    with tempfile.TemporaryDirectory() as place, _isolated(Path(place)):
        folder = write_folder(Path(place) / "photos")
        return {"start_to_window_s": start, **_in_the_window(folder)}


def start_to_window() -> float:
    """Return the seconds from starting the program to its painted window: the median.

    Nothing is left out: the interpreter starts, and imports what the window needs. What it
    compiled for a first start, which does not count, it finds again, as installed it would.
    """
    took = []
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | _homes(Path(home)) | {"QT_QPA_PLATFORM": "offscreen"}
        environment["PYTHONDONTWRITEBYTECODE"] = ""
        command = [sys.executable, "-m", "benchmarks.app_start", "--paint-and-close"]
        for _ in range(1 + _STARTS):
            begun = time.time()
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            )
            took.append(float(done.stdout) - begun)
    return median(took[1:])


def write_folder(folder: Path, images: int = _IMAGES) -> Path:
    """Write a folder of JPEG photographs; they are few, under many names."""
    from PIL import Image
    from skimage import data

    folder.mkdir(parents=True)
    photographs = [data.astronaut(), data.coffee(), data.rocket(), data.chelsea()]
    encoded = []
    for number, photograph in enumerate(photographs):
        path = folder / f"{number}.jpg"
        Image.fromarray(photograph).resize(_SIZE).save(path, quality=90)
        encoded.append(path.read_bytes())
        path.unlink()
    for number in range(images):
        (folder / f"photograph_{number:05}.jpg").write_bytes(encoded[number % len(encoded)])
    return folder


def _in_the_window(folder: Path) -> dict[str, float]:
    running = application()
    window = MainWindow(LabelingSession(device="cpu"))
    try:
        window.show()
        _wait_until(running, lambda: window.session.model is not None)
        begun = time.perf_counter()
        window.open_paths([folder])
        _wait_until(running, lambda: window.session.document is not None)
        window.grab()
        opened = time.perf_counter() - begun
        assert len(window.images.model.shown) == len(window.session.project.images) > 1
        predicted: list[None] = []
        window.session.prediction_changed.connect(lambda: predicted.append(None))
        _wait_until(running, lambda: bool(predicted))
        scrolled, worked = _scroll(running, window)
        return {
            "folder_5000_s": opened,
            "scroll_max_ms": scrolled,
            "scroll_processor_max_ms": worked,
        }
    finally:
        window.close()


def _scroll(running: QApplication, window: MainWindow) -> tuple[float, float]:
    """Turn the wheel over the list, page on page; return the longest stall in ms.

    A stall is the time the window needs to handle one turn and all that came meanwhile,
    thumbnails and repainting among it; second comes the most that its thread worked.
    """
    viewport = window.images.list.viewport()
    bar = window.images.list.verticalScrollBar()
    place = QPointF(viewport.rect().center())
    longest = hardest = 0.0
    for turn in range(_WHEEL_TURNS):
        clock = QElapsedTimer()
        clock.start()
        worked = time.thread_time()
        if turn % 10 == 9:
            bar.setValue(bar.value() + bar.maximum() // 20)  # far away, as by dragging the bar
        QApplication.sendEvent(viewport, _turned(place, QPointF(viewport.mapToGlobal(place))))
        running.processEvents()
        longest = max(longest, clock.nsecsElapsed() / 1e6)
        hardest = max(hardest, (time.thread_time() - worked) * 1e3)
        time.sleep(0.008)  # what is read meanwhile comes with the next turn
    assert bar.value() > 0
    return longest, hardest


def _turned(place: QPointF, at: QPointF) -> QWheelEvent:
    return QWheelEvent(
        place,
        at,
        QPoint(),
        QPoint(0, -360),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )


def application() -> QApplication:
    """Return the application that runs, started as the program starts it."""
    from app.__main__ import make_application

    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    running = QApplication.instance()
    return running if isinstance(running, QApplication) else make_application()


def _wait_until(running: QApplication, is_done: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not is_done():
        if time.monotonic() > end:
            raise TimeoutError("The window did not get on.")
        running.processEvents()


def _homes(home: Path) -> dict[str, str]:
    names = ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
    return dict.fromkeys(names, str(home))


@contextmanager
def _isolated(home: Path) -> Iterator[None]:
    """Keep the user's settings out of the measurement, and this out of them."""
    before = {name: os.environ.get(name) for name in _homes(home)}
    os.environ.update(_homes(home))
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(home))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _paint_and_close() -> None:
    """Start as the program does and write the moment of the first painted window."""
    from app.__main__ import make_window, parse

    running = application()
    window = make_window(parse([]))
    painted: list[float] = []
    window.canvas.first_painted.disconnect()  # the model would be loaded now
    window.canvas.first_painted.connect(lambda: painted.append(time.time()))
    window.show()
    while not painted:
        running.processEvents()
    print(painted[0])
    window.close()


if __name__ == "__main__":
    if "--paint-and-close" in sys.argv:
        _paint_and_close()
    else:
        print(json.dumps(run(), indent=1))
