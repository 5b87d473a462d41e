"""The list of all shortcuts: to search, to change, to set back."""

from __future__ import annotations

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QLineEdit,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.views.icons import blank_icon
from app.views.shortcuts import MOST_KEYS, Shortcuts, plain_text

_HINT = "Double-click a key to change it; Backspace in an empty field takes it away."
_ROW_HEIGHT = 28
"""Room for a field to press keys in."""

_FIXED = (
    ("Paint", "Left button, or the pen"),
    ("Erase for the moment", "Shift held"),
    ("Move the picture", "Space held, or the middle button"),
    ("Zoom to the pointer", "Wheel"),
)
"""What cannot be changed, so that the list is whole."""


class ShortcutsDialog(QDialog):
    """Lists every action with its keys; a double click changes them."""

    def __init__(self, shortcuts: Shortcuts, menus: dict[str, str], parent: QWidget) -> None:
        """Take the shortcuts, and the menu of each action by the action's name."""
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        self.resize(640, 560)
        self._shortcuts = shortcuts
        self._menus = menus
        self._pending: tuple[str, int, str] | None = None
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search actions and keys")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.list = self._make_list()
        self.message = QLabel(_HINT)
        self.message.setWordWrap(True)
        self.take = QPushButton("Use it here")
        self.take.hide()
        self.take.clicked.connect(self._take)
        self.reset = QPushButton("Set all back")
        self.reset.setToolTip("Give every action the keys it came with")
        self.reset.clicked.connect(self._on_reset)
        self._lay_out()
        self._items: dict[str, QTreeWidgetItem] = {}
        self._fill()
        shortcuts.changed.connect(self._show_keys)
        self._show_keys()

    def _make_list(self) -> QTreeWidget:
        table = QTreeWidget()
        table.setHeaderLabels(["Action", "Shortcut", "Or"])
        table.setRootIsDecorated(False)
        table.setAlternatingRowColors(True)
        table.setUniformRowHeights(True)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            table.header().setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            table.header().resizeSection(column, 150)
        table.header().setStretchLastSection(False)
        delegate = _KeysDelegate(table)
        delegate.chosen.connect(self._on_chosen)
        table.setItemDelegate(delegate)
        table.itemDoubleClicked.connect(self.edit)
        return table

    def _lay_out(self) -> None:
        below = QHBoxLayout()
        below.addWidget(self.message, stretch=1)
        below.addWidget(self.take)
        below.addWidget(self.reset)
        for button in (self.take, self.reset):
            button.setAutoDefault(False)
        layout = QVBoxLayout(self)
        layout.addWidget(self.search)
        layout.addWidget(self.list)
        layout.addLayout(below)

    def item(self, name: str) -> QTreeWidgetItem:
        """Return the row of an action.

        Raises:
            KeyError: there is no such action.
        """
        return self._items[name]

    def edit(self, item: QTreeWidgetItem, column: int) -> None:
        """Let the user press new keys for an action."""
        if item.data(0, Qt.ItemDataRole.UserRole):
            self.list.editItem(item, max(column, 1))

    def _fill(self) -> None:
        for name, action in self._shortcuts.actions.items():
            item = QTreeWidgetItem([f"{self._menus[name]} › {plain_text(action)}"])
            item.setIcon(0, blank_icon() if action.icon().isNull() else action.icon())
            item.setData(0, Qt.ItemDataRole.UserRole, name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            self.list.addTopLevelItem(item)
            self._items[name] = item
        for text, keys in _FIXED:
            item = QTreeWidgetItem([f"Canvas › {text}", keys])
            item.setIcon(0, blank_icon())
            item.setToolTip(1, f"{keys} (cannot be changed)")
            self.list.addTopLevelItem(item)

    def _show_keys(self) -> None:
        for name, item in self._items.items():
            font = item.font(0)
            font.setBold(not self._shortcuts.is_default(name))
            shown = [*map(_native, self._shortcuts.keys(name)), *([""] * MOST_KEYS)]
            for column, keys in enumerate(shown[:MOST_KEYS], start=1):
                item.setText(column, keys)
                item.setFont(column, font)
        self._filter(self.search.text())

    def _filter(self, typed: str) -> None:
        words = typed.lower().split()
        for row in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(row)
            if item is not None:
                text = " ".join(item.text(column) for column in range(3)).lower()
                item.setHidden(not all(word in text for word in words))

    def _on_chosen(self, name: str, place: int, keys: str) -> None:
        others = self._shortcuts.conflicts(name, keys) if keys else []
        if others:
            taken = ", ".join(f"“{plain_text(self._shortcuts.actions[o])}”" for o in others)
            self.message.setText(f"{_native(keys)} already belongs to {taken}.")
            self._pending = (name, place, keys)
            self.take.show()
        else:
            self._assign(name, place, keys)

    def _take(self) -> None:
        if self._pending is not None:
            self._assign(*self._pending)

    def _assign(self, name: str, place: int, keys: str) -> None:
        self._settle()
        self._shortcuts.assign(name, place, keys)

    def _on_reset(self) -> None:
        self._settle()
        self._shortcuts.reset()

    def _settle(self) -> None:
        self._pending = None
        self.message.setText(_HINT)
        self.take.hide()


class _KeysDelegate(QStyledItemDelegate):
    """Lets the user press keys in the list.

    Signals:
        chosen(str, int, str): the action, which of its keys (0, 1), and the keys pressed,
            empty to have none.
    """

    chosen = Signal(str, int, str)

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        return super().sizeHint(option, index).expandedTo(QSize(0, _ROW_HEIGHT))

    def createEditor(
        self,
        parent: QWidget,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> QWidget:
        editor = QKeySequenceEdit(parent)
        editor.setMaximumSequenceLength(1)
        editor.setClearButtonEnabled(True)
        editor.setAutoFillBackground(True)
        editor.editingFinished.connect(lambda: self._finish(editor))
        return editor

    def setEditorData(self, editor: QWidget, index: QModelIndex | QPersistentModelIndex) -> None:
        assert isinstance(editor, QKeySequenceEdit)
        shown = str(index.data() or "")
        editor.setKeySequence(
            QKeySequence.fromString(shown, QKeySequence.SequenceFormat.NativeText)
        )

    def setModelData(
        self,
        editor: QWidget,
        model: QAbstractItemModel,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        assert isinstance(editor, QKeySequenceEdit)
        keys = editor.keySequence().toString(QKeySequence.SequenceFormat.PortableText)
        name = index.sibling(index.row(), 0).data(Qt.ItemDataRole.UserRole)
        self.chosen.emit(name, index.column() - 1, keys)

    def _finish(self, editor: QKeySequenceEdit) -> None:
        editor.blockSignals(True)  # it says so again when it goes
        self.commitData.emit(editor)
        self.closeEditor.emit(editor)


def _native(keys: str) -> str:
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
