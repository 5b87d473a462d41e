"""Reading images and writing label maps off the window's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QRunnable, QThreadPool, Signal

from app.storage.changes import Fingerprint
from app.storage.fingerprint import fingerprint_of
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.display_window import DisplayWindow, Percentiles
from mdlstm_core.data.images import Picture, read_picture
from mdlstm_core.data.previews import read_preview
from mdlstm_core.errors import InputError
from mdlstm_core.formats.indexed_png import save_indexed_png

_log = logging.getLogger(__name__)


class LoadedImage(NamedTuple):
    """An image, what file it is, and its label map H×W if it was labeled.

    `blank` is a label map without labels: to make one takes a moment if the image is large.
    `request` is what it was asked for with, `is_windowed` whether a window was given.
    """

    path: Path
    picture: Picture
    fingerprint: Fingerprint
    labels: NDArray[np.uint8] | None
    blank: NDArray[np.uint8]
    request: object
    is_windowed: bool = False


class DiskWorker(QObject):
    """Reads and writes in one thread of its own, in the order it was asked.

    Signals:
        loaded(LoadedImage): an image that was asked for.
        preview_loaded(Path, Preview): a large image, small, while it is being read.
        load_failed(Path, object, str): an image cannot be read, what it was asked for with, and
            why, in one sentence.
        exported(Path): a label map is on disk.
        export_failed(str): a label map cannot be written, and why.
    """

    loaded = Signal(object)
    preview_loaded = Signal(object, object)
    load_failed = Signal(object, object, str)
    exported = Signal(object)
    export_failed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._newest = 0
        self._is_closed = False

    def load(
        self,
        path: Path,
        labels: Callable[[], NDArray[np.uint8] | None],
        request: object = None,
        window: DisplayWindow | Percentiles | None = None,
        *,
        is_shown: bool = False,
    ) -> None:
        """Read an image, unless a newer request comes before its turn.

        Args:
            path: the image.
            labels: reads its label map.
            request: comes back with the image.
            window: what values of more than 8 bits are seen through, the usual percentiles
                by default.
            is_shown: whether it is seen already, so that it needs no preview.
        """
        self._newest += 1
        number = self._newest

        def read() -> None:
            seen = window if isinstance(window, DisplayWindow) else None
            if self._newest == number and not is_shown and (preview := read_preview(path, seen)):
                self.preview_loaded.emit(path, preview)
            if self._newest == number:
                picture = read_picture(path, window or Percentiles())
                known = labels()
                size = picture.rgb.shape[:2] if known is None else (0, 0)
                blank = np.full(size, IGNORE_INDEX, dtype=np.uint8)
                found = LoadedImage(path, picture, fingerprint_of(path), known, blank, request)
                self.loaded.emit(found._replace(is_windowed=window is not None))

        self._start(_Job(read, lambda reason: self.load_failed.emit(path, request, reason)))

    def export_label_map(
        self, path: Path, label_map_HW: NDArray[np.uint8], classes: tuple[LabelClass, ...]
    ) -> None:
        """Write a label map, which nobody may change any more, as an indexed PNG."""

        def write() -> None:
            save_indexed_png(label_map_HW, classes, path)
            self.exported.emit(path)

        self._start(_Job(write, self.export_failed.emit))

    def close(self) -> None:
        """Wait for what is under way, and begin nothing more; exports asked for are written."""
        self._newest += 1
        self._is_closed = True
        self._pool.waitForDone()

    def _start(self, job: _Job) -> None:
        # What was still to be delivered at the close may ask for more.
        if not self._is_closed:
            self._pool.start(job)


class _Job(QRunnable):
    """Some work, and whom to tell in one sentence when it fails."""

    def __init__(self, work: Callable[[], None], fail: Callable[[str], None]) -> None:
        super().__init__()
        self._work = work
        self._fail = fail

    def run(self) -> None:
        """Do the work; called in the pool's thread."""
        try:
            self._work()
        except InputError as error:
            self._fail(str(error))
        except MemoryError:
            _log.exception("out of memory")
            self._fail("There is not enough memory for this image; close other programs.")
        except Exception as error:
            _log.exception("the disk's thread")
            self._fail(f"Reading or writing failed ({type(error).__name__}); see the log.")
