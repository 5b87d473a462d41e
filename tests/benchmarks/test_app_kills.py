"""A killed process loses nothing that was acknowledged; 200 kills: benchmarks.app_kills."""

from __future__ import annotations

from pathlib import Path

from benchmarks import app_kills


def test_no_acknowledged_stroke_is_lost() -> None:
    assert app_kills.run(5) == {"kills": 5, "lost_strokes": 0}


def test_a_lost_stroke_would_be_seen(tmp_path: Path) -> None:
    stored = app_kills._opened(tmp_path)
    for operation in range(5):
        edit = app_kills._edit(operation)
        assert edit is not None
        stored.project.edit(tmp_path / "large.png", edit)
    stored.close()
    assert app_kills._lost(tmp_path, 5) == 0
    assert app_kills._lost(tmp_path, 6) == 1
