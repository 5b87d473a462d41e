"""The units of the last layer that count most for a class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QWidget

from app.views.insight.contribution_bars import signed
from app.views.insight.words import ARROWS, DIRECTION_COLORS
from mdlstm_core.config import DIRECTIONS

_MOST = 10


class UnitsList(QWidget):
    """What the units of all directions add to a logit, the largest first.

    Signals:
        chosen(int, int): the user clicked a unit of a direction, both from 0.
    """

    chosen = Signal(int, int)

    def __init__(self) -> None:
        super().__init__()
        self._found: list[tuple[int, int, float]] = []
        self._rest = 0.0

    def set_units(self, units_DH: NDArray[np.float64]) -> None:
        """Show the summands of one class, a row for each direction."""
        order = np.argsort(-np.abs(units_DH), axis=None)[:_MOST]
        places = np.stack(np.unravel_index(order, units_DH.shape), axis=1).tolist()
        self._found = [(d, u, float(units_DH[d, u])) for d, u in places]
        self._rest = float(units_DH.sum()) - sum(value for _, _, value in self._found)
        self.setMinimumHeight(self.sizeHint().height())
        self.update()

    @property
    def units(self) -> list[tuple[int, int, float]]:
        """Direction, unit and summand of those shown, the largest first."""
        return self._found

    @property
    def _line(self) -> int:
        return self.fontMetrics().height() + 3

    def sizeHint(self) -> QSize:
        """Room for a line for each, and one for the rest."""
        return QSize(200, (len(self._found) + 1) * self._line)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw a line for each unit."""
        painter = QPainter(self)
        metrics = self.fontMetrics()
        left = metrics.horizontalAdvance("↘ unit 999 ")
        right = metrics.horizontalAdvance("−9.99") + 4
        most = max((abs(value) for _, _, value in self._found), default=1.0)
        zero = left + (self.width() - left - right) / 2
        scale = (self.width() - left - right) / 2 / most
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        for index, (direction, unit, value) in enumerate(self._found):
            place = QRect(0, index * self._line, self.width() - 2, self._line)
            text = f"{ARROWS[DIRECTIONS[direction]]} unit {unit + 1}"
            painter.drawText(place, middle | Qt.AlignmentFlag.AlignLeft, text)
            painter.drawText(place, middle | Qt.AlignmentFlag.AlignRight, signed(value))
            box = QRectF(zero, place.top() + 4, value * scale, place.height() - 8).normalized()
            painter.fillRect(box, QColor(DIRECTION_COLORS[direction]))
        place = QRect(0, len(self._found) * self._line, self.width() - 2, self._line)
        painter.drawText(place, middle | Qt.AlignmentFlag.AlignLeft, "all other units")
        painter.drawText(place, middle | Qt.AlignmentFlag.AlignRight, signed(self._rest))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the unit that is clicked."""
        row = int(event.position().y()) // self._line
        if 0 <= row < len(self._found):
            direction, unit, _ = self._found[row]
            self.chosen.emit(direction, unit)
