"""Small pictures of images, made off the window's thread for what is on the screen."""

from __future__ import annotations

import logging
from collections import OrderedDict
from pathlib import Path

from PIL import Image, ImageOps
from PySide6.QtCore import QObject, QRunnable, QThreadPool, Signal, SignalInstance, Slot
from PySide6.QtGui import QImage, QPixmap

from mdlstm_core.data.images import image_size, read_image
from mdlstm_core.errors import InputError

_log = logging.getLogger(__name__)

_MOST_KEPT = 600
"""Thumbnails in memory: about 10 MB, some thirty screens of the list."""

_MOST_WANTED = 40
"""Requests that wait; older ones are of rows that have been scrolled away."""

_MOST_PIXELS = 40_000_000
"""Larger images have no thumbnail, unless they can be decoded at a smaller scale."""

_JPEG = (".jpg", ".jpeg")


def read_thumbnail(path: Path, side: int) -> QImage:
    """Return an image made small, upright, at most `side` pixels a side; null if it cannot be.

    A JPEG is decoded at an eighth, a quarter or half of its size: that takes a fraction of
    the time.
    """
    try:
        small = _small_jpeg(path, side) if path.suffix.lower() in _JPEG else _small(path)
        small.thumbnail((side, side), Image.Resampling.BOX)
        return _to_qimage(small)
    # Decoders let through whatever a damaged file makes them stumble over; why the image
    # cannot be read is said when it is opened.
    except Exception:
        _log.info("no thumbnail of %s", path, exc_info=True)
        return QImage()


def _small_jpeg(path: Path, side: int) -> Image.Image:
    with Image.open(path) as image:
        image.draft("RGB", (side, side))
        return ImageOps.exif_transpose(image).convert("RGB")


def _small(path: Path) -> Image.Image:
    height, width = image_size(path)
    if height * width > _MOST_PIXELS:
        raise InputError(f"{path} is too large for a thumbnail.")
    return Image.fromarray(read_image(path))


def _to_qimage(image: Image.Image) -> QImage:
    width, height = image.size
    shared = QImage(image.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return shared.copy()  # the bytes go away


class Thumbnails(QObject):
    """Keeps thumbnails, as many as are worth their memory, and makes those that are asked for.

    What was asked for last is made first: it is on the screen.

    Signals:
        made(Path): an image's thumbnail is there now, or it is known that it has none.
    """

    made = Signal(object)
    _read = Signal(object, QImage)

    def __init__(self, side: int, parent: QObject | None = None) -> None:
        """Make thumbnails of at most `side` pixels a side."""
        super().__init__(parent)
        self._side = side
        self._kept: OrderedDict[Path, QPixmap] = OrderedDict()
        self._wanted: dict[Path, None] = {}
        self._under_way: Path | None = None
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._read.connect(self._on_read)

    def get(self, path: Path) -> QPixmap | None:
        """Return an image's thumbnail, null if it has none; None, and it is made, if not yet."""
        if path in self._kept:
            self._kept.move_to_end(path)
            return self._kept[path]
        if path != self._under_way:
            self._wanted.pop(path, None)
            self._wanted[path] = None
            if len(self._wanted) > _MOST_WANTED:
                self._wanted.pop(next(iter(self._wanted)))
            self._start_next()
        return None

    def forget(self, path: Path) -> None:
        """Make an image's thumbnail again when it is next asked for."""
        self._kept.pop(path, None)

    def stop(self) -> None:
        """Wait for the one under way; ask for nothing afterwards."""
        self._wanted.clear()
        self._under_way = Path()  # nothing starts any more
        self._pool.waitForDone()

    def _start_next(self) -> None:
        if self._under_way is None and self._wanted:
            path, _ = self._wanted.popitem()
            self._under_way = path
            self._pool.start(_Reading(path, self._side, self._read))

    @Slot(object, QImage)
    def _on_read(self, path: Path, picture: QImage) -> None:
        if self._under_way != path:
            return  # stopped meanwhile
        self._kept[path] = QPixmap.fromImage(picture)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        self._under_way = None
        self.made.emit(path)
        self._start_next()


class _Reading(QRunnable):
    """Reads one thumbnail in the pool's thread."""

    def __init__(self, path: Path, side: int, read: SignalInstance) -> None:
        super().__init__()
        self._path, self._side, self._answer = path, side, read

    def run(self) -> None:
        self._answer.emit(self._path, read_thumbnail(self._path, self._side))
