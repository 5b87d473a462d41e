"""What a new project's classes begin with: the model's, a list of the user's, or none."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from app.views.icons import icon


class ClassStart(QWidget):
    """Asks once, while nothing was painted yet.

    Signals:
        model_chosen: keep the classes of the model.
        list_chosen: read a list of the user's.
        blank_chosen: begin without classes.
    """

    model_chosen = Signal()
    list_chosen = Signal()
    blank_chosen = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = _button("check", "Model's", "Keep the classes that the model knows")
        self.list = _button("import", "List …", "Read classes from classes.txt or JSON")
        self.blank = _button("circle-off-outline", "Blank", "Begin without classes; add your own")
        self.model.clicked.connect(self.model_chosen)
        self.list.clicked.connect(self.list_chosen)
        self.blank.clicked.connect(self.blank_chosen)
        buttons = QHBoxLayout()
        buttons.setSpacing(2)
        for button in (self.model, self.list, self.blank):
            buttons.addWidget(button)
        buttons.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 4, 4)
        layout.setSpacing(2)
        layout.addWidget(QLabel("Begin this project with these classes?"))
        layout.addLayout(buttons)
        self.hide()


def _button(glyph: str, text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon(glyph))
    button.setText(text)
    button.setToolTip(tip)
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button
