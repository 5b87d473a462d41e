"""The same map of two models side by side, and what the second has more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLabel

from app.inference.insight_messages import Asked, InsightAnswer, PairAnswer, PairRequest
from app.session.insight import Before, Insight
from app.views.insight.color_bar import ColorBar
from app.views.insight.gate_chooser import GateChooser
from app.views.insight.segments import Segment, Segments
from app.views.insight.shown_map import ShownMap, number, shown_gate
from app.views.insight.tab import InsightTab, reading
from mdlstm_core.errors import InputError
from mdlstm_core.insight.drawing import is_signed, scale_of
from mdlstm_core.insight.queries import Pixel

_BEFORE: dict[Before, str] = {
    "learning": "Before the last learning",
    "base": "What the project began with",
}
_PARTS = {
    "before": Segment("Before", hint="Over the image: the model before"),
    "after": Segment("After", hint="Over the image: the model that serves"),
    "difference": Segment("Difference", hint="Over the image: after less before"),
}


class CompareTab(InsightTab):
    """Compares the model that serves with one before it."""

    def __init__(self, insight: Insight, chooser: GateChooser) -> None:
        super().__init__(insight, chooser)
        self._maps: dict[str, ShownMap] = {}
        self._answered: PairRequest | None = None
        self._pixel: Pixel | None = None
        self.before = QComboBox()
        for name, text in _BEFORE.items():
            self.before.addItem(text, name)
        self.before.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.before.currentIndexChanged.connect(self.refresh)
        self.part = Segments(_PARTS)
        self.part.choose("difference")
        self.part.chosen.connect(lambda _part: self.drawn.emit())
        self.bars = {name: ColorBar() for name in ("before", "difference")}
        self.value: QLabel = reading()
        self.amount: QLabel = reading()
        for widget in (self.before, self.part, *self.bars.values(), self.value, self.amount):
            self.rows.addWidget(widget)
        self.rows.addStretch()
        self._say()

    def refresh(self) -> None:
        """See `InsightTab.refresh`."""
        if not self.is_drawn:
            self.forget()
            return
        try:
            self.insight.ask_pair(self.chooser.query, self.before.currentData())
        except InputError as error:
            self.forget()
            self.said.emit(PairRequest, str(error))

    def take(self, answer: InsightAnswer) -> None:
        """See `InsightTab.take`."""
        if not isinstance(answer, PairAnswer) or not self.is_drawn:
            return
        self._answered = cast("PairRequest", answer.request)
        pair = answer.pair
        values = [pair.before.values, pair.after.values]
        scale = scale_of(values, signed=is_signed(pair.before.query.gate))
        shown = shown_gate(pair.before, scale, "before")
        change = pair.difference
        self._maps = {
            "before": shown,
            "after": shown_gate(pair.after, scale, "after"),
            "difference": ShownMap(
                change,
                shown.cell_pixels,
                scale_of([change], signed=True),
                "after less before",
                f"difference of {shown.label}",
            ),
        }
        for name, bar in self.bars.items():
            bar.set_map(self._maps[name])
        self._say()
        self.drawn.emit()

    def forget(self) -> None:
        """See `InsightTab.forget`."""
        self._maps, self._answered = {}, None
        for bar in self.bars.values():
            bar.set_map(None)
        self._say()
        self.drawn.emit()

    def maps(self) -> Sequence[ShownMap]:
        """See `InsightTab.maps`: the chosen part first."""
        if not self._maps:
            return ()
        return (self._maps[self.part.value], *self._maps.values())

    def point(self, pixel: Pixel | None) -> None:
        """See `InsightTab.point`."""
        self._pixel = pixel
        for bar in self.bars.values():
            bar.point(pixel)
        self._say()

    @property
    def shown(self) -> tuple[Asked, ...]:
        """See `InsightTab.shown`."""
        return (self._answered,) if self._answered else ()

    def _say(self) -> None:
        self.amount.setVisible(bool(self._maps))
        if not self._maps:
            self.value.setText("Choose above where to see the maps.")
            return
        change = self._maps["difference"].values
        largest = number(float(np.abs(change).max()))
        mean = number(float(np.abs(change).mean()))
        self.amount.setText(f"Changed by {mean} on average, by {largest} at most.")
        if self._pixel is None:
            self.value.setText("Point at the image to read values.")
            return
        before, after, less = (self._maps[name].text_at(self._pixel) for name in _PARTS)
        self.value.setText(f"{before} → {after} · difference <b>{less}</b>")
