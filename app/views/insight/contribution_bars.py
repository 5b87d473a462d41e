"""A pixel's logits as bars: what each direction adds, and that it sums to the logit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QWidget

from app.views.insight.words import BIAS_COLOR, DIRECTION_COLORS, FINE_COLOR
from mdlstm_core.config import LabelClass

if TYPE_CHECKING:
    from mdlstm_core.insight.contributions import Contributions

PART_COLORS = (*DIRECTION_COLORS, FINE_COLOR, BIAS_COLOR)
"""Of the four directions, the fine path and the bias."""


def parts_of(found: Contributions) -> NDArray[np.float64]:
    """Return all summands of each class's logit, K×6, in the order of `PART_COLORS`."""
    columns = [*found.by_direction.T, found.fine_K, found.bias_K]
    return np.stack(columns, axis=1)


def signed(value: float) -> str:
    """Return a number with its sign, two digits after the point."""
    return f"{value:+.2f}".replace("-", "−")


class ContributionBars(QWidget):
    """A bar for each class, the most probable first; parts below 0 lead to the left.

    Signals:
        chosen(int): the user clicked the class of this index.
    """

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._parts: NDArray[np.float64] = np.zeros((0, len(PART_COLORS)))
        self._classes: Sequence[LabelClass] = ()
        self._changes: Mapping[str, float] = {}
        self._order: list[int] = []
        self._marked = -1
        self.setMinimumWidth(180)

    def set_parts(
        self,
        parts: NDArray[np.float64],
        classes: Sequence[LabelClass],
        changes: Mapping[str, float],
        marked: int,
    ) -> None:
        """Show the summands K×6 of the classes' logits.

        Args:
            parts: see `parts_of`.
            classes: whose logits.
            changes: by how much the logit of a class changed, by its name.
            marked: the class that is chosen.
        """
        self._parts, self._classes, self._changes = parts, classes, changes
        self._order = np.argsort(-parts.sum(axis=1), kind="stable").tolist()
        self._marked = marked
        self.setMinimumHeight(self.sizeHint().height())
        self.updateGeometry()
        self.update()

    @property
    def order(self) -> list[int]:
        """The classes from top to bottom."""
        return self._order

    def row(self, class_index: int) -> QRect:
        """Return where a class stands."""
        return QRect(0, self._order.index(class_index) * self._line, self.width(), self._line)

    @property
    def _line(self) -> int:
        return self.fontMetrics().height() + 5

    def sizeHint(self) -> QSize:
        """Room for all classes."""
        return QSize(240, len(self._order) * self._line)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw a line for each class."""
        painter = QPainter(self)
        above = np.where(self._parts > 0, self._parts, 0).sum(axis=1).max(initial=1e-9)
        below = -np.where(self._parts < 0, self._parts, 0).sum(axis=1).min(initial=-1e-9)
        metrics = self.fontMetrics()
        left = min(metrics.horizontalAdvance("foreground") + 20, self.width() // 3)
        right = metrics.horizontalAdvance("−99.99") + 6
        if self._changes:
            right *= 2
        room = QRectF(left, 0, max(self.width() - left - right, 10), 0)
        scale = room.width() / (above + below)
        zero = room.left() + below * scale
        for index in self._order:
            self._paint_row(painter, index, left, right, zero, scale)
        painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
        painter.drawLine(QPointF(zero, 0), QPointF(zero, len(self._order) * self._line))
        painter.end()

    def _paint_row(
        self, painter: QPainter, index: int, left: int, right: int, zero: float, scale: float
    ) -> None:
        place, found = self.row(index), self._classes[index]
        text = self.palette().color(QPalette.ColorRole.WindowText)
        if index == self._marked:
            shade = self.palette().color(QPalette.ColorRole.Highlight)
            shade.setAlphaF(0.18)
            painter.fillRect(place, shade)
        chip = QRect(2, place.top() + 5, 10, place.height() - 10)
        painter.fillRect(chip, QColor(*found.color))
        painter.setPen(text)
        middle = Qt.AlignmentFlag.AlignVCenter
        metrics = self.fontMetrics()
        name = metrics.elidedText(found.name, Qt.TextElideMode.ElideRight, left - 20)
        painter.drawText(place.adjusted(16, 0, 0, 0), middle | Qt.AlignmentFlag.AlignLeft, name)
        self._paint_parts(painter, index, place, zero, scale)
        logit = float(self._parts[index].sum())
        x = zero + logit * scale
        painter.setPen(QPen(text, 2))
        painter.drawLine(QPointF(x, place.top() + 2), QPointF(x, place.bottom() - 1))
        numbers = QRect(place.right() - right, place.top(), right - 2, place.height())
        side = middle | Qt.AlignmentFlag.AlignRight
        change = self._changes.get(found.name)
        if self._changes:
            if change is not None:
                color = QColor("#2e9e5b" if change > 0 else "#d0453b")
                painter.setPen(color if abs(change) >= 0.005 else text)
                painter.drawText(numbers, side, signed(change))
            numbers.setRight(numbers.right() - right // 2)
        painter.setPen(text)
        painter.drawText(numbers, side, signed(logit))

    def _paint_parts(
        self, painter: QPainter, index: int, place: QRect, zero: float, scale: float
    ) -> None:
        ends = {1: zero, -1: zero}
        for value, color in zip(self._parts[index].tolist(), PART_COLORS, strict=True):
            side = 1 if value > 0 else -1
            begin, ends[side] = ends[side], ends[side] + value * scale
            box = QRectF(begin, place.top() + 4, value * scale, place.height() - 8).normalized()
            painter.fillRect(box, QColor(color))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the class that is clicked."""
        row = int(event.position().y()) // self._line
        if 0 <= row < len(self._order):
            self.chosen.emit(self._order[row])
