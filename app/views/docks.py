"""The panels around the canvas and where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QDockWidget, QMainWindow, QWidget

LEFT, RIGHT = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
_WIDTHS = {LEFT: 230, RIGHT: 270}


class Place(NamedTuple):
    """A panel and the side where it stands at first."""

    panel: QWidget
    side: Qt.DockWidgetArea


class Docks:
    """The docks of a window."""

    def __init__(self, window: QMainWindow, panels: Mapping[str, Place]) -> None:
        """Put panels, by their titles, around the window's canvas."""
        self._window = window
        self._docks = {title: _make_dock(window, title, place) for title, place in panels.items()}
        self._sides = {title: place.side for title, place in panels.items()}
        self.reset()

    @property
    def toggle_actions(self) -> dict[str, QAction]:
        """What shows and hides each panel, by its title."""
        return {title: dock.toggleViewAction() for title, dock in self._docks.items()}

    def show(self, title: str) -> None:
        """Show a panel, in front of those that share its place."""
        self._docks[title].show()
        self._docks[title].raise_()

    def reset(self) -> None:
        """Put every panel into its first place."""
        for title, dock in self._docks.items():
            dock.setFloating(False)
            self._window.addDockWidget(self._sides[title], dock)
            dock.show()
        docks = list(self._docks.values())
        widths = [_WIDTHS[self._sides[title]] for title in self._docks]
        self._window.resizeDocks(docks, widths, Qt.Orientation.Horizontal)


def _make_dock(window: QMainWindow, title: str, place: Place) -> QDockWidget:
    dock = QDockWidget(title, window)
    dock.setObjectName(title)
    dock.setWidget(place.panel)
    dock.toggleViewAction().setText(f"&{title}")
    return dock
