"""Why this class here: a pixel's logits in parts, its context, and what a stroke changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.inference.insight_messages import (
    Asked,
    ContextAnswer,
    ContextRequest,
    HidingRequest,
    InsightAnswer,
    WhyAnswer,
    WhyRequest,
)
from app.session.insight import Insight
from app.views.icons import icon
from app.views.insight.changes import Changes
from app.views.insight.color_bar import ColorBar
from app.views.insight.contribution_bars import PART_COLORS, ContributionBars, parts_of, signed
from app.views.insight.gate_chooser import GateChooser
from app.views.insight.segments import Segment, Segments
from app.views.insight.shown_map import ShownMap, shown_context
from app.views.insight.tab import InsightTab, reading
from app.views.insight.units_list import UnitsList
from app.views.insight.words import ARROWS
from mdlstm_core.insight.queries import ContextQuery, Pixel

if TYPE_CHECKING:
    from mdlstm_core.insight.context import ContextMap

_SLICE_SECONDS = 0.12
"""For how long patches are hidden at once: what else is asked waits no longer."""

_CONTEXTS = {
    "gradient": Segment("Gradient", hint="How much each pixel of the image moves the logit"),
    "hiding": Segment("Hiding", hint="How far the logit falls when a patch is hidden"),
}


class WhyTab(InsightTab):
    """Splits the logits of the pixel under the pointer, or of the pinned one.

    Signals:
        pick_asked(bool): the next click on the image is to pin a pixel, or no more.
        unpin_asked: no pixel is to be pinned any more.
        unit_chosen(int, int): a direction and a unit of the last layer are to be shown.
    """

    pick_asked = Signal(bool)
    unpin_asked = Signal()
    unit_chosen = Signal(int, int)
    has_choice = False

    def __init__(self, insight: Insight, chooser: GateChooser) -> None:
        super().__init__(insight, chooser)
        self.answer: WhyAnswer | None = None
        self.context: ContextMap | None = None
        self._context_asked: Asked | None = None
        self._class: str | None = None
        self.changes = Changes()
        self._map: ShownMap | None = None
        self.pick = QToolButton()
        self.pick.setIcon(icon("map-marker-plus-outline"))
        self.pick.setCheckable(True)
        self.pick.setText("Pin")
        self.pick.setToolTip("The next click on the image pins a pixel; so does X at the pointer")
        self.pick.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.pick.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.pick.toggled.connect(self.pick_asked)
        self.unpin = QToolButton()
        self.unpin.setIcon(icon("close"))
        self.unpin.setAutoRaise(True)
        self.unpin.setToolTip("Unpin: follow the pointer again")
        self.unpin.setAccessibleName("Unpin")
        self.unpin.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.unpin.clicked.connect(self.unpin_asked)
        self.title: QLabel = reading()
        self.bars, self.units = ContributionBars(), UnitsList()
        self.bars.chosen.connect(self._choose_class)
        self.sum: QLabel = reading()
        self.change: QLabel = reading()
        self.label: QLabel = reading()
        self.units_button = QToolButton()
        self.units_button.setText("Units")
        self.units_button.setCheckable(True)
        self.units_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.units_button.setToolTip("The units of the last layer that count most; click for a map")
        self.units_button.toggled.connect(self.units.setVisible)
        self.units.hide()
        self.units.chosen.connect(self.unit_chosen)
        self.kind = Segments(_CONTEXTS)
        self.kind.chosen.connect(self._on_kind)
        self.bar = ColorBar()
        self._lay_out()
        self._show()

    def _lay_out(self) -> None:
        first = QHBoxLayout()
        first.addWidget(self.title, stretch=1)
        first.addWidget(self.unpin)
        first.addWidget(self.pick)
        last = QHBoxLayout()
        last.addWidget(QLabel("Context"))
        last.addWidget(self.kind, stretch=1)
        last.addWidget(self.units_button)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.bars, self.change, self.sum, self.label, self.units):
            column.addWidget(widget)
        column.addStretch()
        area = QScrollArea()
        area.setWidget(inside)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.rows.addLayout(first)
        self.rows.addWidget(area, stretch=1)
        self.rows.addLayout(last)
        self.rows.addWidget(self.bar)

    @property
    def class_index(self) -> int:
        """The class whose logit is told of: the chosen one, else the most probable."""
        if self.answer is None:
            return -1
        names = [c.name for c in self.answer.classes]
        return names.index(self._class) if self._class in names else self.bars_order()[0]

    def bars_order(self) -> list[int]:
        """Return the classes, the most probable first."""
        assert self.answer is not None
        logits = self.answer.parts.logits
        return sorted(range(len(logits)), key=lambda k: -float(logits[k]))

    def refresh(self) -> None:
        """See `InsightTab.refresh`."""
        if self.pin is not None:
            self._ask_context()
            self.insight.ask_why(self.pin, with_strokes=True)
        elif self._map is not None:
            self._set_context(None)

    def take(self, answer: InsightAnswer) -> None:
        """See `InsightTab.take`."""
        if isinstance(answer, WhyAnswer):
            self.answer = answer
            self.changes.take(answer)
            self._show()
        elif isinstance(answer, ContextAnswer):
            request = answer.request
            if not isinstance(request, ContextRequest):
                return
            is_hiding = isinstance(request, HidingRequest)
            if is_hiding != (self.kind.value == "hiding") or request.query != self._query():
                return
            self._context_asked = request
            self._set_context(answer.found)
            if isinstance(request, HidingRequest) and not answer.found.is_whole:
                self.insight.ask_hiding(request.query, answer.found)

    def refused(self, request: Asked) -> None:
        """See `InsightTab.refused`: the parts of the logits stay where only the context is."""
        if isinstance(request, ContextRequest):
            self._set_context(None)
        else:
            self.forget()

    def forget(self) -> None:
        """See `InsightTab.forget`."""
        self.answer = self._context_asked = self._class = None
        self.changes = Changes()
        self._set_context(None)
        self._show()

    def model_changed(self) -> None:
        """See `InsightTab.model_changed`."""
        self.changes.model_changed(is_trial=self.insight.is_trial)

    def set_pin(self, pixel: Pixel | None) -> None:
        """See `InsightTab.set_pin`."""
        super().set_pin(pixel)
        self.pick.setChecked(False)
        self._class = None
        self.said.emit(ContextRequest, "")
        self._set_context(None)
        self._show()

    def point(self, pixel: Pixel | None) -> None:
        """See `InsightTab.point`: the logits follow the pointer until a pixel is pinned."""
        if self.pin is None and pixel is not None:
            self.insight.ask_why(pixel)
        self.bar.point(pixel)

    def maps(self) -> Sequence[ShownMap]:
        """See `InsightTab.maps`."""
        return () if self._map is None else (self._map,)

    @property
    def shown(self) -> tuple[Asked, ...]:
        """See `InsightTab.shown`: the parts of the logits, and the context if it is drawn."""
        found: list[Asked] = []
        if self.answer is not None:
            assert isinstance(self.answer.request, WhyRequest)
            by_class, cause = self.changes.by_class, self.changes.cause
            found.append(replace(self.answer.request, changes=by_class, cause=cause))
        asked = self._context_asked
        if self.context is not None and isinstance(asked, HidingRequest):
            found.append(replace(asked, so_far=self.context))
        elif self.context is not None and asked is not None:
            found.append(asked)
        return tuple(found)

    def _on_kind(self) -> None:
        self.said.emit(ContextRequest, "")
        self._set_context(None)  # never one kind under the other's name
        self._ask_context()

    def _choose_class(self, index: int) -> None:
        if self.answer is not None:
            self._class = self.answer.classes[index].name
            self._show()
            self._ask_context()

    def _query(self) -> ContextQuery | None:
        """Return what context is wanted: of the chosen class, else of the most probable one."""
        if self.pin is None or not self.is_drawn:
            return None
        names = [c.name for c in self.insight.model_classes]
        if self._class is None:
            return ContextQuery(self.pin, seconds=_SLICE_SECONDS)
        if self._class in names:
            index = names.index(self._class)
            return ContextQuery(self.pin, index, seconds=_SLICE_SECONDS)
        self.said.emit(
            ContextRequest,
            f"{self._class} is new: the stored model has no logit for it yet; learn first.",
        )
        return None

    def _ask_context(self) -> None:
        query = self._query()
        if query is None:
            self._set_context(None)
        elif self.kind.value == "gradient":
            self.insight.ask_gradient(query)
        else:
            self.insight.ask_hiding(query)

    def _set_context(self, found: ContextMap | None) -> None:
        had_any = self._map is not None
        self.context = found
        by_hiding = self.kind.value == "hiding"
        self._map = None
        if found is not None:
            name = self.insight.model_classes[found.class_index].name
            self._map = shown_context(found, name, by_hiding=by_hiding)
        self.bar.set_map(self._map)
        if had_any or self._map is not None:
            self.drawn.emit()

    def show_label(self) -> None:
        """Say where the label drawn at the pixel is not that of the greatest logit, and why."""
        texts = []
        if self.answer is not None:
            assert isinstance(self.answer.request, WhyRequest)
            best = self.answer.classes[self.bars_order()[0]].name
            other = self.insight.other_class(self.answer.parts.pixel, best)
            if other:
                texts.append(f"Drawn here is another class: {other}.")
            if self.answer.request.is_live:
                texts.append(
                    "Live labels with a classifier of its own; these logits are of the model with "
                    "its last layer fit to your strokes."
                )
        self.label.setText(" ".join(texts))
        self.label.setVisible(bool(texts))

    def _show(self) -> None:
        """Show the parts of the answer."""
        answer = self.answer
        self.unpin.setVisible(self.pin is not None)
        for widget in (self.bars, self.sum, self.units_button):
            widget.setVisible(answer is not None)
        self.units.setVisible(answer is not None and self.units_button.isChecked())
        self.change.setVisible(answer is not None and bool(self.changes.by_class))
        self.show_label()
        if answer is None:
            self.title.setText("Point at the image; press X to pin a pixel.")
            return
        pixel, parts, index = answer.parts.pixel, parts_of(answer.parts), self.class_index
        place = "pinned" if pixel == self.pin else "under the pointer"
        self.title.setText(f"Pixel <b>{pixel.x}, {pixel.y}</b>, {place}")
        self.bars.set_parts(parts, answer.classes, self.changes.by_class, index)
        self.change.setText(self.changes.text)
        names = [*(f"{arrow}" for arrow in ARROWS.values()), "fine", "bias"]
        terms = "&nbsp; ".join(
            f'<span style="color:{color}">■</span>&nbsp;{name}&nbsp;{signed(value)}'
            for name, color, value in zip(names, PART_COLORS, parts[index].tolist(), strict=True)
        )
        logit = signed(float(answer.parts.logits[index]))
        self.sum.setText(f"{answer.classes[index].name}: {terms} = <b>{logit}</b>")
        self.units.set_units(answer.parts.units_KDH[index])
