"""Maps as pictures with a colour bar.

matplotlib, because it labels axes well, needs no display, and has maps of colours that are
even to the eye. It is imported where it is needed: it is slow to load.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import SIGMOID_GATES
from mdlstm_core.insight.sweep import Wavefront

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIGNED_COLORS, UNSIGNED_COLORS = "coolwarm", "viridis"
"""Both even in lightness; the first is as light on either side of 0."""

FRONT_COLOR = (255, 43, 214)
"""Of the wavefront: in neither map of colours."""

DPI = 100
MAP_SIDE = 480
"""Pixels of the longer side of a drawn map, unless it has more cells."""

LEFT, TOP, RIGHT, BOTTOM = 70, 60, 110, 50
"""Pixels around a drawn map, for its title, axes and colour bar."""

_FAINTEST = 1e-4
"""Share of the largest gradient below which all is drawn alike."""

_UNKNOWN = np.uint8(153)
"""Grey, for NaN."""

_LEAST_HEIGHT = 160
"""Pixels that a colour bar needs for its numbers."""


@dataclass(frozen=True)
class Scale:
    """What the ends of a colour bar stand for; a signed one is centred on 0."""

    low: float
    high: float
    signed: bool

    @property
    def colors(self) -> str:
        """The name of its map of colours."""
        return SIGNED_COLORS if self.signed else UNSIGNED_COLORS


def is_signed(gate: str) -> bool:
    """Say whether a state's values lie on both sides of 0."""
    return gate not in SIGMOID_GATES


def drawn_gradient(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return what is drawn of a gradient: its logarithm to base 10.

    It falls by orders of magnitude within some cells, and its reach is what matters.
    """
    floor = max(float(values.max()), 1e-30) * _FAINTEST
    return np.log10(np.maximum(values, floor))


def scale_of(values: Sequence[NDArray[np.floating]], *, signed: bool) -> Scale:
    """Return the scale on which all values fit, NaN left out; never one of no width."""
    known = np.concatenate([v[np.isfinite(v)].ravel() for v in values]).astype(np.float64)
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if signed:
        bound = max(abs(low), abs(high)) or 1.0
        return Scale(-bound, bound, signed=True)
    return Scale(low, high if high > low else low + (abs(low) or 1.0) * 1e-6, signed=False)


def swept(rgb: NDArray[np.uint8], wavefront: Wavefront) -> NDArray[np.uint8]:
    """Return colours R×C×3 as far as a sweep has got: R×C×4, with how much each covers."""
    rgba = np.dstack([rgb, wavefront.cover])
    rgba[wavefront.front] = (*FRONT_COLOR, 255)
    return rgba


def colors(values: NDArray[np.floating], scale: Scale) -> NDArray[np.uint8]:
    """Return each value's colour, R×C×3; NaN is grey.

    Of R×C×3 values, each channel is taken as red, green and blue, 0 in the middle.
    """
    placed = (values.astype(np.float64) - scale.low) / (scale.high - scale.low)
    if values.ndim == 3:
        return (placed.clip(0, 1) * 255).round().astype(np.uint8)
    table = color_table(scale.colors)
    steps = np.nan_to_num(placed * len(table)).clip(0, len(table) - 1).astype(np.intp)
    return np.where(np.isnan(placed)[..., np.newaxis], _UNKNOWN, table[steps])


@lru_cache(maxsize=2)
def color_table(name: str) -> NDArray[np.uint8]:
    """Return the 256 colours of a map of colours, 256×3."""
    from matplotlib import colormaps

    table: NDArray[np.uint8] = colormaps[name](np.arange(256), bytes=True)[:, :3]
    table.setflags(write=False)
    return table


def draw_map(
    values: NDArray[np.floating],
    scale: Scale,
    *,
    title: str,
    label: str,
    cell_pixels: tuple[float, float],
    wavefront: Wavefront | None = None,
) -> bytes:
    """Return a PNG of a map with its colour bar, a square of whole pixels for each cell.

    Args:
        values: R×C, or R×C×3 to be seen as red, green and blue, which have no bar.
        scale: of the colours.
        title: above the map.
        label: of the colour bar, or of the colours.
        cell_pixels: height and width of a cell in pixels of the image, for the axes.
        wavefront: up to where to draw; None for the whole map.
    """
    height, width = drawn_size(values.shape[0], values.shape[1])
    figure, axes = _framed(height, width)
    show_cells(axes, values, scale, cell_pixels, wavefront)
    axes.set(xlabel="column of the image", ylabel="row of the image")
    figure.suptitle(plain(title), fontsize=9, wrap=True)
    if values.ndim == 2:
        bar = figure.add_axes(_box(figure, LEFT + width + 15, TOP, 15, max(height, _LEAST_HEIGHT)))
        add_bar(bar, scale, label)
    else:
        whole = figure.get_size_inches()[0] * DPI
        figure.text((LEFT + width + 20) / whole, 0.5, label, fontsize=8, va="center")
    return png_of(figure)


def drawn_size(rows: int, columns: int, side: int = MAP_SIDE) -> tuple[int, int]:
    """Return height and width of a drawn grid in pixels."""
    scale = max(1, side // max(rows, columns))
    return rows * scale, columns * scale


def show_cells(
    axes: Axes,
    values: NDArray[np.floating],
    scale: Scale,
    cell_pixels: tuple[float, float],
    wavefront: Wavefront | None = None,
) -> None:
    """Fill axes with a map, its numbers those of the image's pixels."""
    rows, columns = values.shape[:2]
    extent = (0, columns * cell_pixels[1], rows * cell_pixels[0], 0)
    pixels = colors(values, scale)
    if wavefront is not None:
        pixels = swept(pixels, wavefront)
    axes.imshow(pixels, interpolation="nearest", extent=extent, aspect="auto")
    axes.tick_params(labelsize=7)
    # A frame would lie over half of the cells at the border.
    axes.spines[:].set_visible(False)


def add_bar(axes: Axes, scale: Scale, label: str = "") -> None:
    """Make a colour bar of axes."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colorbar import Colorbar
    from matplotlib.colors import Normalize

    shown = ScalarMappable(Normalize(scale.low, scale.high), scale.colors)
    bar = Colorbar(axes, shown)
    bar.set_label(label, fontsize=8)
    axes.tick_params(labelsize=7)


def plain(text: str) -> str:
    """Return a text with names in it so that matplotlib takes no two dollars for a formula.

    Its `parse_math` does not: it wraps a title as if that were not set (3.11).
    """
    return text.replace("$", r"\$")


def new_figure(height: int, width: int, **layout: Any) -> Figure:
    """Return an empty figure of that many pixels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, **layout)


def png_of(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def _framed(height: int, width: int) -> tuple[Figure, Axes]:
    """Return a figure and axes of exactly that many pixels in it."""
    figure = new_figure(TOP + max(height, _LEAST_HEIGHT) + BOTTOM, LEFT + width + RIGHT)
    return figure, figure.add_axes(_box(figure, LEFT, TOP, width, height))


def _box(
    figure: Figure, left: int, top: int, width: int, height: int
) -> tuple[float, float, float, float]:
    """Return a rectangle of pixels, from the top left, as matplotlib wants it."""
    whole_width, whole_height = figure.get_size_inches() * DPI
    bottom = whole_height - top - height
    return (
        left / whole_width,
        bottom / whole_height,
        width / whole_width,
        height / whole_height,
    )
