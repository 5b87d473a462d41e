"""The layers of one image, and how they are shown over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLine, QObject, QPoint, QPointF, QRect, QRectF, Signal, Slot
from PySide6.QtGui import QColor, QPainter, QTransform

from app.document.document import ImageDocument
from app.document.stroke import Box
from app.views.canvas.layers import HeatMapLayer, ImageLayer, LabelLayer
from app.views.canvas.pyramid import Level, PyramidBuilder
from app.views.canvas.tiles import TileGrid
from app.views.canvas.view_transform import ViewTransform
from mdlstm_core.config import LabelClass

_GRID_FROM = 8
"""Device pixels a pixel of the image, from which on the pixel grid is drawn."""

_GRID_COLOR = QColor(128, 128, 128, 110)
_WEAKEST_HEAT_MAP = 0.3


class Placing(NamedTuple):
    """Where device pixels lie, for one paint event.

    Attributes:
        grid: the image in device pixels.
        transform: leads from device pixels, counted from the image's corner, to the painter.
    """

    grid: TileGrid
    transform: QTransform


class LayerStack(QObject):
    """Draws an image, its labels, a heat map and the pixel grid.

    Signals:
        changed: all of it is to be drawn again.
        image_changed: another image is shown, or none; or it can be drawn better now.
    """

    changed = Signal()
    image_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._size: tuple[int, int] | None = None
        self._image: ImageLayer | None = None
        self._labels: LabelLayer | None = None
        self._corrections: LabelLayer | None = None
        self._heat: HeatMapLayer | None = None
        self._classes: tuple[LabelClass, ...] = ()
        self._hidden: frozenset[int] = frozenset()
        self._opacity = 0.5
        self._has_outlines = self._has_hatching = False
        self._level: Level | None = None
        self._builder = PyramidBuilder()
        self._builder.built.connect(self._on_built)

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the image, None without one."""
        return self._size

    @property
    def thumbnail(self) -> NDArray[np.uint8] | None:
        """A small version of the image, RGB."""
        return self._image.thumbnail if self._image else None

    def clear(self) -> None:
        """Show nothing."""
        self._size = self._image = self._labels = self._corrections = self._heat = None
        self._level = None
        self.image_changed.emit()

    def set_preview(self, rgb: NDArray[np.uint8], size: tuple[int, int]) -> None:
        """Show a small version of an image of this height and width, without labels."""
        self.clear()
        self._size = size
        self._show_image(Level(np.ascontiguousarray(rgb), None))

    def set_document(self, document: ImageDocument) -> None:
        """Show an image with its labels."""
        self.clear()
        self._size = document.height, document.width

        def corrections() -> NDArray[np.uint8]:
            return document.corrections.values

        self._labels = LabelLayer(corrections, lambda: document.prediction)
        self._corrections = LabelLayer(corrections, lambda: None)
        self._color()
        self._style()
        alpha = document.picture.alpha if document.picture else None
        self._show_image(Level(np.ascontiguousarray(document.image), alpha))

    def _show_image(self, level: Level) -> None:
        assert self._size is not None
        self._level = level
        self._image = ImageLayer(level, self._size)
        self._builder.start(level)
        self.image_changed.emit()

    @Slot(object, object)
    def _on_built(self, level: Level, levels: Sequence[Level]) -> None:
        if self._image is not None and level is self._level:
            self._image.add_levels(levels)
            self.image_changed.emit()

    def set_classes(self, classes: tuple[LabelClass, ...], hidden: frozenset[int]) -> None:
        """Colour the labels; those of hidden classes are not drawn."""
        self._classes, self._hidden = classes, hidden
        self._color()
        self.changed.emit()

    def set_opacity(self, opacity: float) -> None:
        """Set how strongly labels and heat map cover the image, 0 to 1."""
        self._opacity = opacity
        self.changed.emit()

    def set_style(self, *, outlines: bool, hatching: bool) -> None:
        """Draw only the borders of classes; draw what the model says as stripes."""
        self._has_outlines, self._has_hatching = outlines, hatching
        self._style()
        self.changed.emit()

    def set_heat_map(self, heat: HeatMapLayer | None) -> None:
        """Show a heat map in place of the model's labels, or these again."""
        self._heat = heat
        self.changed.emit()

    def mark_dirty(self, box: Box) -> None:
        """Draw the labels inside a box again when they are painted next."""
        for layer in self._label_layers():
            layer.mark_dirty(box)

    def placing(self, painter: QPainter, transform: ViewTransform, ratio: float) -> Placing | None:
        """Return where the image's device pixels lie; None without an image.

        The image's corner is put on a whole device pixel, wherever the widget lies.
        """
        if self._size is None:
            return None
        device = painter.deviceTransform()
        corner = device.map(QPointF(transform.left, transform.top))
        to_corner = QTransform.fromTranslate(round(corner.x()), round(corner.y()))
        inverted, _ = device.inverted()
        grid = TileGrid(device_scale(transform.zoom, ratio), *self._size, max(round(ratio), 1))
        return Placing(grid, to_corner * inverted)

    def paint(self, painter: QPainter, placing: Placing, exposed: QRect, view: QRect) -> None:
        """Draw the exposed part of the view."""
        painter.save()
        painter.setTransform(placing.transform)
        grid, back = placing.grid, placing.transform.inverted()[0]
        part = back.mapRect(QRectF(exposed)).toAlignedRect()
        tiles = grid.tiles_at(_box(part))
        if self._image is not None and tiles:
            self._image.paint(painter, grid, tiles)
            # Lines one pixel wide would hardly be seen through.
            opacity = 1.0 if self._has_outlines and self._opacity else self._opacity
            painter.setOpacity(opacity)
            if self._heat is None and self._labels is not None:
                self._labels.paint(painter, grid, tiles)
            elif self._heat is not None and self._corrections is not None:
                painter.setOpacity(max(self._opacity, _WEAKEST_HEAT_MAP))
                self._heat.paint(painter, grid.scale, QRectF(part))
                painter.setOpacity(opacity)
                self._corrections.paint(painter, grid, tiles)
            painter.setOpacity(1)
            self._paint_grid(painter, grid, _box(part))
            kept = set(grid.tiles_at(_box(back.mapRect(QRectF(view)).toAlignedRect())))
            self._image.keep(kept)
            for layer in self._label_layers():
                layer.keep(kept)
        painter.restore()

    def _paint_grid(self, painter: QPainter, grid: TileGrid, part: Box) -> None:
        """Draw a line before each pixel, where they are large enough."""
        if grid.scale < _GRID_FROM:
            return
        rows, columns = grid.size
        top, bottom = max(part.top, 0), min(part.bottom, rows)
        left, right = max(part.left, 0), min(part.right, columns)
        lines = [
            QLine(QPoint(grid.first(x), top), QPoint(grid.first(x), bottom - 1))
            for x in range(int(left / grid.scale), min(int(right / grid.scale) + 1, grid.width))
        ]
        lines += [
            QLine(QPoint(left, grid.first(y)), QPoint(right - 1, grid.first(y)))
            for y in range(int(top / grid.scale), min(int(bottom / grid.scale) + 1, grid.height))
        ]
        painter.setPen(_GRID_COLOR)
        painter.drawLines(lines)

    def _label_layers(self) -> list[LabelLayer]:
        return [layer for layer in (self._labels, self._corrections) if layer is not None]

    def _color(self) -> None:
        for layer in self._label_layers():
            layer.set_colors(self._classes, self._hidden)

    def _style(self) -> None:
        for layer in self._label_layers():
            layer.set_style(outlines=self._has_outlines, hatching=self._has_hatching)


def device_scale(zoom: float, ratio: float) -> float:
    """Return the device pixels a pixel of the image; whole if it is but for rounding."""
    scale = zoom * ratio
    return float(round(scale)) if abs(scale - round(scale)) < 1e-9 and scale > 0.5 else scale


def _box(rect: QRect) -> Box:
    return Box(rect.top(), rect.left(), rect.bottom() + 1, rect.right() + 1)
