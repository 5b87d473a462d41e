"""Buttons in a row of which one is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from app.views.icons import icon


class Segment(NamedTuple):
    """One button: its text, icon (empty for none) and hint."""

    text: str
    icon: str = ""
    hint: str = ""


_MARK = 3
"""Pixels of the line under the chosen button."""


class _SegmentButton(QToolButton):
    """A line marks it while it is down: Fusion hardly shows that, above all in the dark."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.isChecked():
            painter = QPainter(self)
            line = QRect(3, self.height() - _MARK - 1, self.width() - 6, _MARK)
            painter.fillRect(line, self.palette().color(QPalette.ColorRole.Accent))
            painter.end()


class Segments(QWidget):
    """One of several, each a button that stays down.

    Signals:
        chosen(str): the user, or `choose`, chose another one.
    """

    chosen = Signal(str)

    def __init__(self, segments: Mapping[str, Segment], *, under_icons: bool = False) -> None:
        """Offer what is named; texts stand under their icons if they have both."""
        super().__init__()
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QToolButton] = {}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for name, segment in segments.items():
            self._buttons[name] = button = _button(segment, under_icons=under_icons)
            self._group.addButton(button)
            layout.addWidget(button)
        self._chosen = next(iter(segments))
        self._buttons[self._chosen].setChecked(True)
        self._group.buttonClicked.connect(self._on_clicked)

    @property
    def value(self) -> str:
        """The name of what is chosen."""
        return self._chosen

    def choose(self, name: str) -> None:
        """Choose, as a click does."""
        if name != self._chosen:
            self._chosen = name
            self._buttons[name].setChecked(True)
            self.chosen.emit(name)

    def button(self, name: str) -> QToolButton:
        """Return one of the buttons."""
        return self._buttons[name]

    def _on_clicked(self) -> None:
        checked = self._group.checkedButton()
        self.choose(next(name for name, button in self._buttons.items() if button is checked))


def _button(segment: Segment, *, under_icons: bool) -> QToolButton:
    button = _SegmentButton()
    button.setCheckable(True)
    button.setAutoRaise(under_icons)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # Space pans, whatever was clicked
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    button.setText(segment.text)
    button.setToolTip(segment.hint or segment.text)
    button.setAccessibleName(segment.text)
    style = Qt.ToolButtonStyle.ToolButtonTextOnly
    if segment.icon:
        button.setIcon(icon(segment.icon))
        button.setIconSize(QSize(18, 18))
        style = Qt.ToolButtonStyle.ToolButtonIconOnly
        if under_icons:
            style = Qt.ToolButtonStyle.ToolButtonTextUnderIcon
    button.setToolButtonStyle(style)
    return button
