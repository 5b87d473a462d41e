"""What was measured on strokes set aside: accuracy, each class, and the confusion matrix."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QLabel, QToolTip, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from mdlstm_core.learning.figures import Figures
    from mdlstm_core.learning.measured import Measured

_CELL = 22
_MOST_LABEL = 90

_POOR = 0.75
"""Share of the pixels set aside. Below it Live is worth a look; see docs/learning.md."""


class FiguresView(QWidget):
    """Shows the figures of the model that serves, or why there are none; hidden at first."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._warning = QLabel()
        self._warning.setWordWrap(True)
        self.matrix = ConfusionMatrix()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._text, self._warning, self.matrix):
            layout.addWidget(widget)
        self.hide()

    @property
    def text(self) -> str:
        """What is said of the figures, as HTML."""
        return self._text.text()

    @property
    def warning(self) -> str:
        """Why not to rely on figures or model, and what to try; empty if nothing says so."""
        return "" if self._warning.isHidden() else self._warning.text()

    def show_measured(self, measured: Measured) -> None:
        """Show what was measured of a model that learned, or that nothing was."""
        from mdlstm_core.learning.figures import NOTHING_ASIDE

        figures = measured.figures
        if figures is None:
            self._show("", NOTHING_ASIDE, None)
            return
        texts = figures.too_few, measured.overfits, _advice(figures)
        warning = " ".join(text for text in texts if text)
        self._show(_summary(figures, measured.before), warning, figures)

    def say(self, text: str) -> None:
        """Say why there are no figures; without a text, hide."""
        self._show(text, "", None)

    def _show(self, text: str, warning: str, figures: Figures | None) -> None:
        self._text.setText(text)
        self._text.setVisible(bool(text))
        self._warning.setText(f"⚠ {warning}" if warning else "")
        self._warning.setVisible(bool(warning))
        self.matrix.show_figures(figures)
        self.setVisible(bool(text or warning))


def _advice(figures: Figures) -> str:
    """Return what to try where many pixels are wrong, in a sentence; empty if few are."""
    if figures.too_few or figures.pixel_accuracy >= _POOR:
        return ""
    return (
        f"Only {figures.pixel_accuracy:.0%} of these pixels are right: of images unlike any that "
        "the model knows, Live may find more."
    )


def _summary(figures: Figures, before: Figures | None) -> str:
    """Return the figures as HTML, with those of the model before."""
    if not figures.pixels:
        return ""
    was = before if before is not None and before.pixels else None
    lines = [
        "<b>On strokes set aside, never learned from</b>",
        f"{figures.strokes} strokes on {figures.images} images",
    ]
    for name, key in (("Pixels right", "pixel_accuracy"), ("Mean IoU", "mean_iou")):
        earlier = f" (before {getattr(was, key):.0%})" if was else ""
        lines.append(f"{name} <b>{getattr(figures, key):.0%}</b>{earlier}")
    measured = [
        f"{html.escape(name)} {iou:.0%}"
        for name, iou in zip(figures.classes, figures.iou, strict=True)
        if iou is not None
    ]
    lines.append(f"IoU by class: {', '.join(measured)}")
    return "<br>".join(lines)


class ConfusionMatrix(QWidget):
    """Shares of each true class (row) by the class that the model gives (column)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: list[str] = []
        self._counts = np.zeros((0, 0), dtype=np.int64)
        self.setAccessibleName("Confusion matrix")

    @property
    def names(self) -> list[str]:
        """The classes that are shown: those with a pixel, true or given."""
        return self._names

    def show_figures(self, figures: Figures | None) -> None:
        """Show the classes that occur; hide without figures."""
        counts = figures.confusion if figures else np.zeros((0, 0), dtype=np.int64)
        present = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
        self._names = [figures.classes[i] for i in present] if figures else []
        self._counts = counts[np.ix_(present, present)]
        self.setVisible(bool(self._names))
        self.setMinimumHeight(self.sizeHint().height())
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Room for a cell for each pair of classes."""
        side = _CELL * len(self._names)
        return QSize(_MOST_LABEL + side, side + 2 * self.fontMetrics().height() + 4)

    def cell(self, row: int, column: int) -> QRect:
        """Return where the share of a true class that was given another one is drawn."""
        left, top, side = self._grid()
        return QRect(left + column * side, top + row * side, side - 1, side - 1)

    def _grid(self) -> tuple[int, int, int]:
        """Return the left and top of the cells, and their side."""
        widths = [self.fontMetrics().horizontalAdvance(name) for name in self._names]
        left = min(max(widths, default=0) + 6, _MOST_LABEL)
        top = self.fontMetrics().height() + 4
        room = (self.width() - left) // max(len(self._names), 1)
        return left, top, max(min(_CELL, room), 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the cells, the darker the larger the share."""
        painter = QPainter(self)
        palette, metrics = self.palette(), self.fontMetrics()
        text = palette.color(QPalette.ColorRole.WindowText)
        full, empty = palette.color(QPalette.ColorRole.Highlight), palette.base().color()
        left, top, side = self._grid()
        painter.setPen(palette.color(QPalette.ColorRole.PlaceholderText))
        heading = QRect(left, 0, self.width() - left, metrics.height())
        painter.drawText(heading, Qt.AlignmentFlag.AlignLeft, "true class → given class, %")
        for row, name in enumerate(self._names):
            place = QRect(0, top + row * side, left - 6, side)
            short = metrics.elidedText(name, Qt.TextElideMode.ElideRight, place.width())
            painter.setPen(text)
            flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
            painter.drawText(place, flags, short)
            whole = max(int(self._counts[row].sum()), 1)
            for column in range(len(self._names)):
                share = self._counts[row, column] / whole
                painter.fillRect(self.cell(row, column), _mixed(empty, full, share))
                if side >= 18 and share >= 0.005:
                    painter.setPen(QColor("white") if share > 0.5 else text)
                    percent = f"{100 * share:.0f}"
                    painter.drawText(self.cell(row, column), Qt.AlignmentFlag.AlignCenter, percent)
        painter.end()

    def event(self, event: QEvent) -> bool:
        """Say what a cell stands for."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.tip(event.pos()), self)
            return True
        return super().event(event)

    def tip(self, place: QPoint) -> str:
        """Return what the cell at a place of the widget stands for, empty outside."""
        for row, true in enumerate(self._names):
            for column, given in enumerate(self._names):
                if self.cell(row, column).contains(place):
                    pixels = int(self._counts[row, column])
                    return f"{pixels:,} pixels of {true} are given {given}"
        return ""


def _mixed(empty: QColor, full: QColor, share: float) -> QColor:
    red, green, blue = (
        round(a + (b - a) * share)
        for a, b in (
            (empty.red(), full.red()),
            (empty.green(), full.green()),
            (empty.blue(), full.blue()),
        )
    )
    return QColor(red, green, blue)
