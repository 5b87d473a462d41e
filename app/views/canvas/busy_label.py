"""Says over the canvas what is being worked out."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame, QLabel, QWidget

_DELAY_MS = 200
"""What is done before is not worth a flicker."""


class BusyLabel(QLabel):
    """A line in the canvas's corner, while something is under way."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAutoFillBackground(True)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setMargin(6)
        self.move(8, 8)
        self.hide()
        self._delay = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self._delay.timeout.connect(self.show)

    def show_text(self, text: str) -> None:
        """Say what is under way; nothing is, if the text is empty."""
        if not text:
            self._delay.stop()
            self.hide()
            return
        self.setText(f"{text} … Esc drops it")
        self.adjustSize()
        if self.isHidden() and not self._delay.isActive():
            self._delay.start()
