"""File › Open recent: the projects that were open last."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu

from app.settings import load_recent, save_recent


class RecentMenu(QMenu):
    """Lists the projects that were open, the latest first.

    Signals:
        chosen(Path): open this project, or the folder of one that has no file yet.
    """

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__("Open &recent")
        self.aboutToShow.connect(self.fill)
        self.fill()

    def fill(self) -> None:
        """List what is stored now."""
        self.clear()
        for number, (project, folder) in enumerate(load_recent().items(), start=1):
            mark = f"&{number}  " if number < 10 else ""
            name = str(folder).replace("&", "&&")
            action = self.addAction(f"{mark}{name}", partial(self._choose, project, folder))
            action.setStatusTip(str(project))
        if self.isEmpty():
            self.addAction("Nothing was open yet").setEnabled(False)
            return
        self.addSeparator()
        self.addAction("&Clear this list", partial(save_recent, {}))

    def _choose(self, project: Path, folder: Path) -> None:
        # A project without a stroke has no file: its images are opened.
        self.chosen.emit(project if project.is_file() else folder)
