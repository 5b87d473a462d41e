"""The panel of what a training changed: pixels by class, images, and what to do with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QIcon
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.document.changes import ChangedRegion
from app.views.panels.class_list import swatch_icon
from mdlstm_core.config import LabelClass

_EMPTY = "Nothing to compare yet. When the model has learned, what it changed is shown here."
_MOST_ROWS = 60


class ChangesPanel(QWidget):
    """Shows what changed; it changes nothing itself.

    Signals:
        image_chosen(Path): show this image.
    """

    image_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._classes: tuple[LabelClass, ...] = ()
        self._summary = QLabel(_EMPTY)
        self._summary.setWordWrap(True)
        self._region = QLabel()
        self._region.setWordWrap(True)
        self.counts = _table("Changed pixels by class", ("From", "To", "Pixels"))
        self.images = _table("Changed pixels by image", ("Image", "Pixels"))
        self.images.itemClicked.connect(self._on_image)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(2)
        layout = QVBoxLayout(self)
        layout.addWidget(self._summary)
        layout.addLayout(self._buttons)
        layout.addWidget(self._region)
        layout.addWidget(self.counts, stretch=2)
        layout.addWidget(self.images, stretch=1)
        self._paths: list[Path] = []

    def add_actions(self, actions: Sequence[QAction]) -> None:
        """Offer actions as buttons."""
        for action in actions:
            button = QToolButton()
            button.setDefaultAction(action)
            button.setAutoRaise(True)
            button.setIconSize(QSize(18, 18))
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            self._buttons.addWidget(button)
        self._buttons.addStretch()

    @property
    def summary(self) -> str:
        """What is said of all changes."""
        return self._summary.text()

    @property
    def region_text(self) -> str:
        """What is said of the region to look at."""
        return self._region.text()

    def set_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Take the names and colours of the labels."""
        self._classes = classes

    def show_changes(
        self,
        counts: Mapping[tuple[int, int], int],
        images: Sequence[tuple[Path, int]],
        compared: int | None,
        whole: int,
    ) -> None:
        """Show pixels by label before and after, and by image.

        Args:
            counts: pixels by label before and after.
            images: those on which something changed, with their pixels.
            compared: how many images were looked at; None if there is nothing to compare.
            whole: how many images the project has.
        """
        self.counts.clear()
        self.images.clear()
        if compared is None:
            self._summary.setText(_EMPTY)
            self.set_region(None, 0, 0)
            return
        total = sum(counts.values())
        looked = "1 image" if compared == 1 else f"{compared} images"
        rest = f", of {whole:,} in the project; those around the one shown come first"
        self._summary.setText(
            f"<b>{total:,} pixels</b> changed on {len(images)} of {looked} looked at so far"
            f"{rest if compared < whole else ''}."
            if compared
            else "Both models are looking at the images …"
        )
        for (before, after), pixels in list(counts.items())[:_MOST_ROWS]:
            item = QTreeWidgetItem([self._name(before), self._name(after), f"{pixels:,}"])
            for column, label in enumerate((before, after)):
                item.setIcon(column, self._swatch(label))
            item.setTextAlignment(2, Qt.AlignmentFlag.AlignRight)
            self.counts.addTopLevelItem(item)
        self._paths = [path for path, _ in images[:_MOST_ROWS]]
        for path, pixels in images[:_MOST_ROWS]:
            item = QTreeWidgetItem([path.name, f"{pixels:,}"])
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight)
            self.images.addTopLevelItem(item)

    def set_region(self, region: ChangedRegion | None, place: int, count: int) -> None:
        """Say which region is looked at, of how many on this image."""
        if region is None:
            self._region.setText(f"{count} regions to look at on this image." if count else "")
            return
        before, after = self._name(region.before), self._name(region.after)
        self._region.setText(
            f"{place + 1} of {count}: {before} → <b>{after}</b> · {region.pixels:,} px"
        )

    def _name(self, label: int) -> str:
        return self._classes[label].name if label < len(self._classes) else "no class"

    def _swatch(self, label: int) -> QIcon:
        color = self._classes[label].color if label < len(self._classes) else (128, 128, 128)
        return swatch_icon(color, self.palette())

    def _on_image(self, item: QTreeWidgetItem) -> None:
        self.image_chosen.emit(self._paths[self.images.indexOfTopLevelItem(item)])


def _table(name: str, columns: tuple[str, ...]) -> QTreeWidget:
    """Return a table that takes no focus, so that letters stay shortcuts."""
    table = QTreeWidget()
    table.setAccessibleName(name)
    table.setHeaderLabels(list(columns))
    table.setRootIsDecorated(False)
    table.setUniformRowHeights(True)
    table.setFrameShape(QTreeWidget.Shape.NoFrame)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    header = table.header()
    header.setStretchLastSection(False)
    for column in range(len(columns) - 1):
        header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
    header.setSectionResizeMode(len(columns) - 1, QHeaderView.ResizeMode.ResizeToContents)
    return table
