"""Icons in the text's colour, so that they are seen in the light and in the dark.

QtAwesome brings them: MIT, kept by Spyder's team, its fonts are in the package (the one
used here, Material Design Icons, is under the Apache licence), so nothing is downloaded.
"""

from __future__ import annotations

import qtawesome
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QIconEngine, QPainter, QPalette, QPixmap

_PREFIX = "mdi6"
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
    return qtawesome.charmap(f"{_PREFIX}.{name}")


def paint_glyph(painter: QPainter, rect: QRect, character: str, color: QColor) -> None:
    """Draw an icon's character into a square."""
    painter.save()
    painter.setPen(color)
    painter.setFont(qtawesome.font(_PREFIX, round(_FILLED * rect.height())))
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, character)
    painter.restore()


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
