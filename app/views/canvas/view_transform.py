"""Where the image lies in the view: zoom and pan, without a widget."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

_MIN_ZOOM = 1 / 64
_MAX_ZOOM = 64.0
_MARGIN = 12


@dataclass(frozen=True)
class ViewTransform:
    """Maps pixels of the image to pixels of the view.

    Attributes:
        zoom: view pixels an image pixel, 1/64 to 64.
        left, top: where the image's corner lies in the view.
    """

    zoom: float = 1.0
    left: float = 0.0
    top: float = 0.0

    @classmethod
    def fit(cls, image: tuple[int, int], view: tuple[int, int]) -> ViewTransform:
        """Return the transform that shows all of an image (width, height) in a view."""
        zoom = min(
            max(side - 2 * _MARGIN, 1) / length for side, length in zip(view, image, strict=True)
        )
        return cls(_clamp(zoom)).centered(image, view)

    def centered(self, image: tuple[int, int], view: tuple[int, int]) -> ViewTransform:
        """Return the transform with the image's centre in the view's."""
        left, top = (
            (side - length * self.zoom) / 2 for side, length in zip(view, image, strict=True)
        )
        return ViewTransform(self.zoom, left, top)

    def zoomed(self, factor: float, x: float, y: float) -> ViewTransform:
        """Return the transform zoomed by a factor, the image's point under (x, y) fixed."""
        zoom = _clamp(self.zoom * factor)
        kept = zoom / self.zoom
        return ViewTransform(zoom, x - (x - self.left) * kept, y - (y - self.top) * kept)

    def panned(self, dx: float, dy: float) -> ViewTransform:
        """Return the transform moved by view pixels."""
        return dataclasses.replace(self, left=self.left + dx, top=self.top + dy)

    def to_image(self, x: float, y: float) -> tuple[float, float]:
        """Return the image's point under a point of the view."""
        return (x - self.left) / self.zoom, (y - self.top) / self.zoom

    def to_view(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of the image lies in the view."""
        return x * self.zoom + self.left, y * self.zoom + self.top


def _clamp(zoom: float) -> float:
    return min(max(zoom, _MIN_ZOOM), _MAX_ZOOM)
