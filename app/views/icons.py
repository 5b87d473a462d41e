"""Icons in the text's colour, so that they are seen in the light and in the dark.

QtAwesome brings them: MIT, kept by Spyder's team, its fonts are in the package (the one
used here, Material Design Icons, is under the Apache licence), so nothing is downloaded.
Only its fonts are read: its code imports most of Qt, a fifth of the time the window takes.
"""

from __future__ import annotations

import functools
import json
from importlib.util import find_spec
from pathlib import Path

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QGuiApplication,
    QIcon,
    QIconEngine,
    QPainter,
    QPalette,
    QPixmap,
)

_FONT = "materialdesignicons6-webfont-[0-9]*.ttf"
_NAMES = "materialdesignicons6-webfont-charmap-*.json"
_FILLED = 0.875
"""The share of an icon's height that its glyph's font takes: the rest is bearing."""

_MODES = {
    QIcon.Mode.Disabled: (QPalette.ColorGroup.Disabled, QPalette.ColorRole.Text),
    QIcon.Mode.Selected: (QPalette.ColorGroup.Active, QPalette.ColorRole.HighlightedText),
}


def icon(name: str) -> QIcon:
    """Return the icon of a name of Material Design Icons.

    Raises:
        KeyError: there is no such icon.
    """
    return QIcon(_GlyphEngine(glyph(name)))


def blank_icon() -> QIcon:
    """Return an icon of nothing, so that texts with and without an icon stand in line."""
    return QIcon(_GlyphEngine(" "))


def glyph(name: str) -> str:
    """Return the character that the icons' font draws an icon for.

    Raises:
        KeyError: there is no such icon.
    """
    return chr(int(_codes()[name], 16))


def paint_glyph(painter: QPainter, rect: QRect, character: str, color: QColor) -> None:
    """Draw an icon's character into a square."""
    painter.save()
    painter.setPen(color)
    font = QFont(_family())
    font.setPixelSize(round(_FILLED * rect.height()))
    painter.setFont(font)
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, character)
    painter.restore()


@functools.cache
def _file(pattern: str) -> Path:
    """Return a file among QtAwesome's fonts."""
    package = find_spec("qtawesome")
    assert package is not None
    assert package.origin is not None
    return next(Path(package.origin).with_name("fonts").glob(pattern))


@functools.cache
def _codes() -> dict[str, str]:
    """Return the place of each icon in the font, hexadecimal, by name."""
    return json.loads(_file(_NAMES).read_text("utf-8"))


@functools.cache
def _family() -> str:
    """Load the font, once there is an application, and return its family."""
    number = QFontDatabase.addApplicationFont(str(_file(_FONT)))
    return QFontDatabase.applicationFontFamilies(number)[0]


class _GlyphEngine(QIconEngine):
    """Draws a character in the palette's present colour: the scheme may change."""

    def __init__(self, character: str) -> None:
        super().__init__()
        self._character = character

    def clone(self) -> QIconEngine:
        return _GlyphEngine(self._character)

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        group, role = _MODES.get(mode, (QPalette.ColorGroup.Active, QPalette.ColorRole.Text))
        color = QGuiApplication.palette().color(group, role)
        paint_glyph(painter, rect, self._character, color)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        picture = QPixmap(size)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        self.paint(painter, picture.rect(), mode, state)
        painter.end()
        return picture
