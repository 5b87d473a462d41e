"""The panel of the models that a project has had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.document.project_classes import ProjectClasses
from app.storage.changes import CheckpointRow
from app.views.icons import icon
from app.views.panels.figures_text import comparison_text, read_measured, short_text

if TYPE_CHECKING:
    from mdlstm_core.learning.figures import Figures

_EMPTY = "No models yet. Each one that the project learns is kept here."
_ORIGINS = {"start": "Start", "learned": "Learned", "imported": "Imported"}
_THUMBNAIL = QSize(72, 54)
_NUMBER = Qt.ItemDataRole.UserRole


class TimelinePanel(QWidget):
    """Lists checkpoints, the newest first, and offers what can be done with them.

    Signals:
        back_asked(int): let this checkpoint serve again.
        compare_asked(int, int): show what the second one changed against the first.
        export_asked(int): write this one as a model file.
        import_asked: take a model file in.
    """

    back_asked = Signal(int)
    compare_asked = Signal(int, int)
    export_asked = Signal(int)
    import_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: Mapping[int, CheckpointRow] = {}
        self._figures: Mapping[int, Figures | None] = {}
        self._icons: Mapping[bytes, QIcon] = {}
        self._serving: int | None = None
        self.list = QListWidget()
        self.list.setAccessibleName("Timeline of models")
        self.list.setIconSize(_THUMBNAIL)
        self.list.setFrameShape(QListWidget.Shape.NoFrame)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setWordWrap(True)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._hint = QLabel(_EMPTY)
        self._hint.setWordWrap(True)
        self._compared = QLabel()
        self._compared.setWordWrap(True)
        self._compared.hide()
        self.back = _button("history", "Back to this", "Let this model serve again; undoable")
        self.compare = _button(
            "compare", "Compare", "Choose two with Ctrl; or one, against the one that serves"
        )
        self.export = _button("export", "", "Write this model as a file …")
        self.import_ = _button("import", "", "Take in a model file …")
        self._lay_out()
        self.list.itemSelectionChanged.connect(self._on_selection)
        self.list.customContextMenuRequested.connect(self._pop_up)
        self.back.clicked.connect(lambda: self.back_asked.emit(self.selected[0]))
        self.compare.clicked.connect(self._ask_compare)
        self.export.clicked.connect(lambda: self.export_asked.emit(self.selected[0]))
        self.import_.clicked.connect(self.import_asked)
        self._on_selection()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(2)
        for button in (self.back, self.compare):
            buttons.addWidget(button)
        buttons.addStretch()
        for button in (self.export, self.import_):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(self._hint)
        layout.addWidget(self.list)
        layout.addWidget(self._compared)
        layout.addLayout(buttons)

    @property
    def selected(self) -> list[int]:
        """The numbers of the chosen checkpoints, oldest first."""
        return sorted(item.data(_NUMBER) for item in self.list.selectedItems())

    @property
    def comparison(self) -> str:
        """The figures of two checkpoints side by side, empty if none are compared."""
        return "" if self._compared.isHidden() else self._compared.text()

    def show_rows(
        self, rows: Sequence[CheckpointRow], serving: int | None, classes: ProjectClasses
    ) -> None:
        """List these checkpoints, oldest first, and mark the one that serves."""
        chosen = self.selected
        self._figures = {r.number: read_measured(r.figures, classes).figures for r in rows}
        self._rows, self._serving = {row.number: row for row in rows}, serving
        thumbnails = {row.thumbnail for row in rows}
        self._icons = {each: self._icons.get(each) or _icon(each) for each in thumbnails}
        self.list.clear()
        for row in reversed(rows):
            item = QListWidgetItem(self._icons[row.thumbnail], self._text(row))
            item.setData(_NUMBER, row.number)
            item.setToolTip(self._tip(row))
            if row.number == serving:
                font = item.font()
                font.setBold(True)
                item.setFont(font)
            self.list.addItem(item)
            item.setSelected(row.number in chosen)
        self._hint.setVisible(not rows)
        self.list.setVisible(bool(rows))
        if not set(chosen) <= set(self._rows):
            self._compared.hide()
        self._on_selection()

    def choose(self, *numbers: int) -> None:
        """Choose these checkpoints."""
        for item in (self.list.item(n) for n in range(self.list.count())):
            item.setSelected(item.data(_NUMBER) in numbers)

    def _text(self, row: CheckpointRow) -> str:
        serves = " · serves" if row.number == self._serving else ""
        origin = _ORIGINS.get(row.origin, row.origin)
        strokes = "1 stroke" if row.strokes == 1 else f"{row.strokes} strokes"
        learned = f" from {strokes}" if row.origin == "learned" and row.strokes else ""
        figures = short_text(self._figures[row.number])
        lines = [f"{local_time(row.created)}{serves}", f"{origin}{learned}"]
        return "\n".join([*lines, figures] if figures else lines)

    def _tip(self, row: CheckpointRow) -> str:
        digest = f", strokes {row.strokes_hash[:12]}" if row.strokes_hash else ""
        return f"Model {row.number}, {row.size / 2**20:.1f} MB{digest}"

    def _on_selection(self) -> None:
        chosen = self.selected
        self.back.setEnabled(len(chosen) == 1 and chosen[0] != self._serving)
        self.export.setEnabled(len(chosen) == 1)
        self.compare.setEnabled(
            len(chosen) == 2 or (len(chosen) == 1 and self._serving not in (None, chosen[0]))
        )

    def _ask_compare(self) -> None:
        chosen = self.selected
        if len(chosen) == 1 and self._serving is not None:
            chosen = sorted([*chosen, self._serving])
        first, second = (self._rows[number] for number in chosen)
        names = [local_time(row.created) for row in (first, second)]
        text = comparison_text(names, *(self._figures[number] for number in chosen))
        self._compared.setText(text)
        self._compared.show()
        self.compare_asked.emit(first.number, second.number)

    def _pop_up(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for button in (self.back, self.compare, self.export, self.import_):
            action = menu.addAction(button.icon(), button.text() or button.toolTip(), button.click)
            action.setEnabled(button.isEnabled())
        menu.popup(self.cursor().pos())


def local_time(created: str) -> str:
    """Return a time in UTC, as it is stored, as the clock here shows it."""
    try:
        stored = datetime.strptime(created, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return created
    return stored.astimezone().strftime("%d %b %H:%M:%S")


def _icon(thumbnail: bytes) -> QIcon:
    """Return a row's picture; all take the same room, so that the texts stand in line."""
    room = QPixmap(_THUMBNAIL)
    room.fill(Qt.GlobalColor.transparent)
    picture = QPixmap()
    if thumbnail and picture.loadFromData(thumbnail, "PNG"):
        fitted = picture.scaled(_THUMBNAIL, Qt.AspectRatioMode.KeepAspectRatio)
        place = fitted.rect()
        place.moveCenter(room.rect().center())
        painter = QPainter(room)
        painter.drawPixmap(place, fitted)
        painter.end()
    return QIcon(room)


def _button(glyph: str, text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon(glyph))
    button.setText(text)
    button.setToolTip(tip)
    button.setAutoRaise(True)
    if text:
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button
