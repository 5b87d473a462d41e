"""Which map to look at: layer, direction, state, and what of the hidden units."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QSpinBox, QWidget

from app.inference.messages import ModelInfo
from app.views.insight.segments import Segment, Segments
from app.views.insight.words import ARROW_ICONS, STATE_NAMES
from mdlstm_core.config import DIRECTIONS
from mdlstm_core.insight.queries import Components, GateQuery, Pixel, Strongest

UnitMode = Literal["mean", "unit", "strongest", "components"]

_MODES: dict[UnitMode, str] = {
    "mean": "Mean of all units",
    "unit": "One unit",
    "strongest": "Strongest unit at the pointer",
    "components": "Three components as colours",
}
_MOST_UNITS = 9999


class GateChooser(QWidget):
    """Chooses a map.

    Signals:
        changed: something else is chosen.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._pixel: Pixel | None = None
        self._layer, self._gate, self._mode = QComboBox(), QComboBox(), QComboBox()
        arrows = {d: Segment(f"From {d}", ARROW_ICONS[d], f"Sweep from {d}") for d in DIRECTIONS}
        self.direction = Segments(arrows)
        for state, name in STATE_NAMES.items():
            self._gate.addItem(name, state)
        for mode, text in _MODES.items():
            self._mode.addItem(text, mode)
        self._unit = QSpinBox()
        # What the layer lacks is refused in a sentence, which says what there is.
        self._unit.setRange(1, _MOST_UNITS)
        self._unit.setToolTip("The number of a hidden unit, from 1")
        self._unit.hide()
        for box in (self._layer, self._gate, self._mode):
            box.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # Space pans, whatever was clicked
            box.setMinimumContentsLength(6)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.currentIndexChanged.connect(self._on_changed)
        self._gate.setCurrentIndex(list(STATE_NAMES).index("forget_row"))
        self._unit.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._unit.valueChanged.connect(self._on_changed)
        self.direction.chosen.connect(self._on_changed)
        self._lay_out()

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        grid.addWidget(QLabel("Layer"), 0, 0)
        grid.addWidget(self._layer, 0, 1)
        grid.addWidget(self.direction, 0, 2)
        grid.addWidget(QLabel("Gate"), 1, 0)
        grid.addWidget(self._gate, 1, 1, 1, 2)
        grid.addWidget(QLabel("Units"), 2, 0)
        grid.addWidget(self._mode, 2, 1, 1, 2)
        grid.addWidget(self._unit, 3, 1, 1, 2)
        grid.setColumnStretch(1, 1)

    def set_model(self, info: ModelInfo | None) -> None:
        """Offer the layers of the model that serves."""
        count = len(info.layer_units) if info else 0
        if count == self._layer.count():
            return
        chosen = self._layer.currentIndex()
        self._layer.blockSignals(True)
        self._layer.clear()
        self._layer.addItems([f"{n + 1} of {count}" for n in range(count)])
        self._layer.setCurrentIndex(min(chosen, count - 1) if chosen >= 0 else count - 1)
        self._layer.blockSignals(False)

    @property
    def mode(self) -> UnitMode:
        """What is shown of the hidden units."""
        found: UnitMode = self._mode.currentData()
        return found

    @property
    def query(self) -> GateQuery:
        """What is chosen; the strongest unit is the mean's before the pointer was anywhere."""
        unit: int | Strongest | Components | None = None
        if self.mode == "unit":
            unit = self._unit.value() - 1
        elif self.mode == "components":
            unit = Components()
        elif self.mode == "strongest" and self._pixel is not None:
            unit = Strongest(self._pixel)
        layer, direction = max(self._layer.currentIndex(), 0), self.direction.value
        return GateQuery(layer, DIRECTIONS.index(direction), self._gate.currentData(), unit)

    def choose(
        self,
        layer: int | None = None,
        direction: int | None = None,
        gate: str | None = None,
        unit: int | UnitMode | None = None,
    ) -> None:
        """Choose as the fields do; what is None stays."""
        before = self.query
        self.blockSignals(True)
        if layer is not None:
            self._layer.setCurrentIndex(layer)
        if direction is not None:
            self.direction.choose(DIRECTIONS[direction])
        if gate is not None:
            self._gate.setCurrentIndex(self._gate.findData(gate))
        if isinstance(unit, int):
            self._unit.setValue(unit + 1)
        if unit is not None:
            mode = "unit" if isinstance(unit, int) else unit
            self._mode.setCurrentIndex(self._mode.findData(mode))
        self.blockSignals(False)
        if self.query != before:
            self.changed.emit()

    def point(self, pixel: Pixel | None) -> None:
        """Take the pixel at which a unit is to be the strongest."""
        if pixel is not None and pixel != self._pixel:
            self._pixel = pixel
            if self.mode == "strongest":
                self.changed.emit()

    def forget(self) -> None:
        """Forget the pixel: another image is shown."""
        self._pixel = None

    def _on_changed(self) -> None:
        self._unit.setVisible(self.mode == "unit")
        self.changed.emit()
