"""Model › Use: the shipped models, and one from a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from resources import model_names


class ModelMenu(QMenu):
    """Lists the models to choose from.

    Signals:
        chosen(str | Path): let this one serve.
    """

    chosen = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__("&Use", parent)
        for name in model_names():
            self.addAction(name, partial(self.chosen.emit, name))
        self.addSeparator()
        self.addAction("From a &file …", self._ask)

    def _ask(self) -> None:
        name, _ = QFileDialog.getOpenFileName(
            self.parentWidget(), "Use a model", "", "Models (*.safetensors)"
        )
        if name:
            self.chosen.emit(Path(name))
