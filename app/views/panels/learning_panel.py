"""Learning from corrections: the live switch, start, progress, stop, cancel, figures."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.inference.messages import Learned, ModelInfo, Progress
from app.storage.changes import CheckpointRow
from app.views.panels.figures_view import FiguresView
from app.views.panels.learning_plot import LearningPlot

_AT_FIRST = "Paint a correction, then let the model learn it."
_ORIGINS = {
    "start": "<b>Start:</b> the model before any learning serves.",
    "imported": "<b>Imported:</b> a model that was taken in serves.",
}


class LearningPanel(QWidget):
    """Starts and stops learning and shows how it goes.

    Signals:
        learn_asked(int): learn now, for at most so many seconds.
        stop_asked: stop and keep the best that was learned.
        cancel_asked: stop and keep nothing.
    """

    learn_asked = Signal(int)
    stop_asked = Signal()
    cancel_asked = Signal()

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
        self._stop.setToolTip("Stop and keep the best that was learned so far (Shift+L)")
        self._cancel = QPushButton("Cancel")
        self._cancel.setEnabled(False)
        self._cancel.setToolTip("Stop and keep nothing: the model stays as it was")
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setMaximum(1)
        self._progress.setMaximumHeight(10)
        self._progress.hide()
        self._state = _wrapped(_AT_FIRST)
        self.plot, self.figures = LearningPlot(), FiguresView()
        self._has_model = self._is_learning = self._is_closed = False
        self._end = ""
        self._last: Progress | None = None
        self._limit = seconds
        self._learn.setEnabled(False)
        # Space pans and digits choose a class, whatever was clicked last.
        for button in (self._live, self._learn, self._stop, self._cancel):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._seconds.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._learn.clicked.connect(self.ask)
        self._stop.clicked.connect(self.ask_stop)
        self._cancel.clicked.connect(self.ask_cancel)
        self._lay_out()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self._learn, self._stop, self._cancel):
            # As narrow as the panel: three words need not the usual width of a button.
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            buttons.addWidget(button)
        form = QFormLayout()
        form.addRow("Time limit", self._seconds)
        live = QHBoxLayout()
        live.addWidget(self._live)
        live.addWidget(self._live_state, stretch=1)
        content = QWidget()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(content)
        around = QVBoxLayout(self)
        around.setContentsMargins(0, 0, 0, 0)
        around.addWidget(area)
        layout = QVBoxLayout(content)
        layout.addWidget(self._model)
        layout.addLayout(live)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self._state)
        layout.addWidget(self._progress)
        layout.addWidget(self.plot)
        layout.addWidget(self.figures)
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

    def set_live(self, on: bool, left_out: str = "") -> None:
        """Say whether the model follows the strokes, and what it does not follow."""
        state = "<b>On:</b> the labels follow each stroke; what Learn brings is shown with Live off"
        if left_out:
            state += f". {left_out}"
        self._live_state.setText(state if on else "Off: the stored model's labels")

    def ask(self) -> None:
        """Ask to learn, as the button does."""
        if self._learn.isEnabled():
            self.learn_asked.emit(self.seconds)

    def ask_stop(self) -> None:
        """Ask to stop and keep the best so far, as the button does."""
        if self._stop.isEnabled():
            self._stop.setEnabled(False)
            self._state.setText("<b>Stopping …</b> The best so far is kept.")
            self.stop_asked.emit()

    def ask_cancel(self) -> None:
        """Ask to stop and keep nothing, as the button does."""
        if self._cancel.isEnabled():
            self._end = "<b>Cancelled.</b> Nothing was kept; the model before serves."
            self._stop.setEnabled(False)
            self._cancel.setEnabled(False)
            self._state.setText("<b>Cancelling …</b> Nothing is kept.")
            self.cancel_asked.emit()

    def set_model(self, info: ModelInfo | None) -> None:
        """Say which model serves, on which device and how closely it looks, or that none does."""
        self._has_model = info is not None
        self._model.setText(
            f"Model {info.preset} on {info.device} ({info.reason}); "
            f"it looks at up to {info.pixels:,} pixels of an image"
            if info
            else "No model serves."
        )
        self._learn.setEnabled(self._has_model and not self._is_learning)

    def set_learning(self, learning: bool) -> None:
        """Show that learning is under way or has ended."""
        self._is_learning = learning
        self._learn.setEnabled(self._has_model and not learning)
        self._stop.setEnabled(learning)
        self._cancel.setEnabled(learning)
        self._progress.setVisible(learning)
        if learning:
            self._last, self._is_closed = None, False
            self._limit = self.seconds  # what is set meanwhile is for the next run
            self._end = "<b>Ended</b> without a new model; the one before serves."
            self._state.setText("<b>Learning:</b> preparing … The model before serves.")
            self._progress.setRange(0, 0)
            self.plot.begin()
            return
        self._progress.setRange(0, 1)
        self._progress.reset()
        if not self._is_closed:
            self._state.setText(self._end)

    def forget(self) -> None:
        """Say nothing of models and runs so far, nor of one that goes on: its project is closed."""
        self._is_closed = self._is_learning
        self._progress.hide()
        self.show_checkpoint(None)
        self.figures.say("")

    def show_checkpoint(self, row: CheckpointRow | None) -> None:
        """Say where the model is from that serves now, and not by the run told of last."""
        self.plot.clear()
        if row is None:
            self._state.setText(_AT_FIRST)
        else:
            learned = f"<b>Learned</b> from {_strokes(row.strokes)}"
            self._state.setText(_ORIGINS.get(row.origin, learned))

    def show_progress(self, progress: Progress) -> None:
        """Show a step."""
        if self._is_closed:
            return
        self._last = progress
        self._progress.setRange(0, self._limit)
        self._progress.setValue(min(round(progress.seconds), self._limit))
        self.plot.add(progress)
        if self._stop.isEnabled():
            self._state.setText(
                f"<b>Learning:</b> step {progress.step}, {progress.seconds:.0f} s of at most "
                f"{self._limit} s · loss on your corrections {progress.loss:.3f}"
            )

    def show_storing(self) -> None:
        """Say that what a run led to is not kept yet."""
        self._state.setText("<b>Storing</b> what was learned … The model before serves.")

    def show_not_stored(self) -> None:
        """Say that what a run led to could not be kept."""
        self._state.setText("<b>Not stored.</b> The model before serves.")

    def show_learned(self, learned: Learned) -> None:
        """Show what a run led to, now that it is stored."""
        last = self._last
        how = "Stopped" if learned.stopped else "Learned"
        steps = f" after {last.step} {'step' if last.step == 1 else 'steps'}" if last else ""
        loss = f" · loss {last.loss:.3f}" if last else ""
        self._state.setText(f"<b>{how}</b>{steps} from {_strokes(learned.strokes)}{loss}")


def _strokes(number: int) -> str:
    return "1 stroke" if number == 1 else f"{number} strokes"


def _wrapped(text: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    return label
