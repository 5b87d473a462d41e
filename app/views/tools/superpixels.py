"""The superpixel brush."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter

from app.document.edit import Edit
from app.document.regions.superpixels import Superpixels
from app.document.stroke import Box, Region
from app.views.tools.preview import MaskPicture, paint_region, preview_color
from app.views.tools.stroke_tool import StrokeTool
from app.views.tools.tool import Outcome, Pending, ToolContext, ToolOptions, ToolSpec

_KEPT = 3
"""Images whose superpixels are kept."""


class SuperpixelBrush(StrokeTool):
    """Sets the class on every superpixel that the pointer goes over."""

    hint = "Superpixels: drag over what takes the class, piece by piece · Shift erases"

    def __init__(self) -> None:
        super().__init__()
        self._known: list[Superpixels] = []
        self._asked: list[tuple[Superpixels, Box]] = []
        self._under: Region | None = None
        self._touched: _Touched | None = None

    def diameter(self, options: ToolOptions) -> float:
        """See `StrokeTool.diameter`."""
        return 1

    def hover(self, x: float, y: float, context: ToolContext) -> Pending | None:
        """See `Tool.hover`."""
        superpixels = self._of(context)
        pixel = Box(math.floor(y), math.floor(x), math.floor(y) + 1, math.floor(x) + 1)
        tiles = superpixels.tiles_in(pixel)
        self._under = None
        if not tiles:
            return None
        if superpixels.is_ready(pixel):
            self._under = superpixels.under(Region(pixel, np.ones((1, 1), dtype=bool)))
            return None
        if (superpixels, tiles[0]) in self._asked:
            return None
        self._asked.append((superpixels, tiles[0]))
        return Pending(partial(superpixels.compute, tiles[0]), "Looking for superpixels")

    def press(self, x: float, y: float, context: ToolContext, pressure: float = 1.0) -> None:
        """See `Tool.press`."""
        self._touched = _Touched(context)
        super().press(x, y, context, pressure)

    def of_region(self, region: Region, context: ToolContext) -> Outcome:
        """See `StrokeTool.of_region`."""
        superpixels = self._of(context)
        compute = partial(_edit, superpixels, region, context)
        if superpixels.is_ready(region.box):
            return compute()
        return Pending(compute, "Looking for superpixels")

    def abort(self) -> bool:
        """See `Tool.abort`."""
        self._touched, self._asked = None, []
        return super().abort()

    def preview_area(self, pointer: tuple[float, float], options: ToolOptions) -> QRectF:
        """See `Tool.preview_area`."""
        area = super().preview_area(pointer, options)
        if self._under is not None:
            top, left, bottom, right = self._under.box
            area = area.united(QRectF(left, top, right - left, bottom - top))
        return area

    def paint_preview(
        self, painter: QPainter, pointer: tuple[float, float], options: ToolOptions
    ) -> None:
        """See `Tool.paint_preview`."""
        if self._touched is not None:
            self._touched.paint(painter)
        elif self._under is not None:
            paint_region(painter, self._under, options.color)
        super().paint_preview(painter, pointer, options)

    def _add(self, x: float, y: float, pressure: float) -> Box | None:
        """See `StrokeTool._add`; what is not computed yet shows when the stroke ends."""
        box = super()._add(x, y, pressure)
        if box and self._mask and self._touched and self._context:
            grown = Region(box, self._mask.pixels[box.slices].astype(bool))
            superpixels = self._of(self._context)
            if superpixels.is_ready(box) and grown.mask.any():
                self._under = superpixels.under(grown)
                self._touched.add(self._under)
        return box

    def _of(self, context: ToolContext) -> Superpixels:
        """Return the superpixels of the image at the size that is set."""
        image, side = context.document.image, context.options.superpixel_size
        for known in self._known:
            if known.image is image and known.side == side:
                return known
        self._known = [*self._known, Superpixels(image, side)][-_KEPT:]
        return self._known[-1]


class _Touched:
    """The superpixels that a stroke has touched so far, as they are shown."""

    def __init__(self, context: ToolContext) -> None:
        document = context.document
        self._pixels = np.zeros((document.height, document.width), dtype=np.uint8)
        self._picture = MaskPicture(self._pixels, preview_color(context))
        self._box: Box | None = None

    def add(self, region: Region) -> None:
        self._pixels[region.box.slices] |= region.mask
        self._box = self._box.united(region.box) if self._box else region.box

    def paint(self, painter: QPainter) -> None:
        if self._box is not None:
            self._picture.paint(painter, self._box)


def _edit(superpixels: Superpixels, region: Region, context: ToolContext) -> Edit | None:
    return context.paint(superpixels.under(region), "paint superpixels")


TOOL = ToolSpec(
    "superpixels",
    "&Superpixels",
    "S",
    "hexagon-multiple",
    80,
    SuperpixelBrush,
    ("superpixel_size",),
)
