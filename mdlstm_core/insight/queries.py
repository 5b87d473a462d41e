"""What can be asked of a network, free of torch, so that the window can ask it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

PATCHES = 8
"""Along an image's longer side: all are hidden within some seconds."""


class Pixel(NamedTuple):
    """A pixel of an image: its column and row, from 0 at the top left."""

    x: int
    y: int

    def moved(self, size: tuple[int, int], other: tuple[int, int]) -> Pixel:
        """Return where this pixel of an image of `size` (height, width) lies in another size."""
        (height, width), (to_height, to_width) = size, other
        return Pixel(
            int((self.x + 0.5) * to_width / width), int((self.y + 0.5) * to_height / height)
        )


@dataclass(frozen=True)
class Strongest:
    """The unit that is furthest from 0 at a pixel of the image."""

    pixel: Pixel


@dataclass(frozen=True)
class Components:
    """The first three principal components of the units, to be seen as colours."""


@dataclass(frozen=True)
class GateQuery:
    """Which map to show.

    Attributes:
        layer: 2D-LSTM layer, from 0.
        direction: index into `DIRECTIONS`.
        gate: one of `STATES`.
        unit: what to show of the hidden units: the number of one, from 0, None for the mean
            over all, the strongest at a pixel, or their principal components.
    """

    layer: int
    direction: int
    gate: str
    unit: int | Strongest | Components | None = None


@dataclass(frozen=True)
class ContextQuery:
    """Whose context to show.

    Attributes:
        pixel: of the image.
        class_index: whose logit; None for the most probable class there.
        patches: along the image's longer side, each to be hidden once.
        seconds: after which no further patch is hidden.
    """

    pixel: Pixel
    class_index: int | None = None
    patches: int = PATCHES
    seconds: float = 0.3
