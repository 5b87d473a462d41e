"""The user's settings, typed, over QSettings, and the platform's folders."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from PySide6.QtCore import QByteArray, QSettings

from mdlstm_core.config import DEVICE_NAMES

PROGRAM = "mdlstm-labeler"


@dataclass(frozen=True)
class Settings:
    """What the user prefers.

    Attributes:
        overlay_opacity: of the labels over the image, 0 to 100 %.
        brush_diameter: in pixels of the image, 1 to 512.
        learning_seconds: how long Learn may take, 1 to 3600.
        device: where the model runs, "auto", "cpu" or "cuda".
    """

    overlay_opacity: int = 50
    brush_diameter: int = 15
    learning_seconds: int = 20
    device: str = "auto"


def load_settings() -> Settings:
    """Return the stored settings; a value that is damaged or out of range is the default."""
    stored, default = _store(), Settings()
    device = str(stored.value("device", ""))
    return Settings(
        overlay_opacity=_number(stored, "overlay_opacity", range(101), default.overlay_opacity),
        brush_diameter=_number(stored, "brush_diameter", range(1, 513), default.brush_diameter),
        learning_seconds=_number(
            stored, "learning_seconds", range(1, 3601), default.learning_seconds
        ),
        device=device if device in DEVICE_NAMES else default.device,
    )


def save_settings(settings: Settings) -> None:
    """Store the settings."""
    stored = _store()
    for name, value in dataclasses.asdict(settings).items():
        stored.setValue(name, value)


def load_window_state() -> tuple[QByteArray, QByteArray]:
    """Return the stored geometry and dock state of the window, empty at first."""
    stored = _store("window")
    return _bytes(stored.value("geometry")), _bytes(stored.value("docks"))


def save_window_state(geometry: QByteArray, docks: QByteArray) -> None:
    """Store the window's geometry and dock state, apart from the user's settings."""
    stored = _store("window")
    stored.setValue("geometry", geometry)
    stored.setValue("docks", docks)


def log_path() -> Path:
    """Return the log's file in the platform's own place."""
    return platformdirs.user_log_path(PROGRAM, appauthor=False) / f"{PROGRAM}.log"


def _store(name: str = "settings") -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, PROGRAM, name)


def _number(stored: QSettings, name: str, allowed: range, default: int) -> int:
    text = str(stored.value(name, ""))
    return int(text) if text.isdecimal() and int(text) in allowed else default


def _bytes(value: object) -> QByteArray:
    return value if isinstance(value, QByteArray) else QByteArray()
