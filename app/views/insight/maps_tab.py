"""A gate as a map: its colours, its number at the pointer, and all maps of a layer at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QToolButton

from app.inference.insight_messages import (
    Asked,
    InsightAnswer,
    MapAnswer,
    MapRequest,
    SheetAnswer,
    SheetRequest,
)
from app.session.insight import Insight
from app.views.icons import icon
from app.views.insight.color_bar import ColorBar
from app.views.insight.contact_sheet import ContactSheet
from app.views.insight.gate_chooser import GateChooser
from app.views.insight.shown_map import ShownMap, shown_gate
from app.views.insight.tab import InsightTab, reading
from app.views.insight.words import SHORT_NAMES
from mdlstm_core.config import DIRECTIONS
from mdlstm_core.insight.queries import Pixel


class MapsTab(InsightTab):
    """Shows the map that is chosen."""

    def __init__(self, insight: Insight, chooser: GateChooser) -> None:
        super().__init__(insight, chooser)
        self.bar = ColorBar()
        self.value: QLabel = reading()
        self._map: ShownMap | None = None
        self._answered: MapRequest | None = None
        self._sheet_answered: SheetRequest | None = None
        self._pixel: Pixel | None = None
        self.sheet = ContactSheet()
        self.sheet.hide()
        self.sheet.chosen.connect(self._on_cell)
        self.sheet_button = QToolButton()
        self.sheet_button.setText("Contact sheet of this layer")
        self.sheet_button.setIcon(icon("view-grid-outline"))
        self.sheet_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.sheet_button.setCheckable(True)
        self.sheet_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.sheet_button.setToolTip("All gates in all four directions; click one to see it large")
        self.sheet_button.toggled.connect(self._on_sheet)
        for widget in (self.bar, self.value, self.sheet_button, self.sheet):
            self.rows.addWidget(widget)
        self.rows.addStretch()

    def refresh(self) -> None:
        """See `InsightTab.refresh`."""
        query = self.chooser.query
        if self.is_drawn:
            self.insight.ask_map(query)
        elif self._map is not None:
            self._show(None)
        if self.sheet_button.isChecked() and not self.sheet.shows(query):
            self.insight.ask_sheet(query)
        self.sheet.mark(query)

    def take(self, answer: InsightAnswer) -> None:
        """See `InsightTab.take`."""
        if isinstance(answer, MapAnswer):
            if self.is_drawn:
                self._answered = cast("MapRequest", answer.request)
                self._show(shown_gate(answer.found, title=self._title()))
        elif isinstance(answer, SheetAnswer):
            self._sheet_answered = cast("SheetRequest", answer.request)
            self.sheet.set_maps(answer.maps, self._sheet_answered.query)
            self.sheet.mark(self.chooser.query)

    def forget(self) -> None:
        """See `InsightTab.forget`."""
        self._answered = self._sheet_answered = self._pixel = None
        self.sheet.clear()
        self._show(None)

    def model_changed(self) -> None:
        """See `InsightTab.model_changed`."""
        self.sheet.clear()

    def maps(self) -> Sequence[ShownMap]:
        """See `InsightTab.maps`."""
        return () if self._map is None else (self._map,)

    def point(self, pixel: Pixel | None) -> None:
        """See `InsightTab.point`: a look into the array that is there already."""
        self._pixel = pixel
        if self._map is None or pixel is None:
            self.value.setText(self._hint())
        else:
            row, column = self._map.cell_at(pixel)
            text = self._map.text_at(pixel)
            self.value.setText(f"<b>{text}</b> in row {row + 1}, column {column + 1} of the map")
        self.bar.point(pixel)

    @property
    def shown(self) -> tuple[Asked, ...]:
        """See `InsightTab.shown`: the contact sheet's maps where it is shown."""
        if self.sheet_button.isChecked() and self._sheet_answered is not None:
            return (self._sheet_answered,)
        return (self._answered,) if self._map and self._answered else ()

    def _hint(self) -> str:
        if self._map is None:
            return "Choose above where to see the map: over the image, or beside it."
        return "Point at the image to read a value."

    def _title(self) -> str:
        query = self.chooser.query
        name = SHORT_NAMES[query.gate]
        return f"{name}, layer {query.layer + 1}, from {DIRECTIONS[query.direction]}"

    def _show(self, shown: ShownMap | None) -> None:
        self._map = shown
        self.bar.set_map(shown)
        self.point(self._pixel)
        self.drawn.emit()

    def _on_sheet(self, wanted: bool) -> None:
        self.sheet.setVisible(wanted)
        if wanted:
            self.refresh()

    def _on_cell(self, direction: int, gate: str) -> None:
        self.chooser.choose(direction=direction, gate=gate)
