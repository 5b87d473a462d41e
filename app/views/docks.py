"""The panels around the canvas and where they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QDockWidget, QMainWindow, QTabWidget, QWidget

LEFT, RIGHT = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
_WIDTHS = {LEFT: 262, RIGHT: 270}


class Place(NamedTuple):
    """A panel and where it stands at first.

    Attributes:
        panel: the panel.
        side: of the window.
        height: its share of that side's height.
        behind: the title of the panel whose place it shares; empty for a place of its own.
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
        window.setTabPosition(LEFT | RIGHT, QTabWidget.TabPosition.North)
        self._docks = {title: _make_dock(window, title, place) for title, place in panels.items()}
        self._places = dict(panels)

    @property
    def toggle_actions(self) -> dict[str, QAction]:
        """What shows and hides each panel, by its title."""
        return {title: dock.toggleViewAction() for title, dock in self._docks.items()}

    def watch(self, title: str, slot: Callable[[bool], object]) -> None:
        """Tell whenever a panel can be seen, or no more: also when its tab goes behind."""
        self._docks[title].visibilityChanged.connect(slot)

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
        docks = list(self._docks.values())
        widths = [_WIDTHS[self._places[title].side] for title in self._docks]
        self._window.resizeDocks(docks, widths, Qt.Orientation.Horizontal)
        heights = [place.height for place in self._places.values()]
        self._window.resizeDocks(docks, heights, Qt.Orientation.Vertical)
        for place in self._places.values():
            if place.behind:
                self._docks[place.behind].raise_()


def _make_dock(window: QMainWindow, title: str, place: Place) -> QDockWidget:
    dock = QDockWidget(title, window)
    dock.setObjectName(title)
    dock.setWidget(place.panel)
    dock.toggleViewAction().setText(f"&{title}")
    return dock
