"""What every tab of the gate explorer does."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.inference.insight_messages import Asked, InsightAnswer
from app.session.insight import Insight
from app.views.insight.gate_chooser import GateChooser
from app.views.insight.shown_map import ShownMap
from mdlstm_core.insight.queries import Pixel


class InsightTab(QWidget):
    """Asks for what it shows, and says what is to be drawn over the image.

    Only the tab in front is asked to do anything.

    Attributes:
        is_drawn: whether maps are wanted over the image or beside it.
        pin: the pixel that the user pinned, None if there is none.
        has_choice: whether the tab shows what the chooser says.

    Signals:
        drawn: something else is to be drawn over the image.
        said(type, str): something is to be said in the panel about questions of that kind.
    """

    drawn = Signal()
    said = Signal(type, str)
    has_choice = True

    def __init__(self, insight: Insight, chooser: GateChooser) -> None:
        super().__init__()
        self.insight, self.chooser = insight, chooser
        self.is_drawn = False
        self.pin: Pixel | None = None
        self.rows = QVBoxLayout(self)
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.rows.setSpacing(6)

    def refresh(self) -> None:
        """Ask for what is shown: it came to the front, or what it depends on changed."""
        raise NotImplementedError

    def take(self, answer: InsightAnswer) -> None:
        """Show an answer, if it is one to this tab."""
        raise NotImplementedError

    def refused(self, _request: Asked) -> None:
        """Show nothing of what has no answer."""
        self.forget()

    def forget(self) -> None:
        """Show nothing: another image is shown, or nobody looks any more."""
        raise NotImplementedError

    def maps(self) -> Sequence[ShownMap]:
        """Return the maps to draw; the first one is drawn where there is room for one."""
        return ()

    def point(self, pixel: Pixel | None) -> None:
        """Say what is under the pointer."""

    def set_pin(self, pixel: Pixel | None) -> None:
        """Take another pinned pixel."""
        self.pin = pixel

    def model_changed(self) -> None:
        """Take note that another model serves; `refresh` follows if this tab is in front."""

    @property
    def shown(self) -> tuple[Asked, ...]:
        """The questions whose answers are shown, to write these to files."""
        return ()


def note(text: str = "") -> QLabel:
    """Return a line of text that wraps, in the quiet colour."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    return label


def reading(text: str = "") -> QLabel:
    """Return a line of text that never makes its panel wider."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setMinimumWidth(40)
    return label
