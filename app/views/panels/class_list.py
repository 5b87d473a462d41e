"""The classes as a model of rows, and how a row is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QEvent,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QIcon, QMouseEvent, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import QLineEdit, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.views.icons import glyph, paint_glyph

_MIME = "application/x-mdlstm-class-row"
_ROW_HEIGHT = 30
_SWATCH = 18
_BUTTON = 20
_MARGIN = 6
_DIGIT = 12

Index = QModelIndex | QPersistentModelIndex


class ShownClass(Protocol):
    """What the panel shows of a class; `app.document` has such objects."""

    @property
    def label(self) -> int:
        """What stands for the class in label maps."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    @property
    def color(self) -> tuple[int, int, int]:
        """Red, green, blue, 0 to 255."""

    @property
    def hidden(self) -> bool:
        """Whether its pixels are not shown."""

    @property
    def locked(self) -> bool:
        """Whether no tool changes its pixels."""


class ClassRow(NamedTuple):
    """A class that is only shown."""

    label: int
    name: str
    color: tuple[int, int, int]
    hidden: bool = False
    locked: bool = False


class ClassListModel(QAbstractListModel):
    """The classes in their order; it changes nothing itself, but says what is asked for.

    Signals:
        rename_asked(int, str): give the class of a label another name.
        move_asked(int, int): show the class of a label at another place, counted from 0
            among the others.
    """

    rename_asked = Signal(int, str)
    move_asked = Signal(int, int)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.classes: tuple[ShownClass, ...] = ()
        self.solo: int | None = None
        self.only: frozenset[int] = frozenset()

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of classes."""
        return 0 if parent is not None and parent.isValid() else len(self.classes)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Return what is known of a row."""
        if not 0 <= index.row() < len(self.classes):
            return None
        shown = self.classes[index.row()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return shown.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{shown.name}: click to paint it, double-click to rename it"
        return None

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Ask for another name; it shows when the classes come back with it."""
        shown, name = self.classes[index.row()], str(value).strip()
        if name and name != shown.name:
            self.rename_asked.emit(shown.label, name)
        return False

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Rows can be chosen, renamed and dragged; between them something can be dropped."""
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        return (
            Qt.ItemFlag.ItemIsEnabled
            | Qt.ItemFlag.ItemIsSelectable
            | Qt.ItemFlag.ItemIsEditable
            | Qt.ItemFlag.ItemIsDragEnabled
        )

    def supportedDropActions(self) -> Qt.DropAction:
        """Rows are moved."""
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        """Return the one kind of thing that can be dropped: a row."""
        return [_MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """Return the row that is dragged."""
        carried = QMimeData()
        carried.setData(_MIME, str(indexes[0].row()).encode())
        return carried

    def dropMimeData(
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index
    ) -> bool:
        """Ask for another order; the view removes nothing, as this answers no."""
        if data.hasFormat(_MIME):
            source = int(bytes(data.data(_MIME).data()).decode())
            target = row if row >= 0 else len(self.classes)
            target -= target > source  # its own row is gone by then
            if target != source:
                self.move_asked.emit(self.classes[source].label, target)
        return False

    def set_classes(self, classes: Sequence[ShownClass]) -> None:
        """Show these classes."""
        self.beginResetModel()
        self.classes = tuple(classes)
        if all(shown.label != self.solo for shown in self.classes):
            self.solo = None
        self.endResetModel()

    def set_solo(self, label: int | None) -> None:
        """Mark the class that is shown alone."""
        self.solo = label
        self.dataChanged.emit(self.index(0), self.index(len(self.classes) - 1))

    def set_only(self, labels: frozenset[int]) -> None:
        """Mark the classes whose pixels alone are painted."""
        self.only = labels
        self.dataChanged.emit(self.index(0), self.index(len(self.classes) - 1))

    def is_visible(self, shown: ShownClass) -> bool:
        """Say whether a class's pixels are shown."""
        return not shown.hidden if self.solo is None else shown.label == self.solo


class Button(IntEnum):
    """The buttons in a row, from the right."""

    EYE = 0
    LOCK = 1


class ClassDelegate(QStyledItemDelegate):
    """Draws a row: swatch, digit, name, lock and eye; the last two are buttons.

    Signals:
        pressed(int, int, bool): the row, the `Button`, and whether Alt was held.
    """

    pressed = Signal(int, int, bool)

    def __init__(self, model: ClassListModel, parent: QObject) -> None:
        super().__init__(parent)
        self._model = model
        self._target = glyph("target")
        self._glyphs = {
            (Button.EYE, True): glyph("eye-outline"),
            (Button.EYE, False): glyph("eye-off-outline"),
            (Button.LOCK, True): glyph("lock"),
            (Button.LOCK, False): glyph("lock-open-variant-outline"),
        }

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Return the same for every row."""
        return QSize(120, max(_ROW_HEIGHT, option.fontMetrics.height() + 8))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw one row."""
        area, palette = option.rect, option.palette
        shown = self._model.classes[index.row()]
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if selected:
            painter.fillRect(area, palette.highlight())
        text = palette.highlightedText().color() if selected else palette.text().color()
        faint = text if selected else palette.placeholderText().color()
        swatch = QRect(0, 0, _SWATCH, _SWATCH)
        swatch.moveCenter(area.center())
        swatch.moveLeft(area.left() + _MARGIN + 2)
        _paint_swatch(painter, swatch, QColor(*shown.color), palette)
        if shown.label in self._model.only:
            dark = QColor(*shown.color).lightness() < 128
            mark = QColor(Qt.GlobalColor.white if dark else Qt.GlobalColor.black)
            paint_glyph(painter, swatch, self._target, mark)
        painter.setPen(faint)
        digit = QRect(swatch.right() + _MARGIN, area.top(), _DIGIT, area.height())
        painter.drawText(digit, Qt.AlignmentFlag.AlignCenter, digit_of(index.row()))
        visible = self._model.is_visible(shown)
        self._paint_name(painter, option, index, text if visible else faint)
        for button, on in ((Button.EYE, visible), (Button.LOCK, shown.locked)):
            color = QColor(text if on == (button is Button.LOCK) else faint)
            if button is Button.LOCK and not on:
                color.setAlphaF(0.45)
            paint_glyph(painter, button_area(area, button), self._glyphs[button, on], color)

    def _paint_name(
        self, painter: QPainter, option: QStyleOptionViewItem, index: Index, color: QColor
    ) -> None:
        area = _name_area(option.rect)
        painter.setPen(color)
        name = option.fontMetrics.elidedText(
            str(index.data()), Qt.TextElideMode.ElideRight, area.width()
        )
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, name)

    def editorEvent(
        self,
        event: QEvent,
        model: QAbstractItemModel,
        option: QStyleOptionViewItem,
        index: Index,
    ) -> bool:
        """Press a button of the row."""
        kinds = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick)
        if not isinstance(event, QMouseEvent) or event.type() not in kinds:
            return False
        for button in Button:
            if button_area(option.rect, button).contains(event.position().toPoint()):
                alt = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
                self.pressed.emit(index.row(), int(button), alt)
                return True
        return False

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        """Return a field for another name."""
        editor = QLineEdit(parent)
        editor.setMaxLength(100)
        return editor

    def updateEditorGeometry(
        self, editor: QWidget, option: QStyleOptionViewItem, index: Index
    ) -> None:
        """Put the field where the name stands."""
        editor.setGeometry(_name_area(option.rect).adjusted(-4, 2, 0, -2))


