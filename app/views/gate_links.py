"""How the gate explorer stands in the window."""

from __future__ import annotations

from PySide6.QtGui import QAction

from app.session import LabelingSession
from app.views.canvas.canvas_view import CanvasView
from app.views.dialogs.file_dialogs import ask_target_folder
from app.views.docks import Docks
from app.views.insight.explorer import GateExplorer
from app.views.insight.gates_panel import GatesPanel
from app.views.insight.side_by_side import SideBySide
from app.views.where_next import WhereNext


def link_gates(
    session: LabelingSession,
    canvas: CanvasView,
    beside: SideBySide,
    panel: GatesPanel,
    docks: Docks,
) -> GateExplorer:
    """Return what lets the panel ask the model and draw over and beside the canvas."""
    docks.watch("Gates", panel.set_seen)

    def show_panel() -> None:
        docks.show("Gates")
        panel.set_seen(True)  # at once; Qt tells when it has laid the tabs out

    return GateExplorer(
        session, canvas, beside, panel, show_panel, lambda: ask_target_folder(panel)
    )


def link_heat_maps(explorer: GateExplorer, where_next: WhereNext, action: QAction) -> None:
    """Show one map over the image at a time: a gate, or the uncertainty that `action` shows."""
    where_next.shown_changed.connect(lambda shown: explorer.hide_map() if shown else None)
    explorer.drawn_over.connect(lambda: action.setChecked(False))
