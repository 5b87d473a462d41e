"""Hands and eyes on the real window where there is no display."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest

from app.views.main_window import MainWindow
from mdlstm_core.errors import InputError

PATIENCE_MS = 120_000


def wait(is_done: Callable[[], bool], patience_ms: int = PATIENCE_MS) -> bool:
    """Let events be handled until something is done; return whether it is."""
    loop = QEventLoop()
    poll = QTimer()
    poll.setInterval(5)
    poll.timeout.connect(lambda: loop.quit() if is_done() else None)
    poll.start()
    QTimer.singleShot(patience_ms, loop, loop.quit)
    loop.exec()
    poll.stop()
    return is_done()


def point(window: MainWindow, x: float, y: float) -> None:
    """Move the mouse over the canvas to a point of the image."""
    _move(window, _view_point(window, x, y), Qt.MouseButton.NoButton)


def draw(window: MainWindow, points: Sequence[tuple[float, float]]) -> None:
    """Draw with the chosen tool over the canvas, through points of the image."""
    first, *others = [_view_point(window, x, y) for x, y in points]
    QTest.mousePress(window.canvas, Qt.MouseButton.LeftButton, pos=first)
    for place in others:
        _move(window, place, Qt.MouseButton.LeftButton)
    QTest.mouseRelease(window.canvas, Qt.MouseButton.LeftButton, pos=(others or [first])[-1])


def grab(window: MainWindow, path: Path) -> None:
    """Write a picture of the window.

    Raises:
        InputError: the file cannot be written.
    """
    QCoreApplication.processEvents()  # what was just shown is laid out
    if not window.grab().save(str(path)):
        raise InputError(f"{path} cannot be written.")


def _move(window: MainWindow, place: QPoint, held: Qt.MouseButton) -> None:
    """Move the mouse, its button held or not, which QTest.mouseMove does not do."""
    at = QPointF(place)
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        at,
        window.canvas.mapToGlobal(at),
        Qt.MouseButton.NoButton,
        held,
        Qt.KeyboardModifier.NoModifier,
    )
    QCoreApplication.sendEvent(window.canvas, event)


def _view_point(window: MainWindow, x: float, y: float) -> QPoint:
    return QPointF(*window.canvas.transform.to_view(x, y)).toPoint()
