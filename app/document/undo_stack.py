"""The one history over all images and classes: bounded by bytes, kept on disk.

QUndoStack can neither be stored nor bounded by bytes; views connect to the same names.
"""

from __future__ import annotations

import bisect
import logging
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import QObject, Signal

from app.document.patch import Patch
from app.document.steps import RecentHistory, Step, StepHeader
from mdlstm_core.errors import InputError

MOST_BYTES = 256 << 20
"""Default bound of what the stored steps take on disk."""

_CACHED_BYTES = 4 << 20
"""Bound of the steps kept in memory, unless they are not stored yet."""


_BLOCK = 1000
"""Headers that are read at once when older steps are undone."""

_PRUNED = 50
"""The same when older steps are forgotten: with each stroke, once the history is full."""

_EMPTY = RecentHistory()

_log = logging.getLogger(__name__)


class StepSource(Protocol):
    """Where stored steps are read; all raise `InputError` if they cannot be."""

    def load_step(self, number: int) -> Step:
        """Return a step; without patches if it gave a class another label everywhere."""

    def load_headers(
        self, after: int, before: int, most: int, *, newest: bool = False
    ) -> list[StepHeader]:
        """Return at most so many steps between two numbers: the oldest, or the newest."""

    def load_patches(self, number: int, image: Path) -> list[Patch]:
        """Return the changes that a step made on an image."""


