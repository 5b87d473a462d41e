"""The user's settings, typed, over QSettings, and the platform's folders."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from PySide6.QtCore import QByteArray, QSettings

from mdlstm_core.config import DEVICE_NAMES, LEARNING_SECONDS

PROGRAM = "mdlstm-labeler"

COLOR_SCHEMES = ("system", "light", "dark")
"""What the window's colours follow."""

HISTORY_MB = range(16, 16385)
"""What a project's history may be held to."""

_MOST_RECENT = 10


@dataclass(frozen=True)
class Settings:
    """What the user prefers.

    Attributes:
        overlay_opacity: of the labels over the image, 0 to 100 %.
        brush_diameter: in pixels of the image, 1 to 512.
        learning_seconds: how long Learn may take, 1 to 3600; the image is labeled anew after that.
        device: where the model runs, "auto", "cpu" or "cuda".
        color_scheme: of the window, "system", "light" or "dark".
        history_mb: what a project's undo history may take on disk, 16 to 16384 MB.
    """

    overlay_opacity: int = 50
    brush_diameter: int = 15
    learning_seconds: int = LEARNING_SECONDS
    device: str = "auto"
    color_scheme: str = "system"
    history_mb: int = 256


def load_settings() -> Settings:
    """Return the stored settings; a value that is damaged or out of range is the default."""
    stored, default = _store(), Settings()
    return Settings(
        overlay_opacity=_number(stored, "overlay_opacity", range(101), default.overlay_opacity),
        brush_diameter=_number(stored, "brush_diameter", range(1, 513), default.brush_diameter),
        learning_seconds=_number(
            stored, "learning_seconds", range(1, 3601), default.learning_seconds
        ),
        device=_choice(stored, "device", DEVICE_NAMES, default.device),
        color_scheme=_choice(stored, "color_scheme", COLOR_SCHEMES, default.color_scheme),
        history_mb=_number(stored, "history_mb", HISTORY_MB, default.history_mb),
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


def load_shortcuts() -> dict[str, list[str]]:
    """Return the keys of the actions whose keys the user changed, by the action's name."""
    found = _json(_store("shortcuts"), "keys")
    if not isinstance(found, dict):
        return {}
    return {
        str(name): [str(key) for key in keys]
        for name, keys in found.items()
        if isinstance(keys, list)
    }


def save_shortcuts(keys: dict[str, list[str]]) -> None:
    """Store the keys that differ from the default."""
    _store("shortcuts").setValue("keys", json.dumps(keys))


def load_tools() -> tuple[str, dict[str, object]]:
    """Return the tool that was chosen last, and what was set for the tools; empty at first."""
    stored = _store("tools")
    options = _json(stored, "options")
    return str(stored.value("tool", "")), options if isinstance(options, dict) else {}


def save_tools(tool: str, options: Mapping[str, object]) -> None:
    """Store the chosen tool, and what is set for the tools."""
    stored = _store("tools")
    stored.setValue("tool", tool)
    stored.setValue("options", json.dumps(options))


def load_recent() -> dict[Path, Path]:
    """Return the projects that were open, the latest first, and the folders of their images."""
    projects, folders = (_json(_store("recent"), name) for name in ("projects", "folders"))
    known = folders if isinstance(folders, dict) else {}
    found = map(str, projects if isinstance(projects, list) else ())
    return {Path(path): Path(str(known.get(path, Path(path).parent))) for path in found}


def add_recent(project: Path, folder: Path | None = None) -> None:
    """Remember a project as the one that was open last, and where its images are."""
    others = {path: found for path, found in load_recent().items() if path != project}
    kept = {project: folder or project.parent, **others}
    save_recent(dict(list(kept.items())[:_MOST_RECENT]))


def save_recent(projects: Mapping[Path, Path]) -> None:
    """Store which projects were open, the latest first, and the folders of their images."""
    stored = _store("recent")
    stored.setValue("projects", json.dumps([str(path) for path in projects]))
    folders = {str(path): str(folder) for path, folder in projects.items()}
    stored.setValue("folders", json.dumps(folders))


def log_path() -> Path:
    """Return the log's file in the platform's own place."""
    return platformdirs.user_log_path(PROGRAM, appauthor=False) / f"{PROGRAM}.log"


def crash_path() -> Path:
    """Return where the program leaves its calls when a native library ends it."""
    return log_path().with_name(f"{PROGRAM}-crash.log")


def _store(name: str = "settings") -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, PROGRAM, name)


def _number(stored: QSettings, name: str, allowed: range, default: int) -> int:
    text = str(stored.value(name, ""))
    return int(text) if text.isdecimal() and int(text) in allowed else default


def _choice(stored: QSettings, name: str, allowed: tuple[str, ...], default: str) -> str:
    text = str(stored.value(name, ""))
    return text if text in allowed else default


def _json(stored: QSettings, name: str) -> object:
    """Return a stored value, None if there is none or it is damaged."""
    try:
        return json.loads(str(stored.value(name, "")))
    except json.JSONDecodeError:
        return None


def _bytes(value: object) -> QByteArray:
    return value if isinstance(value, QByteArray) else QByteArray()
