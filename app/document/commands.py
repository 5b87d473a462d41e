"""Undo commands: one for each kind of change."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QUndoCommand

from app.document.label_map import LabelMap, Patch


class EditCommand(QUndoCommand):
    """A person's edit of the corrections of an image."""

    def __init__(self, image: Path, corrections: LabelMap, patch: Patch, text: str) -> None:
        super().__init__(text)
        self.image = image
        self._corrections = corrections
        self._patch = patch

    def redo(self) -> None:
        """Set the edit's pixels."""
        self._corrections.apply(self._patch)

    def undo(self) -> None:
        """Set back what stood there."""
        self._corrections.revert(self._patch)
