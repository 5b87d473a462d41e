"""Learning from corrections: the live switch, start, progress, stop."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.inference.messages import ModelInfo, Progress


class LearningPanel(QWidget):
    """Starts and stops learning and shows how it goes.

    Signals:
        learn_asked(int): learn now, for at most so many seconds.
        stop_asked: stop and keep what was learned.
    """

    learn_asked = Signal(int)
    stop_asked = Signal()

    def __init__(self, seconds: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _wrapped("The model is being loaded …")
        self._live = QToolButton()
        self._live.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._live_state = _wrapped("")
        self._seconds = QSpinBox()
        self._seconds.setRange(1, 3600)
        self._seconds.setValue(seconds)
        self._seconds.setSuffix(" s")
        self._seconds.setToolTip("Learning ends after this time at the latest")
        self._learn = QPushButton("Learn")
        self._learn.setToolTip("Learn from all corrections of this project (L)")
        self._stop = QPushButton("Stop")
        self._stop.setEnabled(False)
        self._stop.setToolTip("Stop and keep what was learned so far")
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setMaximum(1)
        self._state = _wrapped("Paint a correction, then let the model learn it.")
        self._has_model = self._is_learning = False
        self._last: Progress | None = None
        self._learn.setEnabled(False)
        # Space pans and digits choose a class, whatever was clicked last.
        for button in (self._live, self._learn, self._stop):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._seconds.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._learn.clicked.connect(self.ask)
        self._stop.clicked.connect(self._on_stop)
        self._lay_out()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self._learn)
        buttons.addWidget(self._stop)
        form = QFormLayout()
        form.addRow("Time limit", self._seconds)
        live = QHBoxLayout()
        live.addWidget(self._live)
        live.addWidget(self._live_state, stretch=1)
        layout = QVBoxLayout(self)
        layout.addWidget(self._model)
        layout.addLayout(live)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self._progress)
        layout.addWidget(self._state)
        layout.addStretch()

    @property
    def seconds(self) -> int:
        """The time limit."""
        return self._seconds.value()

    @property
    def state(self) -> str:
        """What is said of the learning."""
        return self._state.text()

    @property
    def live_state(self) -> str:
        """What is said of the live switch."""
        return self._live_state.text()

    def set_live_action(self, action: QAction) -> None:
        """Take what switches the model between following strokes and its own answer."""
        self._live.setDefaultAction(action)
        self.set_live(action.isChecked())

    def set_live(self, on: bool) -> None:
        """Say whether the model follows the strokes."""
        self._live_state.setText(
            "<b>On:</b> the labels follow each stroke" if on else "Off: the stored model's labels"
        )

    def ask(self) -> None:
        """Ask to learn, as the button does."""
        if self._learn.isEnabled():
            self.learn_asked.emit(self.seconds)

    def _on_stop(self) -> None:
        self._stop.setEnabled(False)
        self._state.setText("Stopping after this step …")
        self.stop_asked.emit()

    def set_model(self, info: ModelInfo | None) -> None:
        """Name the model that serves and the device really used, or say that none does."""
        self._has_model = info is not None
        self._model.setText(
            f"Model {info.preset} on {info.device} ({info.reason})" if info else "No model serves."
        )
        self._learn.setEnabled(self._has_model and not self._is_learning)

    def set_learning(self, learning: bool) -> None:
        """Show that learning is under way or has ended."""
        self._is_learning = learning
        self._learn.setEnabled(self._has_model and not learning)
        self._stop.setEnabled(learning)
        if learning:
            self._last = None
            self._state.setText("Preparing …")
            self._progress.setRange(0, 0)
            return
        self._progress.setRange(0, 1)
        self._progress.reset()
        last = self._last
        steps = "step" if last and last.step == 1 else "steps"
        ended = f"Ended after {last.step} {steps} · loss {last.loss:.3f}" if last else "Ended."
        self._state.setText(ended)

    def show_progress(self, progress: Progress) -> None:
        """Show a step."""
        self._last = progress
        self._progress.setRange(0, progress.steps)
        self._progress.setValue(progress.step)
        self._state.setText(
            f"Step {progress.step} of at most {progress.steps} · "
            f"loss on your corrections {progress.loss:.3f}"
        )


def _wrapped(text: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    return label
