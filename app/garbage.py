"""Collects reference cycles on the window's thread alone.

Python collects in whichever thread happens to make an object, and a Qt object that is freed
in a thread it does not live in takes the program down with it.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

_INTERVAL_MS = 200


def collect_on_this_thread(parent: QObject) -> None:
    """Take the place of Python's own collector, by its thresholds, as long as `parent` lives."""
    gc.disable()
    timer = QTimer(parent)
    timer.timeout.connect(_collect_what_is_due)
    timer.start(_INTERVAL_MS)


def _collect_what_is_due() -> None:
    """Collect the oldest generation that is due, and all younger ones with it."""
    is_due = [count > most for count, most in zip(gc.get_count(), gc.get_threshold(), strict=True)]
    if any(is_due):
        gc.collect(max(number for number, due in enumerate(is_due) if due))
