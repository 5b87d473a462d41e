"""The bars of icons: what is done often, and the drawing tools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMainWindow, QToolBar

_OFTEN = (
    ("open", "open-folder", "export"),
    ("undo", "redo"),
    ("previous", "next", "done"),
    ("fit", "pixels", "labels"),
    ("live", "learn"),
)
_ICON_SIZE = QSize(20, 20)


def add_bars(
    window: QMainWindow,
    actions: Mapping[str, QAction],
    tools: Iterable[str],
    options_bar: QToolBar,
) -> None:
    """Put the bars into a window.

    Args:
        window: where they stand.
        actions: all actions by name.
        tools: the names of the tools' actions.
        options_bar: stands beside what is done often.
    """
    often = _add_bar(window, "Main", Qt.ToolBarArea.TopToolBarArea)
    for group in _OFTEN:
        often.addActions([actions[name] for name in group])
        often.addSeparator()
    window.addToolBar(options_bar)
    drawing = _add_bar(window, "Tools", Qt.ToolBarArea.LeftToolBarArea)
    drawing.addActions([actions[name] for name in tools])


def _add_bar(window: QMainWindow, title: str, area: Qt.ToolBarArea) -> QToolBar:
    bar = QToolBar(title)
    bar.setObjectName(title)
    bar.setIconSize(_ICON_SIZE)
    window.addToolBar(area, bar)
    return bar
