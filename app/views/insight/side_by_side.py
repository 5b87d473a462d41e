"""The canvas and, beside it, maps that follow its zoom and pan."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPointF, Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from app.views.canvas.canvas_view import CanvasView
from app.views.insight.linked_view import LinkedView
from app.views.insight.shown_map import ShownMap
from mdlstm_core.insight.queries import Pixel

_PLACES = ((0, 1), (1, 0), (1, 1))
"""Row and column of each map; the canvas is at the top left."""


class SideBySide(QWidget):
    """All parts have the same size: the same pixel lies at the same place in each.

    Signals:
        pointed(int, int): the pixel under the pointer in one of the maps; -1, -1 for none.
    """

    pointed = Signal(int, int)

    def __init__(self, canvas: CanvasView) -> None:
        super().__init__()
        self._canvas = canvas
        self.views: list[LinkedView] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(3)
        self._grid.addWidget(canvas, 0, 0)
        canvas.moved.connect(self._follow)
        canvas.installEventFilter(self)

    def set_maps(self, maps: Sequence[ShownMap], size: tuple[int, int]) -> None:
        """Show maps, three at most, over an image of this height and width, or none."""
        while len(self.views) < len(maps):
            self._add_view()
        for view, place in zip(self.views, _PLACES, strict=False):
            self._grid.removeWidget(view)
            view.setVisible(self.views.index(view) < len(maps))
            if not view.isHidden():
                self._grid.addWidget(view, *place)
        for line in (0, 1):
            has_views = any(p[0] == line for p in _PLACES[: len(maps)])
            self._grid.setRowStretch(line, int(line == 0 or has_views))
            self._grid.setColumnStretch(line, int(line == 0 or bool(maps)))
        for view, shown in zip(self.views, maps, strict=False):
            view.set_map(shown, size)
        self._follow()

    def point(self, pixel: Pixel | None) -> None:
        """Mark the pixel under the pointer in all maps."""
        for view in self.views:
            view.point(pixel)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow when the canvas gets another size."""
        if watched is self._canvas and event.type() == QEvent.Type.Resize:
            self._follow()
        return False

    def _add_view(self) -> None:
        view = LinkedView(self)
        view.pointed.connect(self._on_pointed)
        view.left.connect(lambda: self.pointed.emit(-1, -1))
        view.zoom_asked.connect(self._zoom)
        view.pan_asked.connect(self._pan)
        self.views.append(view)

    def _follow(self) -> None:
        for view in self.views:
            view.follow(self._canvas.transform, self._canvas.size())

    def _on_pointed(self, point: QPointF) -> None:
        self.pointed.emit(int(point.x() // 1), int(point.y() // 1))

    def _zoom(self, factor: float, point: QPointF) -> None:
        now = self._canvas.transform
        self._canvas.show_at(now.zoomed(factor, *now.to_view(point.x(), point.y())))

    def _pan(self, moved: QPointF) -> None:
        now = self._canvas.transform
        self._canvas.show_at(now.panned(moved.x() * now.zoom, moved.y() * now.zoom))
