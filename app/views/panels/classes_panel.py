"""The list of classes with their colours."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from mdlstm_core.config import LabelClass

_SWATCH = 18


class ClassesPanel(QListWidget):
    """Shows the classes; the current one is painted with.

    Signals:
        class_chosen(int): the user wants to paint another class.
    """

    class_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Classes")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.currentRowChanged.connect(self._on_row_changed)

    def set_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """List these classes; the chosen one stays chosen if it is still there."""
        chosen = max(self.currentRow(), 0)
        self.blockSignals(True)  # rows that come and go are no choice of the user
        self.clear()
        for index, label_class in enumerate(classes):
            swatch = QPixmap(_SWATCH, _SWATCH)
            swatch.fill(QColor(*label_class.color))
            key = f"{index + 1}  " if index < 9 else ""
            item = QListWidgetItem(QIcon(swatch), f"{key}{label_class.name}", self)
            item.setData(Qt.ItemDataRole.ToolTipRole, f"Paint {label_class.name}")
        self.blockSignals(False)
        self.setCurrentRow(min(chosen, len(classes) - 1))

    def choose(self, index: int) -> None:
        """Choose a class by its index, if there is one."""
        if index < self.count():
            self.setCurrentRow(index)

    def _on_row_changed(self, row: int) -> None:
        if row >= 0:
            self.class_chosen.emit(row)
