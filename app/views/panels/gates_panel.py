"""The gates of the 2D-LSTM as heat maps over the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.inference.messages import GateAnswer, ModelInfo
from app.views.color_maps import color_table, colorize, value_range
from mdlstm_core.config import DIRECTIONS, STATES

_NAMES = {state: state.replace("_", " ").capitalize() for state in STATES}


class GatesPanel(QWidget):
    """Chooses a gate and shows the scale of its colours.

    Signals:
        gate_asked(int, int, str, object): layer, direction, gate and unit (None: mean).
        hidden: the labels are to be shown again.
    """

    gate_asked = Signal(int, int, str, object)
    hidden = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._units: tuple[int, ...] = ()
        self._shown = QCheckBox("Show over the image")
        self._layer, self._direction, self._gate = QComboBox(), QComboBox(), QComboBox()
        self._direction.addItems([f"from {name}" for name in DIRECTIONS])
        for state in STATES:
            self._gate.addItem(_NAMES[state], state)
        self._gate.setCurrentIndex(STATES.index("forget_row"))
        self._unit = QSpinBox()
        self._unit.setMaximum(0)
        self._unit.setSpecialValueText("mean of all")
        for field in (self._shown, self._layer, self._direction, self._gate):
            field.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # Space pans, whatever was clicked
        self._unit.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._bar = _ColorBar()
        self._lay_out()
        self.setEnabled(False)  # until there is a model
        self._shown.toggled.connect(self._on_shown)
        self._layer.currentIndexChanged.connect(self._on_layer)
        self._direction.currentIndexChanged.connect(self._ask)
        self._gate.currentIndexChanged.connect(self._ask)
        self._unit.valueChanged.connect(self._ask)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Layer", self._layer)
        form.addRow("Sweep", self._direction)
        form.addRow("Gate", self._gate)
        form.addRow("Unit", self._unit)
        layout = QVBoxLayout(self)
        layout.addWidget(self._shown)
        layout.addLayout(form)
        layout.addWidget(self._bar)
        layout.addStretch()

    @property
    def is_shown(self) -> bool:
        """Whether the user wants to see a gate."""
        return self._shown.isChecked()

    def set_shown(self, shown: bool) -> None:
        """Show or hide the gate, as the check box does."""
        self._shown.setChecked(shown)

    def set_model(self, info: ModelInfo | None) -> None:
        """Offer the layers and units of the model that serves."""
        self.setEnabled(info is not None)
        if info is None:
            return
        if info.layer_units != self._units:
            self._units = info.layer_units
            chosen = max(self._layer.currentIndex(), 0)
            self._layer.blockSignals(True)  # asked once, below
            self._layer.clear()
            self._layer.addItems(
                [f"{n + 1} of {len(self._units)}" for n in range(len(self._units))]
            )
            self._layer.setCurrentIndex(min(chosen, len(self._units) - 1))
            self._layer.blockSignals(False)
            self._unit.setMaximum(self._units[self._layer.currentIndex()])
        self._ask()

    def refresh(self) -> None:
        """Ask again, for another image."""
        self._ask()

    def show_answer(self, answer: GateAnswer) -> NDArray[np.uint8]:
        """Show the scale of a gate's values and return the map's colours, R×C×3."""
        low, high, signed = value_range(answer.values, answer.request.gate)
        self._bar.set_scale(color_table(signed=signed), low, high)
        return colorize(answer.values, low, high, color_table(signed=signed))

    def _on_shown(self, shown: bool) -> None:
        if shown:
            self._ask()
        else:
            self._bar.hide()
            self.hidden.emit()

    def _on_layer(self, layer: int) -> None:
        self._unit.setMaximum(self._units[layer])
        self._ask()

    def _ask(self) -> None:
        if self.is_shown and self._units:
            unit = self._unit.value() - 1 if self._unit.value() else None
            self.gate_asked.emit(
                self._layer.currentIndex(),
                self._direction.currentIndex(),
                self._gate.currentData(),
                unit,
            )


class _ColorBar(QWidget):
    """A scale of colours with the values at its ends and middle."""

    def __init__(self) -> None:
        super().__init__()
        self._picture = QImage()
        self._values = (0.0, 0.0, 0.0)
        self.setMinimumHeight(2 * self.fontMetrics().height() + 4)
        self.hide()

    def set_scale(self, table_N3: NDArray[np.uint8], low: float, high: float) -> None:
        row = np.ascontiguousarray(table_N3)
        shared = QImage(row.data, len(row), 1, 3 * len(row), QImage.Format.Format_RGB888)
        self._picture = shared.copy()
        self._values = (low, (low + high) / 2, high)
        self.show()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        height = self.fontMetrics().height()
        painter.drawImage(QRect(0, 0, self.width(), height), self._picture)
        below = QRect(0, height + 2, self.width(), height)
        sides = (
            Qt.AlignmentFlag.AlignLeft,
            Qt.AlignmentFlag.AlignHCenter,
            Qt.AlignmentFlag.AlignRight,
        )
        for value, side in zip(self._values, sides, strict=True):
            painter.drawText(below, side, f"{value:.3g}")
        painter.end()
