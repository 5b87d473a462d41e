"""Keeps every change on disk, or in mind until the disk takes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.storage.project_file import ProjectFile
from mdlstm_core.config import LabelClass
from mdlstm_core.errors import InputError

_RETRY_MS = 5000

Box = tuple[int, int, int, int]


class Journal(QObject):
    """Writes corrections into a project file as they change.

    What cannot be written is tried again until it can: the disk may be full for a while.

    Signals:
        failed(str): changes cannot be stored for now, and why.
        stored: all changes are on disk again.
    """

    failed = Signal(str)
    stored = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.file: ProjectFile | None = None
        self.classes: tuple[LabelClass, ...] = ()
        self._unsaved: dict[Path, tuple[NDArray[np.uint8], Box]] = {}
        self._retry = QTimer(self)
        self._retry.setInterval(_RETRY_MS)
        self._retry.timeout.connect(self.store)

    @property
    def has_unsaved(self) -> bool:
        """Whether changes are only in memory."""
        return bool(self._unsaved)

    def record(self, image: Path, values_HW: NDArray[np.uint8], box: Box) -> None:
        """Store what changed of a label map inside a box (top, left, bottom, right).

        Args:
            image: whose corrections they are.
            values_HW: a view of them, from which they are read again if storing fails.
            box: where they changed.
        """
        if image in self._unsaved:
            _, before = self._unsaved[image]
            top, left = min(box[0], before[0]), min(box[1], before[1])
            box = (top, left, max(box[2], before[2]), max(box[3], before[3]))
        self._unsaved[image] = (values_HW, box)
        self.store()

    @Slot()
    def store(self) -> bool:
        """Write what is not on disk yet; return whether all of it is now."""
        had_failed = self._retry.isActive()
        try:
            self._write()
        except InputError as error:
            if not had_failed:
                self.failed.emit(str(error))
            self._retry.start()
            return False
        self._retry.stop()
        if had_failed:
            self.stored.emit()
        return True

    def close(self) -> None:
        """Close the project file; what could not be stored is lost with the journal."""
        self.store()
        self._retry.stop()
        self._unsaved.clear()
        if self.file:
            self.file.close()
            self.file = None

    def _write(self) -> None:
        if self.file is None:
            return
        if self._unsaved and not self.file.classes():
            self.file.save_classes(self.classes)
        for image, (values, box) in list(self._unsaved.items()):
            self.file.save_corrections(image, values, box)
            del self._unsaved[image]
