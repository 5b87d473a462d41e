"""The bar that adjusts how values of more than 8 bits are seen."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QFrame, QHBoxLayout, QLabel, QWidget

from mdlstm_core.data.display_window import DisplayWindow, Percentiles
from mdlstm_core.data.images import Picture

_PERCENTILES = (Percentiles(), Percentiles(0.1, 99.9), Percentiles(0, 100))
_NAMES = ("1 to 99 %", "0.1 to 99.9 %", "lowest to highest", "own limits")
_OWN = len(_NAMES) - 1
_DELAY_MS = 300
"""The image is read again for each window: not at every turn of a wheel."""


class DisplayWindowBar(QFrame):
    """Lies over the canvas while an image of 16 or 32 bits or of floats is shown.

    Signals:
        chosen(DisplayWindow | Percentiles): the image is to be seen through this.
    """

    chosen = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAutoFillBackground(True)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.low, self.high, self.way = QDoubleSpinBox(), QDoubleSpinBox(), QComboBox()
        self.way.addItems(_NAMES)
        self.way.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        for label, field in (("Black", self.low), ("White", self.high)):
            field.setKeyboardTracking(False)
            field.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
            field.setRange(-1e12, 1e12)
            field.valueChanged.connect(self._on_limit)
            layout.addWidget(QLabel(label))
            layout.addWidget(field)
        layout.addWidget(self.way)
        self._delay = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self._delay.timeout.connect(self._choose_limits)
        self.way.activated.connect(self._on_way)
        self.hide()

    def set_picture(self, picture: Picture | None) -> None:
        """Show the limits of an image; one of 8 bits has none."""
        self._delay.stop()
        if picture is None or picture.window is None or picture.span is None:
            self.hide()
            return
        lowest, highest = picture.span
        step = (highest - lowest) / 100
        limits = (picture.window.low, picture.window.high)
        for field, value in zip((self.low, self.high), limits, strict=True):
            with QSignalBlocker(field):
                field.setDecimals(0 if step >= 1 else 6)
                field.setSingleStep(max(round(step), 1) if step >= 1 else step or 1)
                field.setValue(value)
        self.show()

    def _on_limit(self) -> None:
        self.way.setCurrentIndex(_OWN)
        self._delay.start()

    def _choose_limits(self) -> None:
        low, high = sorted((self.low.value(), self.high.value()))
        self.chosen.emit(DisplayWindow(low, high))

    def _on_way(self, index: int) -> None:
        if index == _OWN:
            self._choose_limits()
        else:
            self.chosen.emit(_PERCENTILES[index])
