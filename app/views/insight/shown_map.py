"""A map as the window shows it: its colours, and its values at the pointer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.views.insight.words import SHORT_NAMES
from mdlstm_core.insight.drawing import Scale, colors, drawn_gradient, is_signed, scale_of, swept
from mdlstm_core.insight.queries import Pixel
from mdlstm_core.insight.sweep import Wavefront

if TYPE_CHECKING:
    from mdlstm_core.insight.context import ContextMap
    from mdlstm_core.insight.gates import GateMap


@dataclass(frozen=True, eq=False)
class ShownMap:
    """Values over the image, one a cell, and how they are drawn.

    Attributes:
        values: R×C, or R×C×3 to be seen as red, green and blue.
        cell_pixels: height and width of a cell in pixels of the image.
        scale: of the colours.
        title: what it is, in some words.
        label: what the numbers are.
        drawn: R×C, what is coloured, if not the values themselves.
        wavefront: up to where it is drawn; None for the whole map.
    """

    values: NDArray[np.float32]
    cell_pixels: tuple[float, float]
    scale: Scale
    title: str
    label: str
    drawn: NDArray[np.floating] | None = None
    wavefront: Wavefront | None = None

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """The colours: R×C×3, or R×C×4 with how much each covers the image."""
        rgb = colors(self.values if self.drawn is None else self.drawn, self.scale)
        return rgb if self.wavefront is None else swept(rgb, self.wavefront)

    def cell_at(self, pixel: Pixel) -> tuple[int, int]:
        """Return row and column of the cell over a pixel of the image."""
        rows, columns = self.values.shape[:2]
        row, column = int(pixel.y / self.cell_pixels[0]), int(pixel.x / self.cell_pixels[1])
        return min(row, rows - 1), min(column, columns - 1)

    def value_at(self, pixel: Pixel) -> NDArray[np.float32]:
        """Return the value over a pixel of the image: one number, or three."""
        found: NDArray[np.float32] = np.asarray(self.values[self.cell_at(pixel)])
        return found

    def text_at(self, pixel: Pixel) -> str:
        """Return the value over a pixel of the image as text."""
        return "  ".join(number(float(v)) for v in np.atleast_1d(self.value_at(pixel)))

    def bar_value_at(self, pixel: Pixel) -> float | None:
        """Return where the value over a pixel stands on the colour bar, None if nowhere."""
        if self.values.ndim == 3:
            return None
        drawn = self.values if self.drawn is None else self.drawn
        return float(drawn[self.cell_at(pixel)])


def number(value: float) -> str:
    """Return a value in three digits, a sign before it where it is negative."""
    return "not hidden yet" if np.isnan(value) else f"{value:.3g}".replace("-", "−")


def shown_gate(found: GateMap, scale: Scale | None = None, title: str = "") -> ShownMap:
    """Return how a gate's map is shown, on a scale of its own unless one is given."""
    signed = is_signed(found.query.gate) or bool(found.shares)
    label = SHORT_NAMES[found.query.gate]
    if found.shares:
        named = zip(("red", "green", "blue"), found.shares, strict=True)
        label = f"variance in {', '.join(f'{color} {share:.0%}' for color, share in named)}"
    elif found.unit is not None:
        label += f", unit {found.unit + 1}"
    else:
        label += ", mean of units"
    return ShownMap(
        found.values,
        found.cell_pixels,
        scale or scale_of([found.values], signed=signed),
        title or label,
        label,
    )


def shown_context(found: ContextMap, class_name: str, *, by_hiding: bool) -> ShownMap:
    """Return how the context map of a class's logit is shown."""
    if by_hiding:
        scale = scale_of([found.values], signed=True)
        return ShownMap(
            found.values,
            found.cell_pixels,
            scale,
            f"{class_name}, hiding",
            f"fall of {class_name} if hidden",
        )
    drawn = drawn_gradient(found.values)
    return ShownMap(
        found.values,
        found.cell_pixels,
        scale_of([drawn], signed=False),
        f"{class_name}, gradient",
        f"gradient of {class_name}, log₁₀",
        drawn,
    )
