"""Projects that cannot be opened, and a disk without room, in the real window."""

from __future__ import annotations

import resource
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.session import LabelingSession
from app.storage.project_file import ProjectFile
from app.views.main_window import MainWindow
from mdlstm_core.config import IGNORE_INDEX, LabelClass


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


def _nonsense(project: Path) -> None:
    project.write_bytes(b"not a database at all" * 100)


@pytest.mark.parametrize(
    ("harm", "mend"),
    [
        (_truncated, "salvage it by “mdlstm project repair {}”, or move it away"),
        (_foreign, "move it away"),
        (_newer, "update this program"),
        (_nonsense, "salvage it by “mdlstm project repair {}”, or move it away"),
    ],
)
def test_a_fresh_window_names_the_mend_of_a_project_that_cannot_be_opened(
    qtbot: QtBot,
    painted_window: MainWindow,
    mdlstm: Callable[..., Any],
    harm: Callable[[Path], None],
    mend: str,
) -> None:
    project = painted_window.session.project_path
    assert project is not None
    painted_window.close()
    harm(project)
    window = MainWindow(LabelingSession(device="cpu"))
    qtbot.addWidget(window)
    window.show()
    window.open_paths([project.parent])
    assert mend.format(project) in window.messages.text
    assert str(project) in window.messages.text
    assert window.messages.text.count(". ") == 0
    assert window.session.document is None
    if harm is _truncated:
        mdlstm("project", "repair", project)
        project = project.with_name(f"{project.stem}-repaired.mdlp")
        assert project.is_file()
        with qtbot.waitSignal(window.session.document_changed, check_params_cb=bool):
            window.open_paths([project])
    else:
        project.rename(project.with_name("away"))
        with qtbot.waitSignal(window.session.document_changed, check_params_cb=bool):
            window.open_paths([project.parent])
        assert (_corrections(window) == IGNORE_INDEX).all()
    window.close()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (_truncated, "truncated"),
        (_foreign, "another program"),
        (_newer, "newer version"),
        (_nonsense, "not a database"),
    ],
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


def test_a_merge_that_a_damaged_label_map_forbids_is_taken_back_on_the_canvas(
    qtbot: QtBot, painted_window: MainWindow, drag: Callable[..., None]
) -> None:
    window, session = painted_window, painted_window.session
    document = session.document
    assert document is not None
    other = document.path.with_name("other.png")
    shutil.copy(document.path, other)
    with qtbot.waitSignal(session.document_changed, check_params_cb=lambda d: d is not None):
        session.open_paths([other])
    drag(window, [(100.0, 300.0), (200.0, 310.0)])
    assert session.journal.store()
    assert session.project_path is not None
    with closing(sqlite3.connect(session.project_path)) as database, database:
        database.execute(
            "UPDATE tiles SET labels = x'00' WHERE image = (SELECT id FROM images WHERE path = ?)",
            (document.path.name,),
        )
    before, classes = _corrections(window), session.classes
    with qtbot.waitSignal(session.document_changed, check_params_cb=lambda d: d is not None):
        session.merge_class(1, 0)
    assert "merge classes" in window.messages.text
    assert session.classes == classes
    np.testing.assert_array_equal(_corrections(window), before)
    with qtbot.waitSignal(session.journal.stored):
        drag(window, [(100.0, 350.0), (200.0, 360.0)])
    assert not window.status.unsaved.isVisible()


def test_closing_once_more_loses_only_what_was_told(
    qtbot: QtBot, painted_window: MainWindow, drag: Callable[..., None]
) -> None:
    window, session = painted_window, painted_window.session
    assert session.journal.store()
    assert session.project_path is not None
    wal = session.project_path.with_name(f"{session.project_path.name}-wal")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size, hard))
    try:
        drag(window, [(100.0, 300.0), (200.0, 310.0)])
        assert not window.close()
        drag(window, [(400.0, 300.0), (500.0, 310.0)])  # nobody said that this is lost
        assert not window.close()
        assert window.isVisible()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert window.close()
