"""What lies over the canvas: rulers, minimap and the bar of the display window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtWidgets import QWidget

from app.views.canvas.display_window_bar import DisplayWindowBar
from app.views.canvas.minimap import Minimap
from app.views.canvas.rulers import THICKNESS, Ruler
from app.views.canvas.view_transform import ViewTransform
from mdlstm_core.data.images import Picture

_MARGIN = 10


class Overlays:
    """Keeps what lies over the canvas where it belongs and up to date."""

    def __init__(self, canvas: QWidget) -> None:
        self.minimap = Minimap(canvas)
        self.window_bar = DisplayWindowBar(canvas)
        self._upper = Ruler(Qt.Orientation.Horizontal, canvas)
        self._left = Ruler(Qt.Orientation.Vertical, canvas)
        self._canvas = canvas
        self._has_rulers = False

    @property
    def inset(self) -> int:
        """Pixels of the view that the rulers cover, at the top and on the left."""
        return THICKNESS if self._has_rulers else 0

    def set_rulers(self, shown: bool) -> None:
        """Show the rulers or hide them."""
        self._has_rulers = shown
        self._upper.setVisible(shown)
        self._left.setVisible(shown)
        self.lay_out(self._canvas.size())

    def set_image(self, rgb: NDArray[np.uint8] | None, size: tuple[int, int] | None) -> None:
        """Show an image of this height and width in the minimap; `rgb` may be smaller."""
        self.minimap.set_image(rgb, size)
        self.lay_out(self._canvas.size())

    def set_picture(self, picture: Picture | None) -> None:
        """Offer to adjust the window of an image of more than 8 bits."""
        self.window_bar.set_picture(picture)
        self.lay_out(self._canvas.size())

    def set_transform(self, transform: ViewTransform, size: tuple[int, int] | None) -> None:
        """Show where an image of this height and width lies in the view."""
        for ruler in (self._upper, self._left):
            ruler.set_transform(transform if size else None)
        if size is not None:
            height, width = size
            left, top = transform.to_image(self.inset, self.inset)
            right, bottom = transform.to_image(self._canvas.width(), self._canvas.height())
            corner = QPointF(left / width, top / height)
            self.minimap.set_part(QRectF(corner, QPointF(right / width, bottom / height)))

    def set_pointer(self, x: int, y: int) -> None:
        """Mark a pixel of the image on the rulers, none if it is -1, -1."""
        self._upper.set_marked(None if x == y == -1 else x)
        self._left.set_marked(None if x == y == -1 else y)

    def lay_out(self, view: QSize) -> None:
        """Put everything to its edge of the view."""
        self._upper.setGeometry(0, 0, view.width(), THICKNESS)
        self._left.setGeometry(0, 0, THICKNESS, view.height())
        self._upper.raise_()
        minimap = self.minimap.size()
        self.minimap.move(
            view.width() - minimap.width() - _MARGIN, view.height() - minimap.height() - _MARGIN
        )
        bar = self.window_bar.sizeHint()
        self.window_bar.setGeometry(
            self.inset + _MARGIN, view.height() - bar.height() - _MARGIN, bar.width(), bar.height()
        )
