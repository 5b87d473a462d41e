"""All images of a project, their corrections and the one undo history."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoStack

from app.document.commands import EditCommand
from app.document.edit import Edit
from app.document.label_map import LabelMap
from app.document.stroke import Box


class Project(QObject):
    """The images, in order, and everything that was painted on them.

    The corrections of an image that was opened stay in memory: the undo history reaches
    over all images.

    Signals:
        images_changed: images were added.
        corrections_changed(Path, Box): an image's corrections changed inside the box.
    """

    images_changed = Signal()
    corrections_changed = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self.undo_stack = QUndoStack(self)
        self.images: list[Path] = []
        self._corrections: dict[Path, LabelMap] = {}

    def add_images(self, paths: list[Path]) -> None:
        """Append images that are not there yet."""
        known = set(self.images)
        new = [path for path in dict.fromkeys(paths) if path not in known]
        if new:
            self.images += new
            self.images_changed.emit()

    def clear(self) -> None:
        """Forget all images and the history, for another project."""
        self.undo_stack.clear()
        self.images = []
        self._corrections = {}
        self.images_changed.emit()

    def corrections(self, image: Path) -> LabelMap | None:
        """Return an image's corrections if they are in memory."""
        return self._corrections.get(image)

    def set_corrections(self, image: Path, corrections: LabelMap) -> None:
        """Take an image's corrections, as they were loaded."""
        if self._corrections.get(image) is corrections:
            return
        self._corrections[image] = corrections
        corrections.changed.connect(partial(self.corrections_changed.emit, image))

    def edit(self, image: Path, edit: Edit) -> Box | None:
        """Change an image's corrections as one undoable step.

        Returns:
            where pixels changed, None if none did.
        """
        corrections = self._corrections[image]
        patch = corrections.patch(edit)
        if patch is None:
            return None
        self.undo_stack.push(EditCommand(image, corrections, patch, edit.text))
        return patch.box

    def image_of_undo(self) -> Path | None:
        """Return the image that the next undo changes."""
        return self._image_of(self.undo_stack.index() - 1)

    def image_of_redo(self) -> Path | None:
        """Return the image that the next redo changes."""
        return self._image_of(self.undo_stack.index())

    def _image_of(self, index: int) -> Path | None:
        command = self.undo_stack.command(index) if index >= 0 else None
        return command.image if isinstance(command, EditCommand) else None
