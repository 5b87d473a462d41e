"""The status line: what the tool does, what is under the pointer, what takes its time."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QSizePolicy, QStatusBar, QWidget

from app.document.document import ImageDocument
from mdlstm_core.config import LabelClass
from mdlstm_core.data.display_window import DisplayWindow

_PATIENCE_MS = 500
"""What takes longer shows that it is under way."""


class StatusLine:
    """Fills a window's status bar."""

    def __init__(self, bar: QStatusBar) -> None:
        bar.setSizeGripEnabled(False)
        self.hint = _ElidedLabel()
        self.pixel, self.zoom = QLabel(), QLabel()
        self.busy = BusyBar()
        self.unsaved = QLabel("⚠ Not stored")
        self.unsaved.setToolTip("Strokes are in memory only; make room on the project's disk")
        self.unsaved.hide()
        self.read_only = QLabel("Read-only")
        self.read_only.setStyleSheet("color: white; background: #8a5a00; padding: 0 6px;")
        self.read_only.setToolTip(
            "Another window has this project open, or its file cannot be written. "
            "Close that window, or make the file writable, and open the project again to label."
        )
        self.read_only.hide()
        self.live = QLabel("● Live")
        self.live.setStyleSheet("color: white; background: #b3261e; padding: 0 6px;")
        self.set_live(False)
        self.zoom.setContentsMargins(0, 0, 8, 0)
        self.zoom.setMinimumWidth(self.zoom.fontMetrics().horizontalAdvance("6400 %%"))
        self.zoom.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        bar.addWidget(self.hint, stretch=1)
        for widget in (self.busy, self.unsaved, self.read_only, self.live, self.pixel, self.zoom):
            bar.addPermanentWidget(widget)

    def set_live(self, on: bool, left_out: str = "") -> None:
        """Show whether the model follows the strokes, and say what it does not follow."""
        tip = "The labels follow your strokes; switch it off in the Model menu"
        self.live.setToolTip(f"{tip}. {left_out}" if left_out else tip)
        self.live.setVisible(on)

    def show_pixel(
        self, document: ImageDocument | None, classes: tuple[LabelClass, ...], x: int, y: int
    ) -> None:
        """Say what is known of a pixel, nothing if it lies outside the image."""
        pixel = document.pixel(x, y) if document else None
        if document is None or pixel is None:
            self.pixel.clear()
            return
        text = f"x {x}  y {y}  ·  {_value(document, x, y)}"
        if pixel.label < len(classes):
            text += f"  ·  {classes[pixel.label].name}"
            text += "  (yours)" if pixel.by_person else f"  (model, {pixel.confidence:.0%} sure)"
        self.pixel.setText(text)


def _value(document: ImageDocument, x: int, y: int) -> str:
    """Return what stands in the file at a pixel; of huge images what it is about."""
    picture = document.picture
    red, green, blue = document.image[y, x]
    if picture is None or picture.window is None:
        return f"R {red} G {green} B {blue}"
    if picture.values is not None:
        found = [str(value) for value in np.atleast_1d(picture.values[y, x])]
    else:
        found = [_about(picture.window, value) for value in document.image[y, x].tolist()]
        found = found[:1] if len(set(found)) == 1 else found
    if len(found) == 1:
        return f"value {found[0]}"
    return " ".join(f"{name} {value}" for name, value in zip("RGB", found, strict=True))


def _about(window: DisplayWindow, shown: int) -> str:
    """Return which value is shown as this one, 0 to 255."""
    about = window.low + (window.high - window.low) * shown / 255
    sign = {0: "≤", 255: "≥"}.get(shown, "≈")
    return f"{sign} {about:.4g}"


class BusyBar(QWidget):
    """Shows what is under way once it takes over half a second."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._jobs: dict[str, str] = {}
        self._text = QLabel()
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(110)
        self._bar.setMaximumHeight(10)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 8, 0)
        layout.addWidget(self._text)
        layout.addWidget(self._bar)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PATIENCE_MS)
        self._timer.timeout.connect(self.show)
        self.hide()

    @property
    def text(self) -> str:
        """What is said to be under way, empty if nothing is."""
        return self._text.text() if self._jobs else ""

    def is_under_way(self, job: str) -> bool:
        """Whether something was begun and is not over."""
        return job in self._jobs

    def begin(self, job: str, text: str) -> None:
        """Say that something is under way."""
        self._jobs[job] = text
        self._text.setText(text)
        self._bar.setRange(0, 0)
        if self.isHidden() and not self._timer.isActive():
            self._timer.start()

    def progress(self, job: str, text: str, done: int, whole: int) -> None:
        """Say how far it is."""
        if job in self._jobs:
            self._jobs[job] = text
            self._text.setText(text)
            self._bar.setRange(0, whole)
            self._bar.setValue(done)

    def end(self, job: str) -> None:
        """Say that it is over."""
        self._jobs.pop(job, None)
        if self._jobs:
            self._text.setText(next(reversed(self._jobs.values())))
            self._bar.setRange(0, 0)
        else:
            self._timer.stop()
            self.hide()


class _ElidedLabel(QLabel):
    """A line of text that is cut where there is no room, and whole in its tool tip."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setContentsMargins(6, 0, 6, 0)

    def setText(self, text: str) -> None:
        super().setText(text)
        self.setToolTip(text)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        area = self.contentsRect()
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        painter.end()
