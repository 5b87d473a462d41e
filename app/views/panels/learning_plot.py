"""The curves of a learning run: loss, and accuracy on strokes that were set aside.

pyqtgraph draws them: it is fast, kept well, and made for live data. It takes 0.2 to 0.7 s to
import, so a thread does that when learning first begins, and the plot appears when it is there.
"""

from __future__ import annotations

import importlib
from typing import Any

from PySide6.QtCore import QEvent, QObject, QRunnable, Qt, QThreadPool, Signal, Slot
from PySide6.QtGui import QColor, QPalette, QPen
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.inference.messages import Progress

_HEIGHT = 150
_LOSS = {"light": "#2563c9", "dark": "#7fb0ff"}
_HELD_OUT = {"light": "#b3560e", "dark": "#f0a35e"}


class LearningPlot(QWidget):
    """Shows the curves; empty before the first step.

    The loss belongs to the axis on the left, the accuracy, in percent, to the right one.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.losses: list[tuple[float, float]] = []
        self.held_out: list[tuple[float, float]] = []
        self._plot: Any = None
        self._right: Any = None
        self._loss_curve: Any = None
        self._held_out_curve: Any = None
        self._loader: _Loader | None = None
        self.setFixedHeight(_HEIGHT)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hide()

    def prepare(self) -> None:
        """Have the library imported in a thread: the window does not wait for it."""
        if self._loader is None:
            self._loader = _Loader()  # no child: it may outlive the window
            self._loader.loaded.connect(self._on_loaded)
            QThreadPool.globalInstance().start(_Import(self._loader))

    def begin(self) -> None:
        """Begin new curves."""
        self.clear()
        self.prepare()

    def clear(self) -> None:
        """Show no curves."""
        self.losses.clear()
        self.held_out.clear()
        self._draw()

    def add(self, progress: Progress) -> None:
        """Draw a step."""
        self.losses.append((progress.seconds, progress.loss))
        if progress.held_out is not None:
            self.held_out.append((progress.seconds, 100 * progress.held_out))
        self._draw()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the colour scheme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._plot is not None:
            self._dress()

    @Slot()
    def _on_loaded(self) -> None:
        from pyqtgraph import PlotCurveItem, PlotWidget, ScatterPlotItem, ViewBox

        plot = PlotWidget(self)
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(x=False, y=False)
        plot.hideButtons()
        plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        item = plot.getPlotItem()
        self._loss_curve = PlotCurveItem()
        item.addItem(self._loss_curve)
        self._right = ViewBox(enableMenu=False)
        self._right.setMouseEnabled(x=False, y=False)
        item.showAxis("right")
        item.scene().addItem(self._right)
        item.getAxis("right").linkToView(self._right)
        self._right.setXLink(item)
        self._right.setYRange(0, 100, padding=0.04)
        self._held_out_curve = ScatterPlotItem(size=6)
        self._right.addItem(self._held_out_curve)
        item.vb.sigResized.connect(self._fit_right)
        self._plot = plot
        self.layout().addWidget(plot)  # type: ignore[union-attr]  # set in __init__
        self._dress()
        self.setVisible(bool(self.losses))
        self._draw()

    @Slot()
    def _fit_right(self) -> None:
        self._right.setGeometry(self._plot.getPlotItem().vb.sceneBoundingRect())

    def _dress(self) -> None:
        palette = self.palette()
        base = palette.color(QPalette.ColorRole.Base)
        scheme = "dark" if base.lightness() < 128 else "light"
        text, loss = palette.color(QPalette.ColorRole.Text), QColor(_LOSS[scheme])
        held_out = QColor(_HELD_OUT[scheme])
        self._plot.setBackground(base)
        item = self._plot.getPlotItem()
        for side, color, label in (
            ("left", loss, "loss"),
            ("right", held_out, "right, %"),
            ("bottom", text, "seconds"),
        ):
            axis = item.getAxis(side)
            axis.setPen(QPen(palette.color(QPalette.ColorRole.Mid)))
            axis.setTextPen(QPen(color))
            axis.setLabel(label, color=color.name())
        pen = QPen(loss, 1.8)
        pen.setCosmetic(True)
        self._loss_curve.setPen(pen)
        self._held_out_curve.setBrush(held_out)
        self._held_out_curve.setPen(QPen(Qt.PenStyle.NoPen))

    def _draw(self) -> None:
        if self._plot is None:
            return
        self.setVisible(bool(self.losses))
        self._loss_curve.setData(*_columns(self.losses))
        self._held_out_curve.setData(*_columns(self.held_out))
        self._plot.getPlotItem().showAxis("right", bool(self.held_out))
        self._plot.getPlotItem().setXRange(0, max([s for s, _ in self.losses], default=1.0))


def _columns(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


class _Loader(QObject):
    """Tells the window's thread that the library is there."""

    loaded = Signal()


class _Import(QRunnable):
    """Imports the library, in the pool's thread."""

    def __init__(self, loader: _Loader) -> None:
        super().__init__()
        self._loader = loader

    def run(self) -> None:
        """Import and tell."""
        importlib.import_module("pyqtgraph")
        self._loader.loaded.emit()
