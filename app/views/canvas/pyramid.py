"""Smaller versions of an image: a quarter, an eighth and so on of its sides."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QRunnable, QThreadPool, Signal

_SMALLEST = 256
"""Pixels of the longer side; smaller versions would never be drawn."""

_AT_ONCE = 2_000_000
"""Pixels; the pyramid of smaller images is built without a thread."""


class Level(NamedTuple):
    """One version of an image: RGB H×W×3 and alpha H×W, None if all is opaque."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None


def smaller_levels(whole: Level) -> list[Level]:
    """Return the smaller versions, largest first, from a quarter of the sides on.

    A version of half the sides would take more memory than all of these together; `tiles`
    halves what it needs of the whole, a tile at a time.
    """
    levels, level = [], whole
    while max(level.rgb.shape) > _SMALLEST:
        level = Level(_halved(level.rgb), None if level.alpha is None else _halved(level.alpha))
        levels.append(level)
    return levels[1:]


def _halved(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = (max(values.shape[1] // 2, 1), max(values.shape[0] // 2, 1))
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA)


class PyramidBuilder(QObject):
    """Builds the smaller versions of images, off the window's thread if they are large.

    Signals:
        built(Level, list[Level]): an image, and its smaller versions, largest first.
    """

    built = Signal(object, object)

    def start(self, whole: Level) -> None:
        """Build the levels; `built` comes before this returns if the image is small."""
        height, width, _ = whole.rgb.shape
        if height * width <= _AT_ONCE:
            self.built.emit(whole, smaller_levels(whole))
        else:
            QThreadPool.globalInstance().start(_Job(self, whole))


class _Job(QRunnable):
    """Holds the builder, so that it lives as long as the job."""

    def __init__(self, builder: PyramidBuilder, whole: Level) -> None:
        super().__init__()
        self._builder, self._whole = builder, whole

    def run(self) -> None:
        """Build; called in the pool's thread."""
        levels = smaller_levels(self._whole)
        with suppress(RuntimeError):  # the program ended meanwhile, and Qt with it
            self._builder.built.emit(self._whole, levels)
