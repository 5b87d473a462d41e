"""The list of the project's images."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget


class ImagesPanel(QListWidget):
    """Lists images by name.

    Signals:
        image_chosen(Path): the user wants to see an image.
    """

    image_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Images")
        self.setUniformItemSizes(True)
        # Letters are shortcuts (A and D step through the images), not a search.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._failures: dict[Path, str] = {}
        self._items: dict[Path, QListWidgetItem] = {}
        self.itemClicked.connect(self._on_clicked)

    def set_images(self, images: list[Path]) -> None:
        """List these images."""
        self.clear()
        self._items = {}
        for image in images:
            item = QListWidgetItem(image.name, self)
            item.setData(Qt.ItemDataRole.UserRole, image)
            self._items[image] = item
            self._show_failure(image)

    def set_current(self, image: Path | None) -> None:
        """Mark the image that is shown."""
        if image in self._items:
            self._failures.pop(image, None)
            self._show_failure(image)
            self.setCurrentItem(self._items[image])
        else:
            self.clearSelection()

    def mark_failed(self, image: Path, reason: str) -> None:
        """Keep an image that cannot be opened in the list, with the reason."""
        self._failures[image] = reason
        if image in self._items:
            self._show_failure(image)

    def _show_failure(self, image: Path) -> None:
        reason = self._failures.get(image)
        self._items[image].setText(f"⚠ {image.name}" if reason else image.name)
        self._items[image].setToolTip(reason or str(image))

    def _on_clicked(self, item: QListWidgetItem) -> None:
        self.image_chosen.emit(item.data(Qt.ItemDataRole.UserRole))
