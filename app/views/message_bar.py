"""A bar for messages, in place of modal boxes, which block."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QWidget

_SHOWN_MS = 6000


class MessageBar(QFrame):
    """Shows one message; a warning stays until it is closed or another one comes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("messages")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        close = QToolButton()
        close.setText("✕")
        close.setAutoRaise(True)
        close.setToolTip("Close this message")
        close.clicked.connect(self.hide)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 4, 4, 4)
        layout.addWidget(self._text, stretch=1)
        layout.addWidget(close)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SHOWN_MS)
        self._timer.timeout.connect(self.hide)
        self.hide()

    @property
    def text(self) -> str:
        """The message shown, empty if none is."""
        return "" if self.isHidden() else self._text.text()

    def say(self, text: str) -> None:
        """Show something that the user may want to know, for a while."""
        self._show(text, "")
        self._timer.start()

    def warn(self, text: str) -> None:
        """Show something that went wrong, until it is closed."""
        self._timer.stop()
        self._show(text, "QFrame#messages { background: #7a2e1f; } QLabel { color: white; }")

    def _show(self, text: str, style: str) -> None:
        self.setStyleSheet(style)
        self._text.setText(text)
        self.show()
