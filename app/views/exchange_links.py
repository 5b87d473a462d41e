"""File › Export labels and Import labels: their dialogs, and what the session answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from app.views.dialogs.export_dialog import Counts, ExportDialog
from app.views.dialogs.import_dialog import ImportDialog
from mdlstm_core.config import LabelClass

if TYPE_CHECKING:
    from app.views.main_window import MainWindow


def exchange_slots(window: MainWindow) -> dict[str, Callable[..., object]]:
    """Return what the two actions call, and let the window show what comes of it."""
    link = _ExchangeLink(window)
    return {"export-labels": link.open_export, "import-labels": link.open_import}


class _ExchangeLink(QObject):
    """Opens the dialogs and shows answers; an object, so that these come in its own thread."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        exchanger = window.session.exchanger
        exchanger.began.connect(self._on_began)
        exchanger.progressed.connect(self._on_progress)
        exchanger.ended.connect(self._on_ended)
        exchanger.said.connect(window.messages.say)
        exchanger.warned.connect(window.messages.warn)

    def open_export(self) -> None:
        """Ask what to export."""
        session, project = self._window.session, self._window.session.project
        if session.project_path is None:
            self._window.messages.say("There is nothing to export yet: open images first.")
            return
        done = sum(project.status(image) == "done" for image in project.images)
        shown = session.document.path if session.document else None
        counts = Counts(len(project.images), done, shown)
        dialog = ExportDialog(self._classes(), counts, self._window)
        dialog.asked.connect(session.exchanger.export)
        dialog.open()

    def open_import(self) -> None:
        """Ask what to import."""
        session = self._window.session
        if session.project_path is None:
            self._window.messages.say("Open the images first that the labels belong to.")
            return
        dialog = ImportDialog(self._classes(), self._window)
        dialog.plan_asked.connect(session.exchanger.plan)
        session.exchanger.planned.connect(dialog.show_plan)
        session.exchanger.unreadable.connect(dialog.show_problem)
        dialog.asked.connect(session.exchanger.run_import)
        dialog.open()

    def _classes(self) -> list[LabelClass]:
        """Return the project's classes in the order of their labels, as they are exported."""
        classes = self._window.session.project.classes.classes
        return [LabelClass(c.name, c.color) for c in sorted(classes, key=lambda c: c.label)]

    @Slot(str)
    def _on_began(self, text: str) -> None:
        self._window.status.busy.begin("exchange", text)

    @Slot(str, int, int)
    def _on_progress(self, text: str, done: int, whole: int) -> None:
        self._window.status.busy.progress("exchange", text, done, whole)

    @Slot()
    def _on_ended(self) -> None:
        self._window.status.busy.end("exchange")
