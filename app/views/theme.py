"""The window's colours, light and dark, over Qt's Fusion style.

Two palettes of our own, because not every platform hands Qt one for both schemes.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Slot
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

_SCHEMES = {
    "system": Qt.ColorScheme.Unknown,
    "light": Qt.ColorScheme.Light,
    "dark": Qt.ColorScheme.Dark,
}

_LIGHT = {
    "Window": "#f3f4f6",
    "WindowText": "#1c1f24",
    "Base": "#ffffff",
    "AlternateBase": "#f7f8fa",
    "Text": "#1c1f24",
    "PlaceholderText": "#646b76",
    "Button": "#f3f4f6",
    "ButtonText": "#1c1f24",
    "BrightText": "#ffffff",
    "ToolTipBase": "#ffffff",
    "ToolTipText": "#1c1f24",
    "Highlight": "#2563c9",
    "HighlightedText": "#ffffff",
    "Accent": "#2563c9",
    "Link": "#1f57b5",
    "LinkVisited": "#6b3fb0",
    "Light": "#ffffff",
    "Midlight": "#e6e8ec",
    "Mid": "#c3c8d0",
    "Dark": "#9aa1ac",
    "Shadow": "#6d7480",
}
_DARK = {
    "Window": "#2d2f34",
    "WindowText": "#e6e8eb",
    "Base": "#1b1c1f",
    "AlternateBase": "#212327",
    "Text": "#e6e8eb",
    "PlaceholderText": "#9aa1ab",
    "Button": "#383b41",
    "ButtonText": "#e6e8eb",
    "BrightText": "#ffffff",
    "ToolTipBase": "#34373d",
    "ToolTipText": "#e6e8eb",
    "Highlight": "#2f66c4",
    "HighlightedText": "#ffffff",
    "Accent": "#5b93ee",
    "Link": "#7fb0ff",
    "LinkVisited": "#b79bef",
    "Light": "#4b5058",
    "Midlight": "#41454c",
    "Mid": "#4d525a",
    "Dark": "#17181b",
    "Shadow": "#0d0e10",
}
_DISABLED = {"light": "#9096a0", "dark": "#6f757e"}


class Theme(QObject):
    """Keeps the application's palette in step with the setting and the system."""

    def __init__(self, scheme: str, parent: QObject) -> None:
        """Dress the application; `scheme` is "system", "light" or "dark"."""
        super().__init__(parent)
        self._scheme = "system"
        hints = QGuiApplication.styleHints()
        if QApplication.style().name() != "fusion":
            QApplication.setStyle("Fusion")
        hints.colorSchemeChanged.connect(self._dress)
        self.set_scheme(scheme)

    @property
    def scheme(self) -> str:
        """What is asked for: "system", "light" or "dark"."""
        return self._scheme

    def set_scheme(self, scheme: str) -> None:
        """Follow the system, or be light or dark whatever it says."""
        self._scheme = scheme
        QGuiApplication.styleHints().setColorScheme(_SCHEMES[scheme])
        self._dress()

    @Slot()
    def _dress(self) -> None:
        shown = self._scheme
        if shown == "system":
            system = QGuiApplication.styleHints().colorScheme()
            shown = "dark" if system == Qt.ColorScheme.Dark else "light"
        QApplication.setPalette(palette(shown))


def palette(scheme: str) -> QPalette:
    """Return the palette of the scheme "light" or "dark"."""
    made = QPalette()
    for name, color in (_DARK if scheme == "dark" else _LIGHT).items():
        made.setColor(QPalette.ColorRole[name], QColor(color))
    pale = QColor(_DISABLED[scheme])
    for role in ("WindowText", "Text", "ButtonText", "HighlightedText"):
        made.setColor(QPalette.ColorGroup.Disabled, QPalette.ColorRole[role], pale)
    grey = made.color(QPalette.ColorRole.Mid)
    made.setColor(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Highlight, grey)
    return made