def digit_of(row: int) -> str:
    """Return the digit that chooses the class of a row, empty if none does."""
    return str((row + 1) % 10) if row < 10 else ""


def button_area(row: QRect, button: Button) -> QRect:
    """Return where a button lies in a row."""
    area = QRect(0, 0, _BUTTON, _BUTTON)
    area.moveCenter(row.center())
    area.moveRight(row.right() - _MARGIN - button * (_BUTTON + 4))
    return area


def swatch_icon(color: tuple[int, int, int], palette: QPalette) -> QIcon:
    """Return a class's colour as an icon for menus."""
    picture = QPixmap(2 * _SWATCH, 2 * _SWATCH)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    _paint_swatch(painter, picture.rect().adjusted(2, 2, -2, -2), QColor(*color), palette)
    painter.end()
    return QIcon(picture)


def _paint_swatch(painter: QPainter, area: QRect, color: QColor, palette: QPalette) -> None:
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(palette.mid().color())  # a swatch of the ground's colour is seen, too
    painter.setBrush(color)
    painter.drawRoundedRect(area, 4, 4)
    painter.restore()


def _name_area(row: QRect) -> QRect:
    left = row.left() + _MARGIN + 2 + _SWATCH + _MARGIN + _DIGIT + _MARGIN
    right = button_area(row, Button.LOCK).left() - _MARGIN
    return QRect(left, row.top(), right - left, row.height())
