"""Tests of the thread that serves workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject, Signal, Slot
from pytestqt.qtbot import QtBot

from app.inference.worker_thread import WorkerThread


class Counter(QObject):
    """Counts its calls in what Python keeps for one thread."""

    counted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._of_thread = threading.local()

    @Slot()
    def count(self) -> None:
        """Say how often this thread has called."""
        self._of_thread.calls = getattr(self._of_thread, "calls", 0) + 1
        self.counted.emit(self._of_thread.calls)


class Caller(QObject):
    """Asks the counter from another thread, and hears it there."""

    asked = Signal()
    heard = Signal(int)


@pytest.fixture
def thread() -> Iterator[WorkerThread]:
    """A thread that ends with the test."""
    thread = WorkerThread()
    yield thread
    thread.quit()
    thread.wait()


def test_all_slots_of_a_worker_run_in_one_thread_of_python(
    qtbot: QtBot, thread: WorkerThread
) -> None:
    counter, caller = Counter(), Caller()
    counter.moveToThread(thread)
    caller.asked.connect(counter.count)
    counter.counted.connect(caller.heard)
    thread.start()
    for calls in (1, 2, 3):
        with qtbot.waitSignal(caller.heard) as heard:
            caller.asked.emit()
        assert heard.args == [calls]
