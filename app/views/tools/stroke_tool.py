"""What all tools have in common that work on the pixels under a stroke."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter

from app.document.stroke import Box, BrushShape, PenPoint, Region, StrokeMask
from app.views.tools.preview import MaskPicture, paint_brush, preview_color
from app.views.tools.tool import Outcome, Tool, ToolContext, ToolOptions


class StrokeTool(Tool):
    """Collects the pixels under the brush as the stroke grows, and shows them."""

    def __init__(self) -> None:
        super().__init__()
        self._mask: StrokeMask | None = None
        self._picture: MaskPicture | None = None

    def of_region(self, region: Region, context: ToolContext) -> Outcome:
        """Return what a stroke over a region comes to."""
        raise NotImplementedError

    def diameter(self, options: ToolOptions) -> float:
        """Return the size of the brush."""
        return options.diameter

    def shape(self, options: ToolOptions) -> BrushShape:
        """Return the shape of the brush."""
        return options.shape

    def press(self, x: float, y: float, context: ToolContext, pressure: float = 1.0) -> None:
        """See `Tool.press`."""
        super().press(x, y, context, pressure)
        document = context.document
        self._mask = StrokeMask(document.height, document.width, self.shape(context.options))
        self._picture = MaskPicture(self._mask.pixels, preview_color(context))
        self._add(x, y, pressure)

    def move(self, x: float, y: float, pressure: float = 1.0) -> None:
        """See `Tool.move`."""
        super().move(x, y, pressure)
        self._add(x, y, pressure)

    def release(self) -> Outcome:
        """See `Tool.release`."""
        context, mask = self._context, self._mask
        self.abort()
        region = mask.region() if mask else None
        return None if context is None or region is None else self.of_region(region, context)

    def abort(self) -> bool:
        """See `Tool.abort`."""
        self._mask = self._picture = None
        return super().abort()

    def preview_area(self, pointer: tuple[float, float], options: ToolOptions) -> QRectF:
        """See `Tool.preview_area`."""
        side = self.diameter(options)
        return QRectF(pointer[0] - side / 2, pointer[1] - side / 2, side, side)

    def paint_preview(
        self, painter: QPainter, pointer: tuple[float, float], options: ToolOptions
    ) -> None:
        """See `Tool.paint_preview`."""
        if self._mask and self._picture and self._mask.box:
            self._picture.paint(painter, self._mask.box)
        paint_brush(painter, pointer, self.diameter(options), self.shape(options))

    def _add(self, x: float, y: float, pressure: float) -> Box | None:
        """Let the stroke go on; return where it grew."""
        if self._mask is None or self._context is None:
            return None
        diameter = max(self.diameter(self._context.options) * pressure, 1.0)
        return self._mask.add(PenPoint(x, y, diameter))
