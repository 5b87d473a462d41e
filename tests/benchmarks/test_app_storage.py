"""The benchmark of storing runs and gives its figures."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from benchmarks import app_storage


def test_times_strokes(qtbot: QtBot) -> None:
    found = app_storage.run(3)
    assert set(found) == {"commit_p95_ms", "commit_gui_max_ms", "commit_gui_processor_max_ms"}
    assert all(value > 0 for value in found.values())
