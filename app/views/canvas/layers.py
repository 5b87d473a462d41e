"""What the canvas draws over each other: image, labels, heat map.

Each layer is drawn in device pixels counted from the image's corner. Image and labels keep
the tiles that they have drawn and draw anew what is dirty and visible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QRectF
from PySide6.QtGui import QImage, QPainter, qRgba

from app.document.document import corrected_over
from app.document.stroke import Box
from app.views.canvas.pyramid import Level
from app.views.canvas.tiles import Tile, TileGrid, pixels_shown, sample_nearest, sample_smooth
from mdlstm_core.config import IGNORE_INDEX, LabelClass

_CHECKERS = (255, 204)
_CHECKER_SIZE = 8
_FINEST = 0.24
"""Device pixels a pixel, below which pictures are not smoothed."""

_THUMBNAIL = 256
"""Pixels of the longer side, at least."""

_HATCH = 8
"""Device pixels from one stripe to the next."""


class ImageLayer:
    """The photograph, sharp above 1:1 and smooth below, over a checkerboard if transparent."""

    def __init__(self, level: Level, size: tuple[int, int]) -> None:
        """Take a version of an image of this height and width: all of it, or a preview."""
        self._size = size
        self._levels = [level]
        self._grid: TileGrid | None = None
        self._pictures: dict[Tile, QImage] = {}

    def add_levels(self, levels: Sequence[Level]) -> None:
        """Take smaller versions, largest first."""
        self._levels += levels
        self._pictures.clear()

    @property
    def thumbnail(self) -> NDArray[np.uint8]:
        """A small version, RGB; a rough one while smaller versions are being built."""
        rgb = self._levels[-1].rgb
        step = max(max(rgb.shape) // _THUMBNAIL, 1)
        return np.ascontiguousarray(rgb[::step, ::step])

    def paint(self, painter: QPainter, grid: TileGrid, tiles: Sequence[Tile]) -> None:
        """Draw tiles."""
        if grid != self._grid:
            self._grid = grid
            self._pictures.clear()
        for tile in tiles:
            extent = grid.extent(tile)
            picture = self._pictures.get(tile)
            if picture is None:
                picture = self._pictures[tile] = self._drawn(grid, extent)
            painter.drawImage(QPoint(extent.left, extent.top), picture)

    def keep(self, tiles: set[Tile]) -> None:
        """Forget all other tiles."""
        self._pictures = {t: picture for t, picture in self._pictures.items() if t in tiles}

    def _drawn(self, grid: TileGrid, extent: Box) -> QImage:
        level = self._level_for(grid.scale)
        rgb = self._sampled(level.rgb, grid, extent)
        if level.alpha is not None:
            rgb = _over_checkers(rgb, self._sampled(level.alpha, grid, extent), extent)
        pixels = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA)
        height, width = rgb.shape[:2]
        shared = QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32)
        return shared.copy()

    def _level_for(self, scale: float) -> Level:
        """Return the smallest version that has a pixel for every device pixel."""
        width = self._size[1]
        fine = [level for level in self._levels if level.rgb.shape[1] >= width * scale]
        return fine[-1] if fine else self._levels[0]

    def _sampled(self, values: NDArray[np.uint8], grid: TileGrid, extent: Box) -> NDArray[np.uint8]:
        height, width = values.shape[:2]
        down, across = (
            grid.scale * whole / part
            for whole, part in zip(self._size, (height, width), strict=True)
        )
        is_whole = (height, width) == self._size
        # Below 1/4, smaller versions are not built yet: rough for a moment, but at once.
        if (is_whole and grid.scale >= 1) or across < _FINEST:
            rows = pixels_shown(extent.top, extent.bottom, down, height)
            columns = pixels_shown(extent.left, extent.right, across, width)
            return sample_nearest(values, rows, columns)
        return sample_smooth(values, extent, (down, across))


class LabelLayer:
    """A label map, coloured through a lookup table: recolouring touches no pixel of it."""

    def __init__(
        self,
        corrections_HW: Callable[[], NDArray[np.uint8]],
        prediction_HW: Callable[[], NDArray[np.uint8] | None],
    ) -> None:
        """Take what returns a person's labels, and the model's if it said any, as they are now."""
        self._corrections, self._prediction = corrections_HW, prediction_HW
        self._table = [0] * 256
        self._hidden: frozenset[int] = frozenset()
        self._has_outlines = self._has_hatching = False
        self._grid: TileGrid | None = None
        self._indices: dict[Tile, NDArray[np.uint8]] = {}
        self._pictures: dict[Tile, QImage] = {}

    def set_colors(self, classes: tuple[LabelClass, ...], hidden: frozenset[int]) -> None:
        """Colour each class; hidden classes and labels of no class stay transparent."""
        table = [0 if n in hidden else qRgba(*c.color, 255) for n, c in enumerate(classes)]
        self._table = (table + [0] * 256)[:256]
        self._pictures.clear()
        if hidden != self._hidden and self._has_outlines:
            self._indices.clear()
        self._hidden = hidden

    def set_style(self, *, outlines: bool, hatching: bool) -> None:
        """Draw only where classes meet, and the model's labels as stripes, or all of both."""
        self._has_outlines, self._has_hatching = outlines, hatching
        self._forget()

    def mark_dirty(self, box: Box | None = None) -> None:
        """Draw anew where labels changed, everywhere by default."""
        if box is None or self._grid is None:
            self._forget()
            return
        for tile in self._grid.tiles_at(self._grid.device_box(box)):
            self._indices.pop(tile, None)
            self._pictures.pop(tile, None)

    def paint(self, painter: QPainter, grid: TileGrid, tiles: Sequence[Tile]) -> None:
        """Draw tiles."""
        if grid != self._grid:
            self._grid = grid
            self._forget()
        for tile in tiles:
            extent = grid.extent(tile)
            picture = self._pictures.get(tile)
            if picture is None:
                picture = self._pictures[tile] = self._colored(tile, extent)
            painter.drawImage(QPoint(extent.left, extent.top), picture)

    def keep(self, tiles: set[Tile]) -> None:
        """Forget all other tiles."""
        self._indices = {t: indices for t, indices in self._indices.items() if t in tiles}
        self._pictures = {t: picture for t, picture in self._pictures.items() if t in tiles}

    def _forget(self) -> None:
        self._indices.clear()
        self._pictures.clear()

    def _colored(self, tile: Tile, extent: Box) -> QImage:
        indices = self._indices.get(tile)
        if indices is None:
            indices = self._indices[tile] = self._drawn(extent)
        height, width = indices.shape
        shared = QImage(indices.data, width, height, width, QImage.Format.Format_Indexed8)
        shared.setColorTable(self._table)
        # A copy in the screen's own format: drawing it is ten times faster.
        return shared.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)

    def _drawn(self, extent: Box) -> NDArray[np.uint8]:
        grid = self._grid
        assert grid is not None
        # A line further: whether a class ends here is seen from its neighbours.
        margin = grid.line if self._has_outlines else 0
        rows = pixels_shown(extent.top, extent.bottom + margin, grid.scale, grid.height)
        columns = pixels_shown(extent.left, extent.right + margin, grid.scale, grid.width)
        indices = corrected = sample_nearest(self._corrections(), rows, columns)
        predicted = self._prediction()
        if predicted is not None:
            indices = corrected_over(corrected, sample_nearest(predicted, rows, columns))
        if self._has_outlines:
            indices = outlines(self._without_hidden(indices), margin)
        if self._has_hatching:
            height, width = indices.shape
            stripes = _stripes(extent) & (corrected[:height, :width] == IGNORE_INDEX)
            indices = np.where(stripes, np.uint8(IGNORE_INDEX), indices)
        return np.ascontiguousarray(indices)

    def _without_hidden(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if not self._hidden:
            return labels
        kept = np.arange(256, dtype=np.uint8)
        kept[list(self._hidden)] = IGNORE_INDEX
        return kept[labels]


class HeatMapLayer:
    """A coarse map of colours over the image, one a cell.

    The colours are red, green and blue, and how much each covers the image if there is a
    fourth value.
    """

    def __init__(self, colors_RCX: NDArray[np.uint8], cell_pixels: tuple[float, float]) -> None:
        rows, columns, values = colors_RCX.shape
        self._colors = np.ascontiguousarray(colors_RCX)
        kind = QImage.Format.Format_RGBA8888 if values == 4 else QImage.Format.Format_RGB888
        self._picture = QImage(self._colors.data, columns, rows, values * columns, kind)
        self._extent = QRectF(0, 0, columns * cell_pixels[1], rows * cell_pixels[0])

    def paint(self, painter: QPainter, scale: float, exposed: QRectF) -> None:
        """Draw the exposed part, at device pixels a pixel of the image."""
        painter.save()
        painter.setClipRect(exposed)
        painter.scale(scale, scale)
        painter.drawImage(self._extent, self._picture)
        painter.restore()


def outlines(labels: NDArray[np.uint8], line: int) -> NDArray[np.uint8]:
    """Return the labels along the borders between classes, `line` pixels wide.

    Args:
        labels: (H + line)×(W + line), with the neighbours below and to the right.
        line: width of the borders, at least 1.

    Returns:
        H×W; `IGNORE_INDEX` away from borders. Next to no class, the class there is has
        the border, on whichever side it lies.
    """
    here, right, below = labels[:-line, :-line], labels[:-line, line:], labels[line:, :-line]
    border = np.full_like(here, IGNORE_INDEX)
    for neighbor in (right, below):
        differs = here != neighbor
        np.copyto(border, np.where(here == IGNORE_INDEX, neighbor, here), where=differs)
    return border


def _stripes(extent: Box) -> NDArray[np.bool_]:
    """Return the gaps between diagonal stripes."""
    y, x = np.ogrid[extent.top : extent.bottom, extent.left : extent.right]
    return (x + y) % _HATCH < _HATCH // 2


def _over_checkers(
    over_white: NDArray[np.uint8], alpha: NDArray[np.uint8], extent: Box
) -> NDArray[np.uint8]:
    """Lay what was laid over white over a checkerboard instead."""
    y, x = np.ogrid[extent.top : extent.bottom, extent.left : extent.right]
    is_dark = (y // _CHECKER_SIZE + x // _CHECKER_SIZE) % 2 == 1
    missing = np.where(is_dark, _CHECKERS[0] - _CHECKERS[1], 0) * (255 - alpha.astype(np.uint16))
    less = (missing // 255).astype(np.uint8)
    return cv2.subtract(over_white, cv2.merge([less, less, less]))
