"""Finding the pages of files with several, off the window's thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QThreadPool, Signal, Slot

from mdlstm_core.data.pages import may_have_pages, pages_of


class PageCounter(QObject):
    """Looks how many pages files have: each must be opened, and a folder may have thousands.

    Signals:
        found(dict[Path, list[Path]]): the files that have several pages, and all of them.
    """

    found = Signal(object)
    _answered = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._stop = threading.Event()
        self._answered.connect(self._on_answered)

    def count(self, images: Sequence[Path]) -> None:
        """Look into these files; `found` tells of those that have several pages."""
        files = [image for image in images if may_have_pages(image)]
        if files:
            self._pool.start(partial(self._look, files, self._stop))

    def stop(self) -> None:
        """Give up what is under way; nothing is heard of it."""
        self._stop.set()
        self._stop = threading.Event()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._pool.waitForDone()

    def _look(self, files: Sequence[Path], stop: threading.Event) -> None:
        """Open one file after the other; called in the pool's thread."""
        found: dict[Path, list[Path]] = {}
        for file in files:
            if stop.is_set():
                return
            pages = pages_of(file)
            if len(pages) > 1:
                found[file] = pages
        if found:
            self._answered.emit(stop, found)

    @Slot(object, object)
    def _on_answered(self, stop: threading.Event, found: dict[Path, list[Path]]) -> None:
        if stop is self._stop and not stop.is_set():
            self.found.emit(found)
