"""The images as a model of rows, filtered, and how a row is drawn."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Literal

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Slot,
)
from PySide6.QtGui import QColor, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.views.icons import glyph, paint_glyph
from app.views.panels.thumbnails import Thumbnails

ImageStatus = Literal["new", "started", "done"]
Shown = Literal["all", "new", "started", "done", "failed"]
"""Which images the list shows."""

_THUMBNAIL = QSize(60, 45)
_MARGIN = 6
_MARK = 16


class Role(IntEnum):
    """What a row knows besides its name."""

    PATH = Qt.ItemDataRole.UserRole
    STATUS = Qt.ItemDataRole.UserRole + 1


class ImageListModel(QAbstractListModel):
    """The images that pass the filter, with thumbnail, status and the reason of a failure."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        side = round(_THUMBNAIL.width() * parent.devicePixelRatioF())
        self.thumbnails = Thumbnails(side, self)
        self.thumbnails.made.connect(self.refresh)
        self._images: list[Path] = []
        self._shown: list[Path] = []
        self._rows: dict[Path, int] = {}
        self._failures: dict[Path, str] = {}
        self._status_of: Callable[[Path], ImageStatus] = lambda _: "new"
        self._wanted: Shown = "all"
        self._words: list[str] = []

    @property
    def images(self) -> list[Path]:
        """All images, in order."""
        return self._images

    @property
    def shown(self) -> list[Path]:
        """The images that pass the filter, in order."""
        return self._shown

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        """Return the number of images shown."""
        return 0 if parent is not None and parent.isValid() else len(self._shown)

    def data(
        self,
        index: QModelIndex | QPersistentModelIndex,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> object:
        """Return what is known of a row; a thumbnail that is missing is made."""
        if not 0 <= index.row() < len(self._shown):
            return None
        path = self._shown[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return path.name
        if role == Qt.ItemDataRole.DecorationRole:
            return self.thumbnails.get(path)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._failures.get(path) or f"{path}\n{self.status(path).capitalize()}"
        if role == Role.PATH:
            return path
        if role == Role.STATUS:
            return self.status(path)
        return None

    def set_images(self, images: list[Path]) -> None:
        """Take other images."""
        self._images = list(images)
        self._filter()

    def set_status_source(self, status_of: Callable[[Path], ImageStatus]) -> None:
        """Ask this for the status of an image from now on."""
        self._status_of = status_of
        self._filter()

    def set_filter(self, wanted: Shown, typed: str) -> None:
        """Show images of a status whose names have every word that was typed."""
        self._wanted, self._words = wanted, typed.lower().split()
        self._filter()

    def set_failure(self, image: Path, reason: str | None) -> None:
        """Take why an image cannot be opened, or that it can."""
        if self._failures.get(image) == reason:
            return
        if reason is None:
            del self._failures[image]
            self.thumbnails.forget(image)
        else:
            self._failures[image] = reason
        self.refresh(image)

    def status(self, image: Path) -> Shown:
        """Return the status of an image."""
        return "failed" if image in self._failures else self._status_of(image)

    def row(self, image: Path | None) -> int:
        """Return the row of an image, -1 if it is not shown."""
        return -1 if image is None else self._rows.get(image, -1)

    @Slot(object)
    def refresh(self, image: Path) -> None:
        """Draw an image's row again."""
        if (row := self.row(image)) >= 0:
            self.dataChanged.emit(self.index(row), self.index(row))

    def _filter(self) -> None:
        self.beginResetModel()
        self._shown = [path for path in self._images if self._passes(path)]
        self._rows = {path: row for row, path in enumerate(self._shown)}
        self.endResetModel()

    def _passes(self, image: Path) -> bool:
        if self._words:
            name = image.name.lower()
            if not all(word in name for word in self._words):
                return False
        return self._wanted == "all" or self.status(image) == self._wanted


class ImageDelegate(QStyledItemDelegate):
    """Draws a row: thumbnail, name, and a mark of the status that differs in shape too."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._marks = {
            "new": (glyph("circle-outline"), QColor(128, 134, 144)),
            "started": (glyph("circle-half-full"), QColor(214, 137, 16)),
            "done": (glyph("check-circle"), QColor(34, 150, 94)),
            "failed": (glyph("alert"), QColor(214, 72, 50)),
        }
        self._no_picture = glyph("image-outline")
        self._broken = glyph("image-broken-variant")

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        """Return the same for every row."""
        return QSize(160, _THUMBNAIL.height() + _MARGIN)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Draw one row."""
        area: QRect = option.rect
        palette: QPalette = option.palette
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if selected:
            painter.fillRect(area, palette.highlight())
        picture_area = QRect(area.topLeft(), _THUMBNAIL).translated(_MARGIN, _MARGIN // 2)
        self._paint_picture(
            painter, picture_area, index.data(Qt.ItemDataRole.DecorationRole), palette
        )
        mark_area = QRect(0, 0, _MARK, _MARK)
        mark_area.moveCenter(area.center())
        mark_area.moveRight(area.right() - _MARGIN)
        character, color = self._marks[index.data(Role.STATUS)]
        text_color = palette.highlightedText().color() if selected else palette.text().color()
        paint_glyph(painter, mark_area, character, text_color if selected else color)
        left = picture_area.right() + _MARGIN + 2
        text_area = QRect(left, area.top(), mark_area.left() - _MARGIN - left, area.height())
        name = option.fontMetrics.elidedText(
            str(index.data()), Qt.TextElideMode.ElideMiddle, text_area.width()
        )
        painter.setPen(text_color)
        painter.drawText(
            text_area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, name
        )

    def _paint_picture(
        self, painter: QPainter, area: QRect, picture: QPixmap | None, palette: QPalette
    ) -> None:
        if picture is None or picture.isNull():
            middle = QRect(0, 0, 24, 24)
            middle.moveCenter(area.center())
            shown = self._no_picture if picture is None else self._broken
            paint_glyph(painter, middle, shown, palette.placeholderText().color())
            return
        size = picture.size().scaled(area.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(area.topLeft(), size)
        place.moveCenter(area.center())
        painter.drawPixmap(place, picture)
