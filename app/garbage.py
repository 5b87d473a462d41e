"""Collects reference cycles on the window's thread alone.

Python collects in whichever thread happens to make an object, and a Qt object that is freed
in a thread it does not live in takes the program down with it.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QObject, QTimer

_INTERVAL_MS = 50
"""Short enough that what comes together meanwhile is looked through in a millisecond."""

_growing: set[object] = set()
"""One for each `long_lived` under way."""


def collect_on_this_thread(parent: QObject) -> None:
    """Take the place of Python's own collector, by its thresholds, as long as `parent` lives."""
    gc.disable()
    timer = QTimer(parent)
    timer.timeout.connect(_collect_what_is_due)
    timer.start(_INTERVAL_MS)


def _collect_what_is_due() -> None:
    """Collect the oldest generation that is due, and all younger ones with it."""
    if _growing:
        return
    is_due = [count > most for count, most in zip(gc.get_count(), gc.get_threshold(), strict=True)]
    if any(is_due):
        gc.collect(max(number for number, due in enumerate(is_due) if due))


@contextmanager
def long_lived() -> Iterator[None]:
    """Keep what is imported inside from being collected, whichever thread does it.

    torch brings hundreds of thousands of objects that stay; every full collection visits
    them all, and the window stands still meanwhile: 0.2 to 0.4 s, measured. Where all was
    imported before, nothing is kept: it would be what an earlier window left behind.
    """
    modules, was_enabled, one = len(sys.modules), gc.isenabled(), object()
    gc.disable()
    _growing.add(one)
    try:
        yield
    finally:
        if len(sys.modules) > modules:
            gc.freeze()
        _growing.discard(one)
        if was_enabled:
            gc.enable()
