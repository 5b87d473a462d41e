"""The panels around the canvas and where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QDockWidget, QMainWindow, QWidget

LEFT, RIGHT = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
_WIDTHS = {LEFT: 230, RIGHT: 310}


class Place(NamedTuple):
    """Where a panel stands at first.

    Attributes:
        panel: the panel.
        side: of the window.
        height: its share of that side's height.
        behind: the title of the panel in whose place it stands, as a tab; empty for none.
    """

    panel: QWidget
    side: Qt.DockWidgetArea
    height: int = 1
    behind: str = ""


class Docks:
    """The docks of a window."""

    def __init__(self, window: QMainWindow, panels: Mapping[str, Place]) -> None:
        """Make docks of panels, by their titles; `reset` puts them around the canvas."""
        self._window = window
        self._docks = {title: _make_dock(window, title, place) for title, place in panels.items()}
        self._places = dict(panels)

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
            self._window.addDockWidget(self._places[title].side, dock)
            dock.show()
        for title, place in self._places.items():
            if place.behind:
                self._window.tabifyDockWidget(self._docks[place.behind], self._docks[title])
        for title in {place.behind for place in self._places.values() if place.behind}:
            self._docks[title].raise_()
        front = [title for title, place in self._places.items() if not place.behind]
        docks = [self._docks[title] for title in front]
        widths = [_WIDTHS[self._places[title].side] for title in front]
        self._window.resizeDocks(docks, widths, Qt.Orientation.Horizontal)
        heights = [self._places[title].height for title in front]
        self._window.resizeDocks(docks, heights, Qt.Orientation.Vertical)


def _make_dock(window: QMainWindow, title: str, place: Place) -> QDockWidget:
    dock = QDockWidget(title, window)
    dock.setObjectName(title)
    dock.setWidget(place.panel)
    dock.toggleViewAction().setText(f"&{title}")
    return dock
