"""All maps of a layer, small: a row for each state, a column for each direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.views.insight.pictures import picture_of
from app.views.insight.shown_map import shown_gate
from app.views.insight.words import ARROWS, SHORT_NAMES, STATE_NAMES
from mdlstm_core.config import DIRECTIONS
from mdlstm_core.insight.drawing import is_signed, scale_of
from mdlstm_core.insight.queries import GateQuery

if TYPE_CHECKING:
    from mdlstm_core.insight.gates import GateMap

_GAP = 3


class ContactSheet(QWidget):
    """Small maps; the directions of a state share one scale, so that they can be compared.

    Signals:
        chosen(int, str): the user clicked the map of a direction and a state.
    """

    chosen = Signal(int, str)

    def __init__(self) -> None:
        super().__init__()
        self._pictures: dict[tuple[int, str], QImage] = {}
        self._aspect = 0.75
        self._query: GateQuery | None = None
        self._marked = -1, ""
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMouseTracking(True)

    def set_maps(self, maps: Sequence[GateMap], query: GateQuery) -> None:
        """Show all maps of the query's layer and units."""
        self._query = _sheet_of(query)
        rows, columns = maps[0].values.shape[:2]
        height, width = maps[0].cell_pixels
        self._aspect = min(rows * height / (columns * width), 1.5)
        for state in STATE_NAMES:
            of_state = [found for found in maps if found.query.gate == state]
            signed = is_signed(state) or bool(of_state[0].shares)
            scale = scale_of([found.values for found in of_state], signed=signed)
            for found in of_state:
                picture = picture_of(shown_gate(found, scale))
                self._pictures[found.query.direction, state] = picture
        self._claim_height()
        self.updateGeometry()
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self._pictures.clear()
        self._query = None
        self.update()

    def shows(self, query: GateQuery) -> bool:
        """Say whether the maps of the query's layer and units are shown."""
        return self._query == _sheet_of(query)

    def mark(self, query: GateQuery) -> None:
        """Frame the map that is chosen."""
        self._marked = query.direction, query.gate
        self.update()

    def hasHeightForWidth(self) -> bool:
        """Its maps keep the image's proportions."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height of all rows."""
        line = self.fontMetrics().height()
        return line + 4 + len(STATE_NAMES) * (self._cell(width).height() + _GAP)

    def sizeHint(self) -> QSize:
        """As high as its width asks for."""
        return QSize(240, self.heightForWidth(max(self.width(), 240)))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Ask for the height of all rows: a scroll area takes no notice of proportions."""
        self._claim_height()

    def _claim_height(self) -> None:
        self.setMinimumHeight(self.heightForWidth(self.width()))

    def place(self, direction: int, state: str) -> QRect:
        """Return where a map stands."""
        cell, line = self._cell(self.width()), self.fontMetrics().height()
        row = list(STATE_NAMES).index(state)
        left = self._margin + direction * (cell.width() + _GAP)
        return QRect(left, line + 4 + row * (cell.height() + _GAP), cell.width(), cell.height())

    @property
    def _margin(self) -> int:
        widths = (self.fontMetrics().horizontalAdvance(name) for name in SHORT_NAMES.values())
        return max(widths) + 6

    def _cell(self, width: int) -> QSize:
        across = max((width - self._margin) // len(DIRECTIONS) - _GAP, 8)
        return QSize(across, max(round(across * self._aspect), 8))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the maps with the names of their rows and columns."""
        painter = QPainter(self)
        line = self.fontMetrics().height()
        for index, direction in enumerate(DIRECTIONS):
            top = self.place(index, next(iter(STATE_NAMES)))
            box = QRect(top.left(), 0, top.width(), line)
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, ARROWS[direction])
        for state, name in SHORT_NAMES.items():
            first = self.place(0, state)
            middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
            painter.drawText(QRect(0, first.top(), self._margin, first.height()), middle, name)
            for index in range(len(DIRECTIONS)):
                self._paint_cell(painter, index, state)
        painter.end()

    def _paint_cell(self, painter: QPainter, direction: int, state: str) -> None:
        place, picture = self.place(direction, state), self._pictures.get((direction, state))
        if picture is None:
            painter.fillRect(place, self.palette().color(QPalette.ColorRole.Midlight))
        else:
            painter.drawImage(place, picture)
        if (direction, state) == self._marked:
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Accent), 2))
            painter.drawRect(place.adjusted(-1, -1, 1, 1))
            painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Name the map under the pointer."""
        found = self._at(event)
        text = f"{STATE_NAMES[found[1]]}, from {DIRECTIONS[found[0]]}" if found else ""
        self.setToolTip(text)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the map under the pointer."""
        found = self._at(event)
        if found is not None:
            self.chosen.emit(*found)

    def _at(self, event: QMouseEvent) -> tuple[int, str] | None:
        point = event.position().toPoint()
        places = ((d, state) for d in range(len(DIRECTIONS)) for state in STATE_NAMES)
        return next((found for found in places if self.place(*found).contains(point)), None)


def _sheet_of(query: GateQuery) -> GateQuery:
    """Return what all maps of a sheet have in common."""
    return replace(query, direction=0, gate="input")
