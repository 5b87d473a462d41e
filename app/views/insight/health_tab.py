"""Whether the gates still regulate: a table with small plots."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea

from app.inference.insight_messages import Asked, HealthAnswer, InsightAnswer
from app.session.insight import Insight
from app.views.insight.gate_chooser import GateChooser
from app.views.insight.health_table import HealthTable
from app.views.insight.tab import InsightTab, note
from mdlstm_core.insight.health import CLOSED, OPEN


class HealthTab(InsightTab):
    """Shows saturation and growth of every layer and direction, anew after each learning."""

    has_choice = False

    def __init__(self, insight: Insight, chooser: GateChooser) -> None:
        super().__init__(insight, chooser)
        self.table = HealthTable()
        self._answered: Asked | None = None
        area = QScrollArea()
        area.setWidget(self.table)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.rows.addWidget(
            note(
                f"Percent of gate values below {CLOSED} (closed, blue) and above {OPEN} (open, "
                "orange); mean cell state along the sweep, without sign, and its growth. Grey: "
                "before the last learning."
            )
        )
        self.rows.addWidget(area, stretch=1)

    def refresh(self) -> None:
        """See `InsightTab.refresh`."""
        self.insight.ask_health()

    def take(self, answer: InsightAnswer) -> None:
        """See `InsightTab.take`."""
        if isinstance(answer, HealthAnswer):
            assert isinstance(answer.request, Asked)
            self._answered = answer.request
            self.table.set_rows(answer.rows, answer.before)

    def forget(self) -> None:
        """See `InsightTab.forget`."""
        self._answered = None
        self.table.set_rows(())

    @property
    def shown(self) -> tuple[Asked, ...]:
        """See `InsightTab.shown`."""
        return (self._answered,) if self._answered else ()
