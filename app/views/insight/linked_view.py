"""A map in a view of its own, beside the canvas: zoom and pan are the canvas's."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from app.views.canvas.view_transform import ViewTransform
from app.views.insight.pictures import picture_of
from app.views.insight.shown_map import ShownMap
from mdlstm_core.insight.queries import Pixel

_NOTCH, _NOTCH_ZOOM = 120, 1.25
_CROSS = 7


class LinkedView(QWidget):
    """Shows a map where the canvas shows the image, as if it lay on it.

    Signals:
        pointed(QPointF): the point of the image under the pointer.
        left: the pointer left the view.
        zoom_asked(float, QPointF): zoom by a factor with a point of the image fixed.
        pan_asked(QPointF): move by pixels of the image.
    """

    pointed = Signal(object)
    left = Signal()
    zoom_asked = Signal(float, object)
    pan_asked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture, self._extent = QImage(), QRectF()
        self._title, self._size = "", (0, 0)
        self._center, self._zoom = QPointF(), 1.0
        self._pointer: Pixel | None = None
        self._pan_from: QPointF | None = None
        self.setMouseTracking(True)
        self.setMinimumSize(120, 90)
        self.setCursor(Qt.CursorShape.CrossCursor)

    @property
    def title(self) -> str:
        """What is shown."""
        return self._title

    def sizeHint(self) -> QSize:
        """As much room as the canvas asks for."""
        return QSize(900, 640)

    def set_map(self, shown: ShownMap, size: tuple[int, int]) -> None:
        """Show a map over an image of this height and width."""
        self._picture, self._title, self._size = picture_of(shown), shown.title, size
        rows, columns = shown.values.shape[:2]
        self._extent = QRectF(0, 0, columns * shown.cell_pixels[1], rows * shown.cell_pixels[0])
        self.update()

    def follow(self, canvas: ViewTransform, canvas_size: QSize) -> None:
        """Show what a canvas of a size shows, the same point in the middle."""
        middle_x, middle_y = canvas_size.width() / 2, canvas_size.height() / 2
        self._center = QPointF(*canvas.to_image(middle_x, middle_y))
        fits = min(
            self.width() / max(canvas_size.width(), 1), self.height() / max(canvas_size.height(), 1)
        )
        self._zoom = canvas.zoom * fits
        self.update()

    def point(self, pixel: Pixel | None) -> None:
        """Mark the pixel under the pointer, wherever that is."""
        if pixel != self._pointer:
            before, self._pointer = self._cross_area(), pixel
            for area in (before, self._cross_area()):
                self.update(area)

    @property
    def transform(self) -> ViewTransform:
        """Where the image lies in this view."""
        left = self.width() / 2 - self._center.x() * self._zoom
        top = self.height() / 2 - self._center.y() * self._zoom
        return ViewTransform(self._zoom, left, top)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the map as far as the image reaches, its title, and the pointer."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.palette().window().color().darker(115))
        place = self.transform
        height, width = self._size
        corner = QPointF(*place.to_view(0, 0))
        painter.save()
        painter.setClipRect(QRectF(corner, QPointF(*place.to_view(width, height))))
        painter.fillRect(self.rect(), self.palette().color(QPalette.ColorRole.Base))
        painter.translate(corner)
        painter.scale(place.zoom, place.zoom)
        painter.drawImage(self._extent, self._picture)
        painter.restore()
        self._paint_cross(painter)
        self._paint_title(painter)
        painter.end()

    def _cross_at(self) -> QPointF | None:
        """Return where the pointer's pixel is marked."""
        if self._pointer is None:
            return None
        return QPointF(*self.transform.to_view(self._pointer.x + 0.5, self._pointer.y + 0.5))

    def _cross_area(self) -> QRect:
        """Return the part of the view that the mark takes, empty without one."""
        at, reach = self._cross_at(), _CROSS + 3
        if at is None:
            return QRect()
        return QRectF(at.x() - reach, at.y() - reach, 2 * reach, 2 * reach).toAlignedRect()

    def _paint_cross(self, painter: QPainter) -> None:
        at = self._cross_at()
        if at is None:
            return
        for color, width in (("black", 3), ("white", 1)):
            painter.setPen(QPen(QColor(color), width))
            painter.drawLine(at - QPointF(_CROSS, 0), at + QPointF(_CROSS, 0))
            painter.drawLine(at - QPointF(0, _CROSS), at + QPointF(0, _CROSS))

    def _paint_title(self, painter: QPainter) -> None:
        metrics = self.fontMetrics()
        text = metrics.elidedText(self._title, Qt.TextElideMode.ElideRight, self.width() - 24)
        box = QRectF(6, 6, metrics.horizontalAdvance(text) + 12, metrics.height() + 6)
        shade = self.palette().color(QPalette.ColorRole.Window)
        shade.setAlphaF(0.85)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(shade)
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to pan, with any button: there is nothing else to do here."""
        self._pan_from = event.position()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End panning."""
        self._pan_from = None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Pan, or tell what is pointed at."""
        at = event.position()
        if self._pan_from is not None:
            moved = at - self._pan_from
            self._pan_from = at
            self.pan_asked.emit(moved / self._zoom)
        self.pointed.emit(QPointF(*self.transform.to_image(at.x(), at.y())))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom to the pointer."""
        at = event.position()
        point = QPointF(*self.transform.to_image(at.x(), at.y()))
        self.zoom_asked.emit(_NOTCH_ZOOM ** (event.angleDelta().y() / _NOTCH), point)
        event.accept()

    def enterEvent(self, event: QEnterEvent) -> None:
        """Nothing is pressed yet."""
        self._pan_from = None

    def leaveEvent(self, event: object) -> None:
        """Nothing is pointed at."""
        self.left.emit()
