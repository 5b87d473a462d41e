"""The canvas: draws the document, zooms and pans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent, QTransform
from PySide6.QtWidgets import QWidget

from app.document.document import ImageDocument
from app.document.stroke import Box
from app.views.canvas.gestures import GestureWidget
from app.views.canvas.layer_stack import LayerStack
from app.views.canvas.layers import HeatMapLayer
from app.views.canvas.marks import Marks
from app.views.canvas.overlays import Overlays
from app.views.canvas.view_transform import ViewTransform
from app.views.tools.tool import Tool, ToolOptions
from mdlstm_core.config import LabelClass

_EMPTY_HINT = "Drop images or a folder here,\nor open them with Ctrl+O"
_STEP = 1.25

_Placed = Callable[[tuple[int, int], tuple[int, int]], ViewTransform]
"""Places an image (width, height) into a view."""


class CanvasView(GestureWidget):
    """Shows one image with its layers.

    Signals:
        first_painted: the canvas was painted for the first time.
        moved: the image lies at another place in the view, or is as large as before no more.
        zoom_changed(float): pixels of the screen a pixel of the image; 1.0 is 1:1.
        window_chosen(DisplayWindow | Percentiles): values of more than 8 bits are to be seen
            through this.
    """

    first_painted = Signal()
    moved = Signal()
    zoom_changed = Signal(float)
    window_chosen = Signal(object)

    def __init__(self, tool: Tool, options: ToolOptions, parent: QWidget | None = None) -> None:
        super().__init__(tool, options, parent)
        self.setMinimumSize(240, 180)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Canvas")
        self._shown: Path | None = None
        self._hint = _EMPTY_HINT
        self._layers = LayerStack(self)
        self._overlays = Overlays(self)
        self._hidden: frozenset[int] = frozenset()
        self._marks: Marks | None = None
        self._transform = ViewTransform()
        self._fits = True
        self._painted = False
        self._layers.changed.connect(self.update)
        self._layers.image_changed.connect(self._on_image_changed)
        self._overlays.minimap.moved.connect(self._show_place)
        self._overlays.window_bar.chosen.connect(self.window_chosen)
        self.pointer_moved.connect(self._overlays.set_pointer)

    @property
    def transform(self) -> ViewTransform:
        """Where the image lies in the view."""
        return self._transform

    def sizeHint(self) -> QSize:
        """Room for a photograph of common size."""
        return QSize(900, 640)

    def set_document(self, document: ImageDocument | None) -> None:
        """Show another image, all of it; a gesture under way ends on the one before.

        The image that is shown already, as a preview say, stays where it is in the view.
        """
        self._leave_document()
        self._document = document
        if document is None:
            self._shown = None
            self._layers.clear()
        else:
            document.labels_changed.connect(self._update_box)
            size_before = self._layers.size
            self._layers.set_document(document)
            self._show(document.path, size_before)
        self._overlays.set_picture(document.picture if document else None)

    def set_preview(self, path: Path, rgb: NDArray[np.uint8], size: tuple[int, int]) -> None:
        """Show a small version of an image of this height and width until it is read."""
        self._leave_document()
        size_before = self._layers.size
        self._layers.set_preview(rgb, size)
        self._overlays.set_picture(None)
        self._show(path, size_before)

    def set_hint(self, hint: str = "") -> None:
        """Say this while there is no image, what to do first by default."""
        self._hint = hint or _EMPTY_HINT
        self.update()

    def _leave_document(self) -> None:
        self.finish_work()
        if self._document is not None:
            self._document.labels_changed.disconnect(self._update_box)
        self._document = None

    def _show(self, path: Path, size_before: tuple[int, int] | None) -> None:
        is_same = path == self._shown and size_before == self._layers.size
        self._shown = path
        if is_same and not self._fits:
            self._set_transform(self._transform)
        else:
            self.fit()

    def set_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Colour the labels; without classes there is nothing to paint with."""
        self._classes = classes
        self._layers.set_classes(classes, self._hidden)

    def set_hidden(self, hidden: frozenset[int]) -> None:
        """Draw the labels of these classes no more, of all others again."""
        self._hidden = hidden
        self._layers.set_classes(self._classes, hidden)

    def set_style(self, *, outlines: bool = False, hatching: bool = False) -> None:
        """Draw only the borders between classes; draw the model's labels as stripes."""
        self._layers.set_style(outlines=outlines, hatching=hatching)

    def set_rulers(self, shown: bool) -> None:
        """Show the rulers along the edges, or hide them."""
        self._overlays.set_rulers(shown)
        if self._fits:
            self.fit()

    def set_opacity(self, opacity: float) -> None:
        """Set how strongly labels and heat map cover the image, 0 to 1."""
        self._layers.set_opacity(opacity)

    def set_heat_map(self, heat: HeatMapLayer | None) -> None:
        """Show a heat map in place of the model's labels, or these again."""
        self._layers.set_heat_map(heat)

    def set_marks(self, marks: Marks | None) -> None:
        """Draw outlines over the image, or none."""
        self._marks = marks
        self.update()

    def fit(self) -> None:
        """Show all of the image."""
        if self._layers.size is not None:
            self._place(ViewTransform.fit)
        self._fits = True
        self.update()

    def show_box(self, box: Box) -> None:
        """Show a part of the image in the view's middle, with as much again around it."""
        if self._layers.size is not None:
            height, width = self._layers.size
            rows, columns = box.shape
            self._place(lambda _image, view: ViewTransform.fit((2 * columns, 2 * rows), view))
            self._show_place((box.left + columns / 2) / width, (box.top + rows / 2) / height)

    def show_at(self, transform: ViewTransform) -> None:
        """Show the image at another place in the view."""
        if self._layers.size is not None:
            self._set_transform(transform)

    def zoom_to_pixels(self) -> None:
        """Show one pixel of the image as one pixel of the screen."""
        if self._layers.size is not None:
            actual = ViewTransform(1 / self.devicePixelRatioF())
            self._place(actual.centered)

    def zoom_by_steps(self, steps: float) -> None:
        """Zoom around the view's centre."""
        self._zoom_at(_STEP**steps, QPointF(self.rect().center()))

    def _place(self, placed: _Placed) -> None:
        """Place the image into the part of the view that no ruler covers."""
        height, width = self._layers.size or (1, 1)
        inset = self._overlays.inset
        room = (self.width() - inset, self.height() - inset)
        self._set_transform(placed((width, height), room).panned(inset, inset))

    def _show_place(self, x: float, y: float) -> None:
        """Put a point, in shares of the image's width and height, into the view's centre."""
        height, width = self._layers.size or (1, 1)
        place_x, place_y = self._transform.to_view(x * width, y * height)
        center = QRectF(self.rect()).center()
        self._set_transform(self._transform.panned(center.x() - place_x, center.y() - place_y))

    def _set_transform(self, transform: ViewTransform) -> None:
        self._transform, self._fits = transform, False
        self._overlays.set_transform(transform, self._layers.size)
        self.zoom_changed.emit(transform.zoom * self.devicePixelRatioF())
        self.moved.emit()
        self.update()

    def _on_image_changed(self) -> None:
        self._overlays.set_image(self._layers.thumbnail, self._layers.size)
        self._overlays.set_transform(self._transform, self._layers.size)
        self.update()

    def _zoom_at(self, factor: float, at: QPointF) -> None:
        if self._layers.size is not None:
            self._set_transform(self._transform.zoomed(factor, at.x(), at.y()))

    def _update_box(self, box: Box) -> None:
        """Repaint where labels changed."""
        self._layers.mark_dirty(box)
        left, top = self._transform.to_view(box.left, box.top)
        right, bottom = self._transform.to_view(box.right, box.bottom)
        area = QRectF(QPointF(left, top), QPointF(right, bottom)).toAlignedRect()
        self.update(area.adjusted(-2, -2, 2, 2))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw what is exposed."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self.palette().window().color().darker(115))
        placing = self._layers.placing(painter, self._transform, self.devicePixelRatioF())
        if placing is None:
            painter.setPen(self.palette().placeholderText().color())
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._hint)
        else:
            self._layers.paint(painter, placing, event.rect(), self.rect())
            scale = QTransform.fromScale(placing.grid.scale, placing.grid.scale)
            painter.setTransform(scale * placing.transform)
            if self._marks is not None:
                self._marks.paint(painter)
            self._paint_preview(painter)
        painter.end()
        if not self._painted:
            self._painted = True
            self.first_painted.emit()

    def _paint_preview(self, painter: QPainter) -> None:
        """Let the tool draw what it is about to do."""
        may_draw = bool(self._classes) and self._pan_from is None and not self._space_held
        if self._pointer is not None and may_draw and self._document is not None:
            point = self._transform.to_image(self._pointer.x(), self._pointer.y())
            self._tool.paint_preview(painter, point, self._options)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep showing all of the image if all of it was shown."""
        self._overlays.lay_out(self.size())
        if self._fits:
            self.fit()
        else:
            self._overlays.set_transform(self._transform, self._layers.size)
        super().resizeEvent(event)
