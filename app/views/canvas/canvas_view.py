"""The canvas: draws the document, zooms and pans."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QWidget

from app.document.document import ImageDocument
from app.document.stroke import Box
from app.views.canvas.gestures import GestureWidget
from app.views.canvas.layers import HeatMapLayer, ImageLayer, LabelLayer
from app.views.canvas.view_transform import ViewTransform
from app.views.tools.tool import Tool, ToolOptions
from mdlstm_core.config import LabelClass

_EMPTY_HINT = "Drop images or a folder here,\nor open them with Ctrl+O"
_STEP = 1.25


class CanvasView(GestureWidget):
    """Shows one image with its layers.

    Signals:
        first_painted: the canvas was painted for the first time.
        zoom_changed(float): view pixels an image pixel.
    """

    first_painted = Signal()
    zoom_changed = Signal(float)

    def __init__(self, tool: Tool, options: ToolOptions, parent: QWidget | None = None) -> None:
        super().__init__(tool, options, parent)
        self.setMinimumSize(240, 180)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Canvas")
        self._image: ImageLayer | None = None
        self._labels: LabelLayer | None = None
        self._corrections: LabelLayer | None = None
        self._heat: HeatMapLayer | None = None
        self._opacity = 0.5
        self._transform = ViewTransform()
        self._fits = True
        self._painted = False

    @property
    def transform(self) -> ViewTransform:
        """Where the image lies in the view."""
        return self._transform

    def sizeHint(self) -> QSize:
        """Room for a photograph of common size."""
        return QSize(900, 640)

    def set_document(self, document: ImageDocument | None) -> None:
        """Show another image, all of it; a gesture under way ends on the one before."""
        self.finish_work()
        if self._document is not None:
            self._document.labels_changed.disconnect(self._update_box)
        self._document, self._heat = document, None
        self._image = ImageLayer(document.image) if document else None
        self._labels = LabelLayer(document.displayed) if document else None
        self._corrections = LabelLayer(document.corrections.values) if document else None
        if document is not None:
            document.labels_changed.connect(self._update_box)
        self.set_classes(self._classes)
        self.fit()

    def set_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Colour the labels; without classes there is nothing to paint with."""
        self._classes = classes
        for layer in (self._labels, self._corrections):
            if layer is not None:
                layer.set_colors(classes)
        self.update()

    def set_opacity(self, opacity: float) -> None:
        """Set how strongly labels and heat map cover the image, 0 to 1."""
        self._opacity = opacity
        self.update()

    def set_heat_map(self, heat: HeatMapLayer | None) -> None:
        """Show a heat map in place of the model's labels, or these again."""
        self._heat = heat
        self.update()

    def fit(self) -> None:
        """Show all of the image."""
        if self._document is not None:
            self._set_transform(ViewTransform.fit(self._image_size(), self._view_size()))
        self._fits = True
        self.update()

    def zoom_to_pixels(self) -> None:
        """Show one image pixel as one pixel of the view."""
        if self._document is not None:
            actual = ViewTransform(1.0).centered(self._image_size(), self._view_size())
            self._set_transform(actual)

    def zoom_by_steps(self, steps: float) -> None:
        """Zoom around the view's centre."""
        self._zoom_at(_STEP**steps, QPointF(self.rect().center()))

    def _image_size(self) -> tuple[int, int]:
        assert self._document is not None
        return self._document.width, self._document.height

    def _view_size(self) -> tuple[int, int]:
        return self.width(), self.height()

    def _set_transform(self, transform: ViewTransform) -> None:
        self._transform, self._fits = transform, False
        self.zoom_changed.emit(transform.zoom)
        self.update()

    def _zoom_at(self, factor: float, at: QPointF) -> None:
        if self._document is not None:
            self._set_transform(self._transform.zoomed(factor, at.x(), at.y()))

    def _update_box(self, box: Box) -> None:
        """Repaint where labels changed."""
        left, top = self._transform.to_view(box.left, box.top)
        right, bottom = self._transform.to_view(box.right, box.bottom)
        area = QRectF(QPointF(left, top), QPointF(right, bottom)).toAlignedRect()
        self.update(area.adjusted(-1, -1, 1, 1))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw what is exposed."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), self.palette().window().color().darker(115))
        if self._document is None:
            painter.setPen(self.palette().placeholderText().color())
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, _EMPTY_HINT)
        else:
            self._paint_document(painter, event.rect(), self._document)
        painter.end()
        if not self._painted:
            self._painted = True
            self.first_painted.emit()

    def _paint_document(self, painter: QPainter, area: QRect, document: ImageDocument) -> None:
        exposed = self._exposed(area, document)
        painter.translate(self._transform.left, self._transform.top)
        painter.scale(self._transform.zoom, self._transform.zoom)
        painter.setRenderHint(
            QPainter.RenderHint.SmoothPixmapTransform, on=self._transform.zoom < 1
        )
        if self._image and self._labels and self._corrections and not exposed.isEmpty():
            self._image.paint(painter, exposed)
            if self._heat is not None:
                self._heat.paint(painter, exposed, max(self._opacity, 0.3))
                self._corrections.paint(painter, exposed, self._opacity)
            else:
                self._labels.paint(painter, exposed, self._opacity)
        may_draw = bool(self._classes) and self._pan_from is None and not self._space_held
        if self._pointer is not None and may_draw:
            point = self._transform.to_image(self._pointer.x(), self._pointer.y())
            self._tool.paint_preview(painter, point, self._options)

    def _exposed(self, area: QRect, document: ImageDocument) -> QRectF:
        """Return the whole image pixels that a part of the view shows."""
        left, top = self._transform.to_image(area.left(), area.top())
        right, bottom = self._transform.to_image(area.right() + 1, area.bottom() + 1)
        around = QRectF(QPointF(left, top), QPointF(right, bottom)).toAlignedRect()
        whole = QRect(0, 0, document.width, document.height)
        return QRectF(around.adjusted(-1, -1, 1, 1) & whole)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep showing all of the image if all of it was shown."""
        if self._fits:
            self.fit()
        super().resizeEvent(event)
