"""Reading images off the window's thread."""

from __future__ import annotations

import logging
from pathlib import Path

from PySide6.QtCore import QObject, QRunnable, QThreadPool, Signal

from mdlstm_core.data.images import read_image
from mdlstm_core.errors import InputError

_log = logging.getLogger(__name__)


class ImageLoader(QObject):
    """Reads images in a thread of its own, one after the other.

    Signals:
        loaded(Path, ndarray): an image H×W×3 RGB, 0 to 255.
        failed(Path, str): an image that cannot be read, and why, in one sentence.
    """

    loaded = Signal(object, object)
    failed = Signal(object, str)

    def __init__(self) -> None:
        super().__init__()
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)

    def load(self, path: Path) -> None:
        """Read an image; requests not begun yet are dropped for the newest."""
        self._pool.clear()
        self._pool.start(_Reading(self, path))

    def close(self) -> None:
        """Wait for the image being read."""
        self._pool.clear()
        self._pool.waitForDone()


class _Reading(QRunnable):
    """The reading of one image."""

    def __init__(self, loader: ImageLoader, path: Path) -> None:
        super().__init__()
        self._loader = loader
        self._path = path

    def run(self) -> None:
        """Read; called in the pool's thread."""
        try:
            image = read_image(self._path)
        except InputError as error:
            self._loader.failed.emit(self._path, str(error))
        except Exception:
            _log.exception("reading %s", self._path)
            self._loader.failed.emit(self._path, f"{self._path} cannot be read; see the log.")
        else:
            self._loader.loaded.emit(self._path, image)
