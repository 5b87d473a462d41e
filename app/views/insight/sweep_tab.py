"""The sweep, played: what a direction has computed when its wavefront is at a diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton

from app.inference.insight_messages import (
    Asked,
    InsightAnswer,
    MapAnswer,
    MapRequest,
    SweepRequest,
)
from app.session.insight import Insight
from app.views.icons import icon
from app.views.insight.color_bar import ColorBar
from app.views.insight.gate_chooser import GateChooser
from app.views.insight.shown_map import ShownMap, shown_gate
from app.views.insight.tab import InsightTab, reading
from mdlstm_core.config import DIRECTIONS
from mdlstm_core.insight.queries import Pixel
from mdlstm_core.insight.sweep import diagonal_count, diagonal_numbers, wavefront_at

_STEP_MS = 70


class SweepTab(InsightTab):
    """Plays the sweep of the chosen direction, forward and back."""

    def __init__(self, insight: Insight, chooser: GateChooser) -> None:
        super().__init__(insight, chooser)
        self._whole: ShownMap | None = None
        self._answered: MapRequest | None = None
        self._pixel: Pixel | None = None
        self._step = 1
        self._timer = QTimer(self)
        self._timer.setInterval(_STEP_MS)
        self._timer.timeout.connect(self._advance)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.slider.setRange(0, 0)
        self.slider.setAccessibleName("Diagonal")
        self.slider.valueChanged.connect(self._on_moved)
        self.back = self._button("rewind", "Play back", lambda: self.play(-1))
        self.previous = self._button("skip-previous", "A diagonal back", lambda: self._jump(-1))
        self.pause = self._button("pause", "Stop here", self.stop)
        self.next = self._button("skip-next", "A diagonal further", lambda: self._jump(1))
        self.forward = self._button("play", "Play", lambda: self.play(1))
        self.to_pin = self._button("map-marker", "To the pinned pixel", self._go_to_pin)
        self.state: QLabel = reading()
        self.bar = ColorBar()
        buttons = QHBoxLayout()
        buttons.setSpacing(2)
        for button in (self.back, self.previous, self.pause, self.next, self.forward):
            buttons.addWidget(button)
        buttons.addStretch()
        buttons.addWidget(self.to_pin)
        self.rows.addLayout(buttons)
        for widget in (self.slider, self.state, self.bar):
            self.rows.addWidget(widget)
        self.rows.addStretch()
        self._say()

    def _button(self, name: str, hint: str, slot: object) -> QToolButton:
        button = QToolButton()
        button.setIcon(icon(name))
        button.setToolTip(hint)
        button.setAccessibleName(hint)
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(slot)
        return button

    @property
    def diagonal(self) -> int:
        """The diagonal that the wavefront is at, from 0."""
        return self.slider.value()

    @property
    def is_playing(self) -> bool:
        """Whether the wavefront moves."""
        return self._timer.isActive()

    def play(self, step: int) -> None:
        """Let the wavefront run: 1 forward, -1 back; from its other end if it is at the end."""
        self._step = step
        end = self.slider.maximum() if step > 0 else 0
        if self.diagonal == end:
            self.slider.setValue(self.slider.maximum() - end)
        self._timer.start()

    def stop(self) -> None:
        """Let the wavefront stand still."""
        self._timer.stop()

    def refresh(self) -> None:
        """See `InsightTab.refresh`."""
        if self.is_drawn:
            self.insight.ask_map(self.chooser.query)
        else:
            self.forget()

    def take(self, answer: InsightAnswer) -> None:
        """See `InsightTab.take`."""
        if not isinstance(answer, MapAnswer) or not self.is_drawn:
            return
        request = cast("MapRequest", answer.request)
        turned = self._answered is None or (
            request.query.direction != self._answered.query.direction
        )
        self._answered, self._whole = request, shown_gate(answer.found)
        self.bar.set_map(self._whole)
        rows, columns = self._whole.values.shape[:2]
        last = diagonal_count(rows, columns) - 1
        share = self.diagonal / max(self.slider.maximum(), 1)
        is_first = self.slider.maximum() == 0
        self.slider.blockSignals(True)
        self.slider.setRange(0, last)
        start = last // 2 if is_first else round(share * last)
        self.slider.setValue(0 if turned and self.is_playing else start)
        self.slider.blockSignals(False)
        self._on_moved()

    def forget(self) -> None:
        """See `InsightTab.forget`."""
        self.stop()
        self._whole = self._answered = None
        self.bar.set_map(None)
        self._say()
        self.drawn.emit()

    def set_pin(self, pixel: Pixel | None) -> None:
        """See `InsightTab.set_pin`."""
        super().set_pin(pixel)
        self._on_moved()

    def point(self, pixel: Pixel | None) -> None:
        """See `InsightTab.point`."""
        self._pixel = pixel
        self.bar.point(pixel)
        self._say()

    def maps(self) -> Sequence[ShownMap]:
        """See `InsightTab.maps`: what is computed so far, the wavefront at its front."""
        whole, answered = self._whole, self._answered
        if whole is None or answered is None:
            return ()
        (rows, columns), direction = whole.values.shape[:2], answered.query.direction
        pinned = None if self.pin is None else whole.cell_at(self.pin)
        wavefront = wavefront_at(rows, columns, direction, self.diagonal, pinned)
        title = f"diagonal {self.diagonal + 1}, from {DIRECTIONS[direction]}"
        return (replace(whole, wavefront=wavefront, title=title),)

    @property
    def shown(self) -> tuple[Asked, ...]:
        """See `InsightTab.shown`: the map as far as the sweep has got."""
        asked = self._answered
        if asked is None:
            return ()
        return (SweepRequest(asked.image_path, asked.image, asked.query, self.diagonal, self.pin),)

    def _advance(self) -> None:
        at = self.diagonal + self._step
        self.slider.setValue(at)
        if not 0 < at < self.slider.maximum():
            self.stop()

    def _jump(self, step: int) -> None:
        self.stop()
        self.slider.setValue(self.diagonal + step)

    def _go_to_pin(self) -> None:
        """Go to where the pinned pixel's cell has just been computed."""
        if self._whole is None or self._answered is None:
            return
        if self.pin is None:
            self.said.emit(MapRequest, "Pin a pixel first: point at it and press X.")
            return
        rows, columns = self._whole.values.shape[:2]
        numbers = diagonal_numbers(rows, columns, self._answered.query.direction)
        self.stop()
        self.slider.setValue(int(numbers[self._whole.cell_at(self.pin)]))

    def _on_moved(self) -> None:
        self._say()
        if self._whole is not None:
            self.drawn.emit()

    def _say(self) -> None:
        self.to_pin.setEnabled(self._whole is not None)
        if self._whole is None or self._answered is None:
            self.state.setText("Choose above where to see the sweep.")
            return
        rows, columns = self._whole.values.shape[:2]
        text = f"Diagonal <b>{self.diagonal + 1}</b> of {self.slider.maximum() + 1}"
        if self._pixel is not None:
            numbers = diagonal_numbers(rows, columns, self._answered.query.direction)
            here = int(numbers[self._whole.cell_at(self._pixel)])
            value = self._whole.text_at(self._pixel)
            is_there = here <= self.diagonal
            text += f" · here <b>{value}</b>" if is_there else f" · reached at {here + 1}"
        self.state.setText(text)
