"""Settings come back as they were stored; damaged ones are the default."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QByteArray, QSettings

from app.settings import (
    PROGRAM,
    Settings,
    load_settings,
    load_window_state,
    save_settings,
    save_window_state,
)


def test_come_back_as_they_were_stored() -> None:
    chosen = Settings(overlay_opacity=0, brush_diameter=512, learning_seconds=7, device="cpu")
    save_settings(chosen)
    assert load_settings() == chosen


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("overlay_opacity", "101"),
        ("brush_diameter", "0"),
        ("learning_seconds", "soon"),
        ("device", "abacus"),
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
