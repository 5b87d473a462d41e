"""What the dialogs to export and to import labels share: rows of a form, and the classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPalette, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QWidget,
)

from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import ExchangeFormat
from mdlstm_core.formats.registry import format_names, load_format

FIRST_FORMAT = "indexed-png"


class FormatChoice(QComboBox):
    """Lists exchange formats with what each is, the default first."""

    def __init__(self, fits: Callable[[ExchangeFormat], bool]) -> None:
        """Take what says whether a format belongs into the list."""
        super().__init__()
        for name in sorted(format_names(), key=lambda name: (name != FIRST_FORMAT, name)):
            try:
                found = load_format(name)
            except InputError:
                continue  # another package's; the log says why it is broken
            if fits(found):
                self.addItem(f"{name} — {found.summary}", name)
                self.setItemData(self.count() - 1, found.summary, Qt.ItemDataRole.ToolTipRole)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(40)

    @property
    def name(self) -> str:
        """The name of the format chosen."""
        return str(self.currentData())


class PathRow(QWidget):
    """A field for a path, with buttons that open the platform's own dialog.

    Signals:
        changed: another path stands there.
    """

    changed = Signal()

    def __init__(self, placeholder: str, title: str, *, file: bool = False) -> None:
        """Offer a folder, and also a file if `file`; `title` heads the platform's dialog."""
        super().__init__()
        self._title = title
        self.field = QLineEdit()
        self.field.setPlaceholderText(placeholder)
        self.field.setAccessibleName(placeholder)
        self.field.editingFinished.connect(self._on_edited)
        self._said = ""
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.field, stretch=1)
        self._add(layout, "Folder …", self._ask_folder)
        if file:
            self._add(layout, "File …", self._ask_file)

    @property
    def path(self) -> Path | None:
        """The path that stands there."""
        text = self.field.text().strip()
        return Path(text).expanduser() if text else None

    def set_path(self, path: Path) -> None:
        """Put a path there."""
        self.field.setText(str(path))
        self._on_edited()

    def _add(self, layout: QHBoxLayout, text: str, slot: Callable[[], None]) -> None:
        button = QPushButton(text)
        button.setAutoDefault(False)
        button.clicked.connect(slot)
        layout.addWidget(button)

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, self._title, self.field.text())
        if name:
            self.set_path(Path(name))

    def _ask_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, self._title, self.field.text())
        if name:
            self.set_path(Path(name))

    def _on_edited(self) -> None:
        if self.field.text() != self._said:
            self._said = self.field.text()
            self.changed.emit()


class Notice(QLabel):
    """A line that says what is wrong, or what will happen."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setMinimumHeight(self.fontMetrics().lineSpacing() * 2)
        self.setAlignment(Qt.AlignmentFlag.AlignTop)

    def say(self, text: str) -> None:
        """Say something calmly."""
        self.setStyleSheet("")
        self.setText(text)

    def warn(self, text: str) -> None:
        """Say what must be mended; red that is read on light and on dark."""
        is_dark = self.palette().color(QPalette.ColorRole.Window).lightness() < 128
        self.setStyleSheet(f"color: {'#ff9a92' if is_dark else '#a8201a'};")
        self.setText(text)


def class_list(left: str, right: str) -> QTreeWidget:
    """Return an empty table of classes with two columns."""
    table = QTreeWidget()
    table.setHeaderLabels([left, right])
    table.setRootIsDecorated(False)
    table.setAlternatingRowColors(True)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setMinimumHeight(150)
    for column in (0, 1):
        table.header().setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
    return table


def swatch(color: tuple[int, int, int]) -> QIcon:
    """Return a square of a class's colour."""
    pixels = QPixmap(12, 12)
    pixels.fill(QColor(*color))
    return QIcon(pixels)


def heading(text: str) -> QLabel:
    """Return the line above a table."""
    label = QLabel(text)
    label.setContentsMargins(0, 8, 0, 0)
    return label


def buttons(text: str) -> tuple[QDialogButtonBox, QPushButton]:
    """Return a row of buttons with Cancel, and the one that does it."""
    box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
    box.button(QDialogButtonBox.StandardButton.Cancel).setAutoDefault(False)
    do = box.addButton(text, QDialogButtonBox.ButtonRole.ActionRole)
    do.setDefault(True)
    return box, do
