"""The command palette: type a few letters of any action, Enter runs it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.views.icons import blank_icon
from app.views.shortcuts import plain_text

_SIZE = QSize(560, 380)
_MARGIN = 48
"""Pixels between the palette and the top of its window."""


class Command(NamedTuple):
    """An action and the menu it stands in."""

    menu: str
    action: QAction


class CommandPalette(QFrame):
    """Lists the actions that match what is typed, the best first."""

    def __init__(self, over: QWidget) -> None:
        super().__init__(over, Qt.WindowType.Popup)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._over = over
        self._commands: list[Command] = []
        self.field = QLineEdit()
        self.field.setPlaceholderText("Type to find any action; Enter runs it")
        self.field.setAccessibleName("Find an action")
        self.field.textChanged.connect(self._list)
        self.field.returnPressed.connect(self._run_current)
        self.field.installEventFilter(self)
        self._list_view = _make_list()
        self._list_view.itemClicked.connect(self._run)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self.field)
        layout.addWidget(self._list_view)

    def open_with(self, commands: Iterable[Command]) -> None:
        """Show the palette over its window, with these actions."""
        self._commands = list(commands)
        self.field.clear()
        self._list()
        width = min(_SIZE.width(), self._over.width() - 2 * _MARGIN)
        left = (self._over.width() - width) // 2
        self.setGeometry(
            QRect(self._over.mapToGlobal(QPoint(left, _MARGIN)), QSize(width, _SIZE.height()))
        )
        self.show()
        self.field.setFocus()

    def shown_texts(self) -> list[str]:
        """Return the actions that are listed, the best first."""
        items = (
            self._list_view.topLevelItem(n) for n in range(self._list_view.topLevelItemCount())
        )
        return [item.text(0) for item in items if item is not None]

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the arrow keys move through the list while the field has the focus."""
        moves = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)
        if isinstance(event, QKeyEvent) and event.key() in moves:
            if event.type() == QEvent.Type.KeyPress:
                self._list_view.keyPressEvent(event)
            return True
        return super().eventFilter(watched, event)

    def _list(self) -> None:
        self._list_view.clear()
        typed = self.field.text()
        scored = [
            (score, number)
            for number, command in enumerate(self._commands)
            if (score := _score(typed, _title(command))) is not None
        ]
        for _, number in sorted(scored):
            self._list_view.addTopLevelItem(self._item(number))
        if (best := self._list_view.topLevelItem(0)) is not None:
            self._list_view.setCurrentItem(best)

    def _item(self, number: int) -> QTreeWidgetItem:
        command = self._commands[number]
        keys = command.action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        item = QTreeWidgetItem([_title(command), keys])
        shown = command.action.icon()
        item.setIcon(0, blank_icon() if shown.isNull() else shown)
        item.setData(0, Qt.ItemDataRole.UserRole, number)
        item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        item.setDisabled(not command.action.isEnabled())
        return item

    def _run_current(self) -> None:
        item = self._list_view.currentItem()
        if item is not None:
            self._run(item)

    def _run(self, item: QTreeWidgetItem) -> None:
        action = self._commands[item.data(0, Qt.ItemDataRole.UserRole)].action
        if action.isEnabled():
            self.hide()  # first: the action may want the focus
            action.trigger()


def _make_list() -> QTreeWidget:
    view = QTreeWidget()
    view.setColumnCount(2)
    view.setHeaderHidden(True)
    view.setRootIsDecorated(False)
    view.setUniformRowHeights(True)
    view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    view.setFrameShape(QFrame.Shape.NoFrame)
    view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    view.header().setStretchLastSection(False)
    view.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    view.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
    return view


def _title(command: Command) -> str:
    return f"{command.menu} › {plain_text(command.action)}"


def _score(typed: str, title: str) -> tuple[int, int] | None:
    """Return how badly a title matches, less is better; None if it does not.

    Whole words typed beat letters that only come in the same order.
    """
    text, words = title.lower(), typed.lower().split()
    places = [text.find(word) for word in words]
    if all(place >= 0 for place in places):
        begins = sum(place == 0 or not text[place - 1].isalnum() for place in places)
        return len(words) - begins, 0
    position = -1
    for letter in "".join(words):
        position = text.find(letter, position + 1)
        if position < 0:
            return None
    return len(words) + 1, position
