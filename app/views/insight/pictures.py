"""From values to pictures of Qt."""

from __future__ import annotations

import numpy as np
from PySide6.QtGui import QImage

from app.views.insight.shown_map import ShownMap


def picture_of(shown: ShownMap) -> QImage:
    """Return a picture of a map, a pixel for each cell."""
    pixels = np.ascontiguousarray(shown.pixels)
    rows, columns, channels = pixels.shape
    kind = QImage.Format.Format_RGBA8888 if channels == 4 else QImage.Format.Format_RGB888
    return QImage(pixels.data, columns, rows, channels * columns, kind).copy()
