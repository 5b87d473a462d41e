"""Settings come back as they were stored; damaged ones are the default."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QSettings

from app.settings import (
    PROGRAM,
    Settings,
    add_recent,
    load_recent,
    load_settings,
    load_shortcuts,
    load_window_state,
    save_settings,
    save_shortcuts,
    save_window_state,
)


def test_come_back_as_they_were_stored() -> None:
    chosen = Settings(
        overlay_opacity=0,
        brush_diameter=512,
        learning_seconds=7,
        device="cpu",
        color_scheme="dark",
    )
    save_settings(chosen)
    assert load_settings() == chosen


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("overlay_opacity", "101"),
        ("brush_diameter", "0"),
        ("learning_seconds", "soon"),
        ("device", "abacus"),
        ("color_scheme", "pink"),
    ],
)
def test_a_damaged_one_is_the_default(name: str, value: str) -> None:
    user, ini = QSettings.Scope.UserScope, QSettings.Format.IniFormat
    QSettings(ini, user, PROGRAM, "settings").setValue(name, value)
    assert load_settings() == Settings()


def test_window_state_is_empty_at_first_and_comes_back() -> None:
    assert load_window_state() == (QByteArray(), QByteArray())
    save_window_state(QByteArray(b"geometry"), QByteArray(b"docks"))
    assert load_window_state() == (QByteArray(b"geometry"), QByteArray(b"docks"))


def test_recent_projects_are_few_and_the_latest_comes_first() -> None:
    assert load_recent() == {}
    for number in range(14):
        add_recent(Path(f"/photos/{number}.mdlp"))
    add_recent(Path("/photos/9.mdlp"))
    assert [path.stem for path in list(load_recent())[:3]] == ["9", "13", "12"]
    assert len(load_recent()) == 10


def test_shortcuts_come_back_and_damaged_ones_are_none() -> None:
    save_shortcuts({"undo": ["F5"], "redo": []})
    assert load_shortcuts() == {"undo": ["F5"], "redo": []}
    user, ini = QSettings.Scope.UserScope, QSettings.Format.IniFormat
    QSettings(ini, user, PROGRAM, "shortcuts").setValue("keys", "{")
    assert load_shortcuts() == {}
    QSettings(ini, user, PROGRAM, "recent").setValue("projects", "3")
    assert load_recent() == {}
