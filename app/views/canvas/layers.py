"""What the canvas draws over each other: image, labels, heat map.

Each layer is drawn in the image's coordinates; its QImage shares memory with the array.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter, qRgba

from mdlstm_core.config import LabelClass


class ImageLayer:
    """The photograph."""

    def __init__(self, image_HW3: NDArray[np.uint8]) -> None:
        height, width, _ = image_HW3.shape
        self._pixels = np.ascontiguousarray(image_HW3)
        self._picture = QImage(
            self._pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888
        )

    def paint(self, painter: QPainter, exposed: QRectF) -> None:
        """Draw the exposed part."""
        painter.drawImage(exposed, self._picture, exposed)


class LabelLayer:
    """A label map, coloured through a lookup table: recolouring touches no pixel.

    The picture shares the label map's memory, so that edits show at once.
    """

    def __init__(self, label_map_HW: NDArray[np.uint8]) -> None:
        height, width = label_map_HW.shape
        self._labels = label_map_HW
        self._picture = QImage(
            self._labels.data, width, height, width, QImage.Format.Format_Indexed8
        )
        self._picture.setColorTable([0] * 256)

    def set_colors(self, classes: tuple[LabelClass, ...]) -> None:
        """Colour each class; labels of no class stay transparent."""
        table = [qRgba(*c.color, 255) for c in classes]
        self._picture.setColorTable(table + [0] * (256 - len(table)))

    def paint(self, painter: QPainter, exposed: QRectF, opacity: float) -> None:
        """Draw the exposed part."""
        painter.save()
        painter.setOpacity(opacity)
        # Class indices must not be mixed: colours at a border would name other classes.
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, on=False)
        painter.drawImage(exposed, self._picture, exposed)
        painter.restore()


class HeatMapLayer:
    """A coarse map of colours over the image, one a cell."""

    def __init__(self, colors_RC3: NDArray[np.uint8], cell_pixels: tuple[float, float]) -> None:
        rows, columns, _ = colors_RC3.shape
        self._colors = np.ascontiguousarray(colors_RC3)
        self._picture = QImage(
            self._colors.data, columns, rows, 3 * columns, QImage.Format.Format_RGB888
        )
        self._extent = QRectF(0, 0, columns * cell_pixels[1], rows * cell_pixels[0])

    def paint(self, painter: QPainter, exposed: QRectF, opacity: float) -> None:
        """Draw the exposed part."""
        painter.save()
        painter.setClipRect(exposed)
        painter.setOpacity(opacity)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, on=False)
        painter.drawImage(self._extent, self._picture)
        painter.restore()