class UndoStack(QObject):
    """The steps that can be undone and made again, by their headers.

    The steps themselves are in memory until they are stored, and as long as there is room;
    after that `source` reads them. So it does headers of steps long past: there may be
    millions of them, and a project opens at once.

    Signals:
        canUndoChanged(bool), canRedoChanged(bool): as QUndoStack's.
        undoTextChanged(str), redoTextChanged(str): as QUndoStack's.
        indexChanged(int): as QUndoStack's.
    """

    canUndoChanged = Signal(bool)
    canRedoChanged = Signal(bool)
    undoTextChanged = Signal(str)
    redoTextChanged = Signal(str)
    indexChanged = Signal(int)

    def __init__(self, parent: QObject | None = None, most_bytes: int = MOST_BYTES) -> None:
        super().__init__(parent)
        self.most_bytes = most_bytes
        self.source: StepSource | None = None
        self._headers: list[StepHeader] = []
        self._index = 0
        self._older = 0
        """Steps before `_headers`, stored and not undone; if there are any, `_index` is not 0."""
        self._older_bytes = 0
        self._pruned = 0
        self._next = 1
        self._bytes = 0
        self._steps: dict[int, Step] = {}
        self._cached_bytes = 0
        self._unstored: set[int] = set()

    def reset(self, history: RecentHistory = _EMPTY) -> None:
        """Take another history; all of it is stored."""
        headers, done, self._older, self._older_bytes = history
        self._headers, self._pruned = list(headers), 0
        self._index = bisect.bisect_right(headers, done, key=lambda h: h.number)
        self._next = max(done, headers[-1].number if headers else 0) + 1
        self._bytes = self._older_bytes + sum(h.size for h in headers)
        self._steps, self._cached_bytes, self._unstored = {}, 0, set()
        self._tell()

    @property
    def headers(self) -> tuple[StepHeader, ...]:
        """The newest steps, oldest first; all of them unless they are thousands."""
        return tuple(self._headers)

    @property
    def next_number(self) -> int:
        """The number of the next new step."""
        return self._next

    @property
    def stored_bytes(self) -> int:
        """What the stored steps take on disk."""
        return self._bytes

    def index(self) -> int:
        """Return how many of the steps were not undone."""
        return self._older + self._index

    def count(self) -> int:
        """Return how many steps there are."""
        return self._older + len(self._headers)

    def canUndo(self) -> bool:  # noqa: N802
        """Return whether there is a step to undo."""
        return self._index > 0

    def canRedo(self) -> bool:  # noqa: N802
        """Return whether there is a step to make again."""
        return self._index < len(self._headers)

    def undoText(self) -> str:  # noqa: N802
        """Return what the next undo takes back."""
        return self._headers[self._index - 1].text if self.canUndo() else ""

    def redoText(self) -> str:  # noqa: N802
        """Return what the next redo makes again."""
        return self._headers[self._index].text if self.canRedo() else ""

    def to_undo(self) -> StepHeader | None:
        """Return the step that the next undo takes back."""
        return self._headers[self._index - 1] if self.canUndo() else None

    def to_redo(self) -> StepHeader | None:
        """Return the step that the next redo makes again."""
        return self._headers[self._index] if self.canRedo() else None

    def is_stored(self, number: int) -> bool:
        """Return whether a step is on disk."""
        return number not in self._unstored

    def push(self, step: Step) -> None:
        """Append a step that was made just now; those that were undone are forgotten."""
        for header in self._headers[self._index :]:
            self._forget(header)
        del self._headers[self._index :]
        self._headers.append(StepHeader(step.number, step.text, step.image))
        self._index += 1
        self._next = step.number + 1
        self._unstored.add(step.number)
        self._keep(step)
        self._tell()

    def step(self, header: StepHeader) -> Step:
        """Return a step, loaded if it is not in memory.

        Raises:
            InputError: it cannot be loaded.
        """
        found = self._steps.get(header.number)
        if found is None:
            assert self.source is not None
            found = self.source.load_step(header.number)
            self._keep(found)
        return found

    def move(self, by: int) -> None:
        """Note that a step was undone (-1) or made again (+1)."""
        self._index += by
        if not self._index and self._older:
            found = self._read_older(_BLOCK, newest=True)
            self._headers[:0] = found
            self._index = len(found)
            self._older -= len(found)
            self._older_bytes -= sum(h.size for h in found)
        self._tell()

    def mark_stored(self, number: int, size: int) -> None:
        """Note that a step is on disk, in so many bytes; it may leave memory now."""
        self._unstored.discard(number)
        place = bisect.bisect_left(self._headers, number, key=lambda h: h.number)
        if place < len(self._headers) and self._headers[place].number == number:
            header = self._headers[place]
            self._bytes += size - header.size
            self._headers[place] = header._replace(size=size)
        self._trim()

    def prune(self) -> int | None:
        """Forget the oldest steps while all take more than `most_bytes`.

        Returns:
            the number of the last one forgotten, None if all are kept. The newest step
            stays whatever its size.
        """
        last = self._prune_older()
        pruned, excess = 0, self._bytes - self.most_bytes
        while not self._older and excess > 0 and pruned < self._index - 1 and self._is_old(pruned):
            excess -= self._headers[pruned].size
            pruned += 1
        if pruned:
            last = self._pruned = self._headers[pruned - 1].number
        for header in self._headers[:pruned]:
            self._forget(header)
        del self._headers[:pruned]
        self._index -= pruned
        if last is not None:
            self._tell()
        return last

    def _prune_older(self) -> int | None:
        """Forget steps that are not in memory; return the number of the last one, if any."""
        last = None
        while self._older and self._bytes > self.most_bytes:
            for header in self._read_older(_PRUNED, newest=False):
                if self._bytes <= self.most_bytes:
                    break
                self._bytes -= header.size
                self._older_bytes -= header.size
                self._older -= 1
                last = self._pruned = header.number
        return last

    def _read_older(self, most: int, *, newest: bool) -> list[StepHeader]:
        """Return some of the steps before `_headers`, the newest or the oldest of them.

        If they cannot be read, they are not spoken of any more.
        """
        assert self.source is not None
        found: list[StepHeader] = []
        try:
            found = self.source.load_headers(
                self._pruned, self._headers[0].number, most, newest=newest
            )
        except InputError:
            _log.exception("reading the history")
        if not found:
            self._bytes -= self._older_bytes
            self._older = self._older_bytes = 0
        return found

    def _is_old(self, place: int) -> bool:
        return self._headers[place].number not in self._unstored

    def _forget(self, header: StepHeader) -> None:
        self._bytes -= header.size
        self._unstored.discard(header.number)
        self._drop(header.number)

    def _keep(self, step: Step) -> None:
        self._drop(step.number)
        self._steps[step.number] = step
        self._cached_bytes += step.nbytes
        self._trim()

    def _drop(self, number: int) -> None:
        step = self._steps.pop(number, None)
        self._cached_bytes -= step.nbytes if step else 0

    def _trim(self) -> None:
        """Let the oldest stored steps leave memory while there is too little room."""
        if self._cached_bytes <= _CACHED_BYTES:
            return
        for number in list(self._steps)[:-1]:
            if self._cached_bytes <= _CACHED_BYTES:
                return
            if number not in self._unstored:
                self._drop(number)

    def _tell(self) -> None:
        self.canUndoChanged.emit(self.canUndo())
        self.canRedoChanged.emit(self.canRedo())
        self.undoTextChanged.emit(self.undoText())
        self.redoTextChanged.emit(self.redoText())
        self.indexChanged.emit(self.index())
