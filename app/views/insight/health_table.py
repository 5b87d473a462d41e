"""The health of each layer and direction as a table with small plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from PySide6.QtWidgets import QToolTip, QWidget

from app.views.insight.words import ARROWS, STATE_NAMES
from mdlstm_core.config import DIRECTIONS, SIGMOID_GATES
from mdlstm_core.insight.health import CLOSED, OPEN, DirectionHealth

_CLOSED_COLOR, _OPEN_COLOR = QColor("#0072b2"), QColor("#e69f00")
_HEADINGS = {"input": "in", "forget_row": "f row", "forget_column": "f col", "output": "out"}
_PAD = 4


class HealthTable(QWidget):
    """Rows of directions under a heading for each layer.

    A gate's cell has a bar of the closed share from the left and of the open share from the
    right, with both in percent; the last column is the mean |cell state| by
    diagonal and how much it grows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[DirectionHealth] = ()
        self.before: dict[tuple[int, int], DirectionHealth] = {}
        self.setMinimumWidth(200)

    def set_rows(
        self, rows: Sequence[DirectionHealth], before: Sequence[DirectionHealth] = ()
    ) -> None:
        """Show rows, and those of the model before as grey lines."""
        self.before = {(row.layer, row.direction): row for row in before}
        self.rows = tuple(rows)
        self.setMinimumHeight(self._height())
        self.update()

    def sizeHint(self) -> QSize:
        """Room for all rows."""
        return QSize(240, self._height())

    def _height(self) -> int:
        layers = len({row.layer for row in self.rows})
        return (1 + layers + len(self.rows)) * self._line + 2 * _PAD if self.rows else 0

    @property
    def _line(self) -> int:
        return self.fontMetrics().height() + 6

    def _columns(self) -> list[int]:
        """Return where the columns begin: direction, four gates, plot; and where they end."""
        first = self.fontMetrics().horizontalAdvance("↘") + 8
        plot = max(self.width() // 4, 50)
        gates = np.linspace(first, self.width() - plot, len(SIGMOID_GATES) + 1).astype(int)
        return [0, *gates.tolist(), self.width()]

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the table."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        columns = self._columns()
        if self.rows:
            self._paint_heading(painter, columns)
        for top, row in self._places():
            if isinstance(row, int):
                painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
                box = QRect(0, top, self.width(), self._line)
                painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, f"Layer {row + 1}")
            else:
                self._paint_row(painter, top, row, columns)
        painter.end()

    def _places(self) -> Iterator[tuple[int, int | DirectionHealth]]:
        """Yield the top of each line, and its row or the layer that it names."""
        top, layer = _PAD + self._line, -1
        for row in self.rows:
            if row.layer != layer:
                layer = row.layer
                yield top, layer
                top += self._line
            yield top, row
            top += self._line

    def _paint_heading(self, painter: QPainter, columns: list[int]) -> None:
        names = ["", *(_HEADINGS[g] for g in SIGMOID_GATES), "|cell|"]
        painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
        for name, left, right in zip(names, columns, columns[1:], strict=False):
            painter.drawText(
                QRect(left, _PAD, right - left, self._line), Qt.AlignmentFlag.AlignCenter, name
            )

    def _paint_row(
        self, painter: QPainter, top: int, row: DirectionHealth, columns: list[int]
    ) -> None:
        text = self.palette().color(QPalette.ColorRole.WindowText)
        middle = Qt.AlignmentFlag.AlignVCenter
        name = QRect(0, top, columns[1], self._line)
        painter.setPen(text)
        arrow = ARROWS[DIRECTIONS[row.direction]]
        painter.drawText(name, middle | Qt.AlignmentFlag.AlignHCenter, arrow)
        for gate, left, right in zip(SIGMOID_GATES, columns[1:], columns[2:], strict=False):
            box = QRect(left + 2, top + 2, right - left - 4, self._line - 4)
            painter.fillRect(box, self.palette().color(QPalette.ColorRole.AlternateBase))
            closed, opened = row.closed[gate], row.open[gate]
            low, high = round(box.width() * closed), round(box.width() * opened)
            for color, part in (
                (_CLOSED_COLOR, QRect(box.left(), box.top(), low, box.height())),
                (_OPEN_COLOR, QRect(box.right() + 1 - high, box.top(), high, box.height())),
            ):
                shade = QColor(color)
                shade.setAlphaF(0.55)
                painter.fillRect(part, shade)
            painter.setPen(text)
            inner = box.adjusted(2, 0, -2, 0)
            painter.drawText(inner, middle | Qt.AlignmentFlag.AlignLeft, f"{100 * closed:.0f}")
            painter.drawText(inner, middle | Qt.AlignmentFlag.AlignRight, f"{100 * opened:.0f}")
        left, right = columns[-2:]
        self._paint_plot(painter, QRect(left + 4, top, right - left - 4, 0), row)

    def _paint_plot(self, painter: QPainter, place: QRect, row: DirectionHealth) -> None:
        """Draw the cell state by diagonal, that of the model before under it, and the growth."""
        growth = "–" if row.growth is None else f"{row.growth:.1f}×"
        wide = self.fontMetrics().horizontalAdvance("99.9×")
        box = QRectF(place.left(), place.top() + 3, place.width() - wide - 4, self._line - 6)
        before = self.before.get((row.layer, row.direction))
        curves = [row.cell_by_diagonal, *([before.cell_by_diagonal] if before else [])]
        most = max(float(curve.max()) for curve in curves) or 1.0
        quiet = self.palette().color(QPalette.ColorRole.PlaceholderText)
        accent = self.palette().color(QPalette.ColorRole.Accent)
        if before is not None:
            painter.setPen(QPen(quiet, 1.5))
            painter.drawPolyline(_curve(before.cell_by_diagonal, box, most))
        painter.setPen(QPen(accent, 1.5))
        painter.drawPolyline(_curve(row.cell_by_diagonal, box, most))
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        text = QRect(place.right() - wide, place.top(), wide, self._line)
        side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(text, side, growth)

    def event(self, event: QEvent) -> bool:
        """Tell the exact figures of the row under the pointer."""
        if isinstance(event, QHelpEvent):
            row = self._row_at(event.pos().y())
            QToolTip.showText(event.globalPos(), self._figures(row) if row else "", self)
            return True
        return super().event(event)

    def _row_at(self, y: int) -> DirectionHealth | None:
        for top, row in self._places():
            if top <= y < top + self._line:
                return None if isinstance(row, int) else row
        return None

    def _figures(self, row: DirectionHealth) -> str:
        lines = [f"Layer {row.layer + 1}, from {DIRECTIONS[row.direction]}"]
        before = self.before.get((row.layer, row.direction))
        for gate in SIGMOID_GATES:
            closed, opened = f"{row.closed[gate]:.1%}", f"{row.open[gate]:.1%}"
            line = f"{STATE_NAMES[gate]}: {closed} below {CLOSED}, {opened} above {OPEN}"
            if before is not None:
                line += f" (before: {before.closed[gate]:.1%}, {before.open[gate]:.1%})"
            lines.append(line)
        if row.growth is not None:
            lines.append(f"|cell state| grows {row.growth:.2f}× from first to last quarter")
        return "\n".join(lines)


def _curve(values: NDArray[np.float64], box: QRectF, most: float) -> QPolygonF:
    xs = np.linspace(box.left(), box.right(), len(values))
    ys = box.bottom() - values / most * box.height()
    return QPolygonF([QPointF(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)])
