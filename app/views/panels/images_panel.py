"""The panel of the project's images: search, filter, step, open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QModelIndex, Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from app.views.icons import icon
from app.views.panels.hinting_list import HintingListView
from app.views.panels.image_list import ImageDelegate, ImageListModel, ImageStatus, Role, Shown

_EMPTY = "No images yet.\nDrop a folder here, or open one with Ctrl+Shift+O."
_NO_MATCH = "No image matches.\nClear the search, or show all."
_FILTERS: tuple[tuple[str, Shown], ...] = (
    ("All", "all"),
    ("New", "new"),
    ("Started", "started"),
    ("Done", "done"),
    ("Failed", "failed"),
)


class ImagesPanel(QWidget):
    """Lists images with thumbnail and status.

    Signals:
        image_chosen(Path): the user wants to see an image.
        left: the user is done with the search field.
        done_asked(bool): mark the image that is shown as done, or take the mark back.
    """

    image_chosen = Signal(object)
    left = Signal()
    done_asked = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search")
        self.search.setAccessibleName("Search images")
        self.search.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # letters are shortcuts at first
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icon("magnify"), QLineEdit.ActionPosition.LeadingPosition)
        self.filter = QComboBox()
        self.filter.setAccessibleName("Show images")
        self.filter.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        for text, shown in _FILTERS:
            self.filter.addItem(text, shown)
        self.model = ImageListModel(self)
        self.list = HintingListView(_EMPTY)
        self.list.setAccessibleName("Images")
        self.list.setModel(self.model)
        self.list.setItemDelegate(ImageDelegate(self.list))
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self._count = QLabel()
        self._current: Path | None = None
        self._lay_out()
        self._connect()
        self._show_count()

    def _lay_out(self) -> None:
        above = QHBoxLayout()
        above.addWidget(self.search, stretch=1)
        above.addWidget(self.filter)
        above.setContentsMargins(6, 6, 6, 2)
        self._count.setContentsMargins(8, 2, 8, 4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(above)
        layout.addWidget(self.list)
        layout.addWidget(self._count)

    def _connect(self) -> None:
        self.search.textChanged.connect(self._on_filter)
        self.search.returnPressed.connect(self._choose_first)
        self.filter.currentIndexChanged.connect(self._on_filter)
        self.list.clicked.connect(self._on_clicked)

    @property
    def current(self) -> Path | None:
        """The image that is shown, or is about to be."""
        return self._current

    def set_images(self, images: list[Path]) -> None:
        """List these images."""
        self.model.set_images(images)
        self._select()
        self._show_count()

    def set_status_source(self, status_of: Callable[[Path], ImageStatus]) -> None:
        """Ask this for the status of an image from now on."""
        self.model.set_status_source(status_of)

    def refresh_status(self, image: Path) -> None:
        """Draw an image's status again."""
        self.model.refresh(image)

    def set_current(self, image: Path | None) -> None:
        """Mark the image that is shown."""
        self._current = image
        if image is not None:
            self.model.set_failure(image, None)
        self._select()

    def mark_failed(self, image: Path, reason: str) -> None:
        """Keep an image that cannot be opened in the list, with the reason."""
        self.model.set_failure(image, reason)

    def step(self, step: int) -> None:
        """Choose the image before (-1) or after (1) the current one in the list.

        What could not be opened is passed over.
        """
        row = self.model.row(self._current)
        shown = self.model.shown
        if row < 0:  # filtered away: the list begins anew
            row = -1 if step > 0 else len(shown)
        row += step
        while 0 <= row < len(shown) and self.model.status(shown[row]) == "failed":
            row += step
        if 0 <= row < len(shown):
            self._choose(shown[row])

    def ask_done(self) -> None:
        """Ask to mark the current image as done, or to take the mark back."""
        if self._current is not None:
            self.done_asked.emit(self.model.status(self._current) != "done")

    def begin_search(self) -> None:
        """Let the user type what to search for."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def stop(self) -> None:
        """End the thread that makes thumbnails."""
        self.model.thumbnails.stop()

    def _choose(self, image: Path) -> None:
        self._current = image
        self._select()
        self.image_chosen.emit(image)

    def _select(self) -> None:
        row = self.model.row(self._current)
        if row < 0:
            self.list.setCurrentIndex(QModelIndex())
            return
        index = self.model.index(row)
        self.list.setCurrentIndex(index)
        self.list.scrollTo(index)

    def _show_count(self) -> None:
        shown, everything = len(self.model.shown), len(self.model.images)
        self.list.hint = _NO_MATCH if everything else _EMPTY
        self._count.setVisible(bool(everything))
        self._count.setText(f"{shown:,} of {everything:,}" if shown < everything else f"{shown:,}")
        self._count.setToolTip("Images shown, of all in this project")

    @Slot()
    def _on_filter(self) -> None:
        self.model.set_filter(self.filter.currentData(), self.search.text())
        self._select()
        self._show_count()

    def _choose_first(self) -> None:
        if self.model.shown:
            self._choose(self.model.shown[0])
        self.left.emit()

    def _on_clicked(self, index: QModelIndex) -> None:
        self._choose(index.data(Role.PATH))
