"""The few things that are set once and for all."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.settings import COLOR_SCHEMES, HISTORY_MB, Settings
from mdlstm_core.config import DEVICE_NAMES

_SCHEME_WORDS = {"system": "As the system", "light": "Light", "dark": "Dark"}
_DEVICE_WORDS = {"auto": "The fastest there is", "cpu": "Processor (CPU)", "cuda": "GPU (CUDA)"}


class PreferencesDialog(QDialog):
    """Changes take effect at once, but for the device.

    Signals:
        history_chosen(int): what a project's undo history may take on disk, in MB.
        scheme_chosen(str): what the window's colours follow.
        device_chosen(str): where the model is to run from the next start on.
    """

    history_chosen = Signal(int)
    scheme_chosen = Signal(str)
    device_chosen = Signal(str)

    def __init__(
        self, settings: Settings, scheme: str, history_bytes: int, parent: QWidget | None = None
    ) -> None:
        """Show the settings; `history_bytes` is what the present project's history takes."""
        super().__init__(parent)
        self.setWindowTitle("Preferences")
        self.history, self.scheme, self.device = QSpinBox(), QComboBox(), QComboBox()
        self.history.setRange(HISTORY_MB[0], HISTORY_MB[-1])
        self.history.setSuffix(" MB")
        self.history.setSingleStep(64)
        self.history.setValue(settings.history_mb)
        self._fill(self.scheme, COLOR_SCHEMES, _SCHEME_WORDS, scheme)
        self._fill(self.device, DEVICE_NAMES, _DEVICE_WORDS, settings.device)
        # When it is typed to the end: on the way to 1024 it is 1, which would forget everything.
        self.history.setKeyboardTracking(False)
        self.history.editingFinished.connect(self._on_history)
        self.scheme.activated.connect(lambda: self.scheme_chosen.emit(self.scheme.currentData()))
        self.device.activated.connect(lambda: self.device_chosen.emit(self.device.currentData()))
        self._chosen_mb = settings.history_mb
        self._lay_out(history_bytes)

    def _lay_out(self, history_bytes: int) -> None:
        form = QFormLayout()
        form.setVerticalSpacing(6)
        rows = (
            (
                "Undo history",
                self.history,
                "Of each project, on disk; the oldest steps are forgotten beyond it and cannot "
                f"be undone then. This project's history takes {history_bytes / 2**20:.1f} MB.",
            ),
            ("Colours", self.scheme, ""),
            ("The model runs on", self.device, "From the next start on."),
        )
        for text, field, note in rows:
            form.addRow(text, field)
            if note:
                form.addRow("", _note(note))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 14)
        layout.setSpacing(14)
        layout.addLayout(form)
        layout.addWidget(buttons)
        self.setMinimumWidth(440)

    def done(self, result: int) -> None:
        """Take what is typed, and close."""
        self._on_history()
        super().done(result)

    def _on_history(self) -> None:
        megabytes = self.history.value()
        if megabytes != self._chosen_mb:
            self._chosen_mb = megabytes
            self.history_chosen.emit(megabytes)

    def _fill(
        self, box: QComboBox, names: tuple[str, ...], words: dict[str, str], chosen: str
    ) -> None:
        for name in names:
            box.addItem(words.get(name, name), name)
        box.setCurrentIndex(box.findData(chosen))


def _note(text: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setForegroundRole(label.palette().ColorRole.PlaceholderText)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
