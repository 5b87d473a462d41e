"""A bar for messages, in place of modal boxes, which block."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

_SHOWN_MS = 6000
_WARNING_STYLE = (
    "QFrame#messages { background: #7a2e1f; } QLabel, QToolButton { color: white; }"
    " QPushButton { color: white; background: transparent; border: 1px solid white;"
    " border-radius: 3px; padding: 3px 10px; }"
)
_PLAIN_STYLE = "QFrame#messages { background: palette(window); }"


class MessageBar(QFrame):
    """Shows one message over the top of a widget, whose place it leaves as it is.

    A warning stays until it is closed or another message comes.
    """

    def __init__(self, over: QWidget) -> None:
        super().__init__(over)
        self.setObjectName("messages")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAutoFillBackground(True)
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        close = QToolButton()
        close.setText("✕")
        close.setAutoRaise(True)
        close.setToolTip("Close this message")
        close.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        close.clicked.connect(self.hide)
        self._offer = QPushButton()
        self._offer.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._offer.clicked.connect(self._accept)
        self._offered: Callable[[], object] | None = None
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 4, 4, 4)
        layout.addWidget(self._text, stretch=1)
        layout.addWidget(self._offer)
        layout.addWidget(close)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SHOWN_MS)
        self._timer.timeout.connect(self.hide)
        self._over = over
        over.installEventFilter(self)
        self.hide()

    @property
    def text(self) -> str:
        """The message shown, empty if none is."""
        return "" if self.isHidden() else self._text.text()

    def say(self, text: str) -> None:
        """Show something that the user may want to know, for a while."""
        self._show(text, _PLAIN_STYLE)
        self._timer.start()

    def warn(self, text: str) -> None:
        """Show something that went wrong, until it is closed."""
        self._timer.stop()
        self._show(text, _WARNING_STYLE)

    def offer(self, text: str, act: Callable[[], object]) -> None:
        """Put a button beside the message shown, which does something about it."""
        self._offer.setText(text)
        self._offered = act
        self._offer.show()
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep the width of the widget below."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _show(self, text: str, style: str) -> None:
        self.setStyleSheet(style)
        self._text.setText(text)
        self._offer.hide()
        self.show()
        self.raise_()
        self._place()

    def _accept(self) -> None:
        self.hide()
        if self._offered is not None:
            self._offered()

    def _place(self) -> None:
        width = self._over.width()
        layout = self.layout()
        height = layout.heightForWidth(width) if layout else 0
        self.setGeometry(0, 0, width, max(height, self.minimumSizeHint().height()))
