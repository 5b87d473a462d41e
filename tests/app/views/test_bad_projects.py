"""Projects that cannot be opened, and a disk without room, in the real window."""

from __future__ import annotations

import resource
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.session import LabelingSession
from app.storage.project_file import ProjectFile
from app.views.main_window import MainWindow
from mdlstm_core.config import LabelClass


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here asks the model."""
    monkeypatch.setattr(LabelingSession, "start_model", lambda _self: None)


def _corrections(window: MainWindow) -> np.ndarray:
    assert window.session.document is not None
    return window.session.document.corrections.snapshot()


@pytest.fixture
def painted_window(
    qtbot: QtBot, window: MainWindow, rocket: Path, drag: Callable[..., None]
) -> MainWindow:
    """The window on a photograph, with a stroke of class 1 on it."""
    session = window.session
    with qtbot.waitSignal(session.document_changed, check_params_cb=lambda d: d is not None):
        session.open_paths([rocket])
    names = ("ground", "thing", "hole")
    session.stored.use_model_classes([LabelClass(name, (9, 9, 9)) for name in names])
    window.classes.choose(1)
    drag(window, [(100.0, 100.0), (300.0, 120.0)])
    assert (_corrections(window) == 1).any()
    return window


def _truncated(project: Path) -> None:
    content = project.read_bytes()
    project.write_bytes(content[: len(content) // 2])


def _foreign(project: Path) -> None:
    project.unlink()
    with sqlite3.connect(project) as database:
        database.execute("CREATE TABLE theirs (a)")
    database.close()


def _newer(project: Path) -> None:
    with sqlite3.connect(project) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [(_truncated, "truncated"), (_foreign, "another program"), (_newer, "newer version")],
)
def test_a_project_that_cannot_be_opened_is_told_and_the_present_one_goes_on(
    qtbot: QtBot,
    painted_window: MainWindow,
    drag: Callable[..., None],
    harm: Callable[[Path], None],
    reason: str,
) -> None:
    window, session = painted_window, painted_window.session
    assert session.journal.store()
    present = session.project_path
    assert present is not None
    bad = present.parent.parent / "elsewhere" / "bad.mdlp"
    bad.parent.mkdir()
    with sqlite3.connect(present) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    shutil.copy(present, bad)
    harm(bad)
    content = bad.read_bytes()

    session.open_paths([bad])

    assert reason in window.messages.text
    assert str(bad) in window.messages.text
    assert window.messages.text.count(". ") == 0
    assert bad.read_bytes() == content
    assert session.project_path == present
    before = _corrections(window)
    with qtbot.waitSignal(session.journal.stored):
        drag(window, [(400.0, 300.0), (500.0, 310.0)])
    assert (_corrections(window) != before).any()


def test_a_disk_that_fills_up_in_a_stroke_is_shown_until_there_is_room(
    qtbot: QtBot, painted_window: MainWindow, drag: Callable[..., None]
) -> None:
    window, session = painted_window, painted_window.session
    assert session.journal.store()
    project = session.project_path
    assert project is not None
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may grow any more: a disk without room.
    full = project.with_name(f"{project.name}-wal").stat().st_size
    drag(window, [(100.0, 300.0), (200.0, 310.0)], release=False)
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, hard))
    try:
        with qtbot.waitSignal(session.journal.failed):
            window.canvas.finish_gesture()
        assert window.status.unsaved.isVisible()
        assert "memory only" in window.messages.text
        drag(window, [(400.0, 300.0), (500.0, 310.0)])
        painted = _corrections(window)
        assert painted[310, 500] == painted[310, 200] == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with qtbot.waitSignal(session.journal.recovered):
        window.actions_by_name["save"].trigger()
    assert not window.status.unsaved.isVisible()
    assert session.document is not None
    file = ProjectFile(project)
    stored = file.stored_labels(session.document.path)
    file.close()
    assert stored is not None
    np.testing.assert_array_equal(stored.decode(), painted)
