"""Reference cycles are collected on the window's thread alone."""

from __future__ import annotations

import gc
import threading

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.garbage import collect_on_this_thread, long_lived


class Noted:
    """In a cycle with itself; notes in which thread it is freed."""

    freed_in: set[int]

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        self.freed_in.add(threading.get_ident())


def _make_many() -> None:
    kept: list[list[int]] = []  # growth is what makes Python collect
    for _ in range(20_000):
        Noted()
        kept.append([])


@pytest.mark.parametrize("is_ours", [True, False])
def test_cycles_are_freed_on_this_thread(qtbot: QtBot, is_ours: bool) -> None:
    Noted.freed_in = set()
    parent = QObject()
    gc.enable()
    if is_ours:
        collect_on_this_thread(parent)
    worker = threading.Thread(target=_make_many)
    worker.start()
    worker.join()
    qtbot.waitUntil(lambda: bool(Noted.freed_in))
    # The other way round shows that Python on its own would free them there.
    assert (threading.get_ident() in Noted.freed_in) == is_ours
    assert len(Noted.freed_in) == 1
    gc.disable()
    gc.collect()


def test_nothing_is_collected_while_modules_are_imported(qtbot: QtBot) -> None:
    Noted.freed_in = set()
    parent = QObject()
    collect_on_this_thread(parent)
    with long_lived():
        _make_many()
        qtbot.wait(300)
        assert Noted.freed_in == set()
    qtbot.waitUntil(lambda: bool(Noted.freed_in))
