"""Finding images again that are not where they were."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QThreadPool, Signal, Slot

from app.session.stored_project import StoredProject
from app.storage.changes import Fingerprint
from app.storage.fingerprint import find_moved, may_be_moved
from mdlstm_core.data.pages import pages_of

_log = logging.getLogger(__name__)


class MovedImages(QObject):
    """Looks for missing images among files that the user opens, in a thread of its own.

    Signals:
        began: a search is under way.
        progressed(int, int): how many files were looked at, and of how many.
        ended: no search is under way any more.
        searched(dict[Path, Path], list[Path]): where missing images are now, by their old
            paths, and the images that were given.
    """

    began = Signal()
    progressed = Signal(int, int)
    ended = Signal()
    searched = Signal(object, object)
    _answered = Signal(object, object, object)

    def __init__(self, stored: StoredProject) -> None:
        super().__init__()
        self._stored = stored
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._stop = threading.Event()
        self._answered.connect(self._on_answered)

    def search(self, images: Sequence[Path]) -> bool:
        """Begin to look for missing images among these; return whether there may be some.

        A search under way is given up.
        """
        self.stop()
        missing = dict(self._stored.files.missing)
        candidates = may_be_moved(missing, self._stored.files.unknown_of(images))
        if candidates:
            self.began.emit()
            self._pool.start(partial(self._look, missing, candidates, list(images), self._stop))
        return bool(candidates)

    def stop(self) -> None:
        """Give up a search under way; nothing is heard of it."""
        self._stop.set()
        self._stop = threading.Event()
        self.ended.emit()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._pool.waitForDone()

    def _look(
        self,
        missing: Mapping[Path, Fingerprint],
        candidates: Sequence[Path],
        images: list[Path],
        stop: threading.Event,
    ) -> None:
        """Search; called in the pool's thread."""
        found: dict[Path, Path] = {}
        try:
            pages = [page for file in candidates for page in pages_of(file)]
            found = find_moved(missing, pages, self._counter(len(pages), stop))
        except Exception:  # nothing is found then, and the images go on missing
            _log.exception("looking for moved images")
        self._answered.emit(stop, found, images)

    def _counter(self, whole: int, stop: threading.Event) -> Callable[[int], bool]:
        def go_on(done: int) -> bool:
            if not stop.is_set():
                self.progressed.emit(done, whole)
            return not stop.is_set()

        return go_on

    @Slot(object, object, object)
    def _on_answered(
        self, stop: threading.Event, found: dict[Path, Path], images: list[Path]
    ) -> None:
        if stop is self._stop and not stop.is_set():
            self.ended.emit()
            self.searched.emit(found, images)
