"""The panel of classes: choose, name, colour, order, hide, lock, merge, delete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QModelIndex, QPoint, QSize, Qt, Signal, SignalInstance
from PySide6.QtGui import QAction, QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.views.actions import CLASS_KEYS
from app.views.icons import icon
from app.views.panels.class_list import (
    Button,
    ClassDelegate,
    ClassListModel,
    ShownClass,
    swatch_icon,
)
from app.views.panels.hinting_list import HintingListView
from mdlstm_core.config import IGNORE_INDEX

_EMPTY = "No classes yet.\nOpen an image: the model brings its own. Or add one with +."
_FILES = "Lists of classes (*.txt *.json)"


class ClassesPanel(QWidget):
    """Shows the classes; the current one is painted with. It changes none itself.

    A class is named by its label, which stays when the order changes.

    Signals:
        class_chosen(int): paint with the class of this label.
        add_asked: make another class.
        rename_asked(int, str): of this label, to this name.
        recolor_asked(int, tuple[int, int, int]): of this label, to this colour.
        move_asked(int, int): of this label, to this place among the others, from 0.
        hide_asked(int, bool): of this label, whether to hide it.
        solo_changed(object): the one label to show, None for all that are not hidden.
        only_changed(object): the labels whose pixels alone are painted, None for all.
        lock_asked(int, bool): of this label, whether to lock it.
        merge_asked(int, int): pixels of the first label get the second; the first goes.
        delete_asked(int, object): of this label; its pixels get that label, None for none.
        import_asked(Path), export_asked(Path): of a list of classes.
    """

    class_chosen = Signal(int)
    add_asked = Signal()
    rename_asked = Signal(int, str)
    recolor_asked = Signal(int, object)
    move_asked = Signal(int, int)
    hide_asked = Signal(int, bool)
    solo_changed = Signal(object)
    only_changed = Signal(object)
    lock_asked = Signal(int, bool)
    merge_asked = Signal(int, int)
    delete_asked = Signal(int, object)
    import_asked = Signal(object)
    export_asked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = ClassListModel(self)
        self.list = HintingListView(_EMPTY)
        self.list.setAccessibleName("Classes")
        self.list.setModel(self.model)
        self._delegate = ClassDelegate(self.model, self.list)
        self.list.setItemDelegate(self._delegate)
        self.list.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        self.list.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self._buttons = QHBoxLayout()
        self._buttons.setContentsMargins(4, 2, 4, 4)
        self._buttons.setSpacing(2)
        self._layout = layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.list)
        layout.addLayout(self._buttons)
        self.menu: QMenu | None = None
        self._connect()

    def _connect(self) -> None:
        self.list.selectionModel().currentChanged.connect(self._on_current)
        self._delegate.pressed.connect(self._on_button)
        self.model.rename_asked.connect(self.rename_asked)
        self.model.move_asked.connect(self.move_asked)

    def add_start(self, start: QWidget) -> None:
        """Ask above the list what the classes begin with."""
        self._layout.insertWidget(0, start)

    def add_actions(self, buttons: Sequence[QAction], others: Sequence[QAction]) -> None:
        """Offer actions as small buttons, and these and others on a right click."""
        for action in buttons:
            button = QToolButton()
            button.setDefaultAction(action)
            button.setAutoRaise(True)
            button.setIconSize(QSize(18, 18))
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            self._buttons.addWidget(button)
        self._buttons.addStretch()
        self.list.addActions([*buttons, *others])

    @property
    def current(self) -> ShownClass | None:
        """The class that is painted with."""
        row = self.list.currentIndex().row()
        return self.model.classes[row] if 0 <= row < len(self.model.classes) else None

    def set_classes(self, classes: Sequence[ShownClass]) -> None:
        """List these classes; the chosen one stays chosen if it is still there."""
        chosen, row = self.current, max(self.list.currentIndex().row(), 0)
        solo = self.model.solo
        self.list.selectionModel().blockSignals(True)  # rows that come and go are no choice
        self.model.set_classes(classes)
        self.list.selectionModel().blockSignals(False)
        if chosen is not None:
            labels = [shown.label for shown in self.model.classes]
            row = labels.index(chosen.label) if chosen.label in labels else row
        self.choose(min(row, len(self.model.classes) - 1))
        self.list.viewport().update()
        gone = self.model.only - {shown.label for shown in classes} - {IGNORE_INDEX}
        if gone:
            self._set_only(self.model.only - gone)
        if self.model.solo != solo:
            self.solo_changed.emit(self.model.solo)

    def slots(self) -> dict[str, Callable[..., object]]:
        """Return what each action on classes calls."""
        return {
            **{f"class-{n}": partial(self.choose, n - 1) for n in CLASS_KEYS},
            "class-add": self.add_asked.emit,
            "class-rename": self.rename,
            "class-recolor": self.recolor,
            "class-merge": self.ask_merge,
            "class-delete": self.ask_delete,
            "class-hide": self.toggle_hidden,
            "class-solo": self.toggle_solo,
            "class-lock": self.toggle_locked,
            "class-only": self.toggle_only,
            "only-unlabeled": self.set_only_unlabeled,
            "class-import": self.ask_import,
            "class-export": self.ask_export,
        }

    def choose(self, row: int) -> None:
        """Choose a class by its place in the list, if there is one."""
        if 0 <= row < len(self.model.classes):
            self.list.setCurrentIndex(self.model.index(row))

    def choose_label(self, label: int) -> None:
        """Choose a class by its label, if there is one."""
        for row, shown in enumerate(self.model.classes):
            if shown.label == label:
                self.choose(row)

    def rename(self) -> None:
        """Let the user type another name for the current class."""
        if self.current is not None:
            self.list.edit(self.list.currentIndex())

    def recolor(self) -> None:
        """Let the user choose another colour for the current class."""
        shown = self.current
        if shown is None:
            return
        title = f"Colour of {shown.name}"
        color = QColorDialog.getColor(QColor(*shown.color), self, title)
        if color.isValid():
            self.recolor_asked.emit(shown.label, (color.red(), color.green(), color.blue()))

    def toggle_hidden(self) -> None:
        """Ask to hide the current class, or to show it."""
        if (shown := self.current) is not None:
            self.hide_asked.emit(shown.label, not shown.hidden)

    def toggle_solo(self) -> None:
        """Show the current class alone, or all of them again."""
        if (shown := self.current) is not None:
            self._set_solo(None if self.model.solo == shown.label else shown.label)

    def toggle_locked(self) -> None:
        """Ask to lock the current class, or to unlock it."""
        if (shown := self.current) is not None:
            self.lock_asked.emit(shown.label, not shown.locked)

    def toggle_only(self) -> None:
        """Paint only on the current class, besides others so chosen, or no longer only on it."""
        if (shown := self.current) is not None:
            self._set_only(self.model.only ^ {shown.label})

    def set_only_unlabeled(self, only: bool) -> None:
        """Paint only on pixels without a label, besides classes so chosen, or no longer."""
        unlabeled = frozenset({IGNORE_INDEX})
        self._set_only(self.model.only | unlabeled if only else self.model.only - unlabeled)

    def ask_merge(self) -> None:
        """Let the user say which class the current one becomes part of."""
        if (shown := self.current) is not None:
            menu = self._menu(f"Merge “{shown.name}” into")
            self._offer_others(menu, shown, self.merge_asked)
            self._pop_up(menu)

    def ask_delete(self) -> None:
        """Let the user say where the pixels of the current class go, and delete it."""
        if (shown := self.current) is not None:
            menu = self._menu(f"Delete “{shown.name}”: its pixels become")
            menu.addAction(icon("circle-off-outline"), "Unlabeled").triggered.connect(
                lambda: self.delete_asked.emit(shown.label, None)
            )
            self._offer_others(menu, shown, self.delete_asked)
            self._pop_up(menu)

    def ask_import(self) -> None:
        """Let the user choose a list of classes to read."""
        name, _ = QFileDialog.getOpenFileName(self, "Import classes", "", _FILES)
        if name:
            self.import_asked.emit(Path(name))

    def ask_export(self) -> None:
        """Let the user choose where to write the list of classes."""
        name, _ = QFileDialog.getSaveFileName(self, "Export classes", "classes.txt", _FILES)
        if name:
            self.export_asked.emit(Path(name))

    def _menu(self, title: str) -> QMenu:
        if self.menu is not None:
            self.menu.deleteLater()
        self.menu = QMenu(self)
        self.menu.addAction(title).setEnabled(False)
        self.menu.addSeparator()
        return self.menu

    def _offer_others(self, menu: QMenu, shown: ShownClass, chosen: SignalInstance) -> None:
        """Fill a menu with all classes but one; the signal takes that one and the chosen."""
        for other in self.model.classes:
            if other.label != shown.label:
                action = menu.addAction(swatch_icon(other.color, self.palette()), other.name)
                action.triggered.connect(partial(self._emit, chosen, shown.label, other.label))

    @staticmethod
    def _emit(chosen: SignalInstance, label: int, other: int, _checked: bool = False) -> None:
        chosen.emit(label, other)

    def _pop_up(self, menu: QMenu) -> None:
        """Show a menu beside the current class."""
        row = self.list.visualRect(self.list.currentIndex())
        menu.popup(self.list.viewport().mapToGlobal(row.bottomLeft() + QPoint(24, 0)))

    def _set_only(self, labels: frozenset[int]) -> None:
        self.model.set_only(labels)
        self.only_changed.emit(labels or None)

    def _set_solo(self, label: int | None) -> None:
        self.model.set_solo(label)
        self.solo_changed.emit(label)

    def _on_current(self, index: QModelIndex) -> None:
        if 0 <= index.row() < len(self.model.classes):
            self.class_chosen.emit(self.model.classes[index.row()].label)

    def _on_button(self, row: int, button: int, alt: bool) -> None:
        shown = self.model.classes[row]
        if button == Button.LOCK:
            self.lock_asked.emit(shown.label, not shown.locked)
        elif alt:
            self._set_solo(None if self.model.solo == shown.label else shown.label)
        elif self.model.solo is not None:
            self._set_solo(None)  # a plain click on an eye ends what Alt began
        else:
            self.hide_asked.emit(shown.label, not shown.hidden)
