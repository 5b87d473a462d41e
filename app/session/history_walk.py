"""Undoing and making again where it is seen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PySide6.QtCore import QObject, Slot

from app.document.document import ImageDocument
from app.document.project import Project
from app.document.steps import StepHeader


class _Awaited(NamedTuple):
    """A step whose image is being read; `header` returns the step that is next."""

    step: StepHeader
    header: Callable[[], StepHeader | None]
    go: Callable[[], None]
    fate: str


class HistoryWalk(QObject):
    """Undoes steps and makes them again; one on another image waits until that is shown.

    Until then nothing else is undone: nobody would see it.
    """

    def __init__(
        self,
        project: Project,
        shown: Callable[[], Path | None],
        show: Callable[[Path], None],
        change: Callable[[Callable[[], object]], None],
    ) -> None:
        """Take the project.

        Args:
            project: whose history it is.
            shown: returns the image that is shown.
            show: shows another one, later.
            change: does what changes the project, or says why it cannot be changed.
        """
        super().__init__()
        self._project, self._shown, self._show, self._change = project, shown, show, change
        self._awaited: _Awaited | None = None

    def undo(self) -> None:
        """Take back the last step."""
        self._walk(self._project.undo_stack.to_undo, self._project.undo, "undone")

    def redo(self) -> None:
        """Make the last step taken back again."""
        self._walk(self._project.undo_stack.to_redo, self._project.redo, "made again")

    def go_on(self) -> None:
        """Do what waited for the image that is shown now, unless something else is next."""
        awaited, self._awaited = self._awaited, None
        step = awaited.header() if awaited else None
        if awaited is None or step is None or step.number != awaited.step.number:
            return
        if self._shown() == step.image:
            self._change(awaited.go)

    def told(self, image: Path, reason: str) -> str:
        """Return why an image cannot be shown, and what therefore is not done."""
        awaited = self._awaited
        if awaited is None or awaited.step.image != image:
            return reason
        self._awaited = None
        return f"“{awaited.step.text}” is not {awaited.fate}, its image cannot be shown: {reason}"

    @Slot(object)
    def on_asked(self, image: Path) -> None:
        """Wait no more if another image is wanted."""
        if self._awaited is not None and self._awaited.step.image != image:
            self._awaited = None

    @Slot(object)
    def on_document(self, document: ImageDocument | None) -> None:
        """Wait no more if no image is shown: another project is being opened."""
        if document is None:
            self._awaited = None

    def _walk(
        self, header: Callable[[], StepHeader | None], go: Callable[[], None], fate: str
    ) -> None:
        step = header()
        if step is None or self._awaited is not None:
            return
        if step.image is None or step.image == self._shown():
            self._change(go)
        else:
            self._change(partial(self._wait, _Awaited(step, header, go, fate), step.image))

    def _wait(self, awaited: _Awaited, image: Path) -> None:
        self._awaited = awaited
        self._show(image)
