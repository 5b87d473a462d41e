"""Colours for values: perceptually uniform, zero-centred for signed ones."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_SIGMOIDS = ("output", "input", "forget_row", "forget_column")


@lru_cache(maxsize=2)
def color_table(*, signed: bool) -> NDArray[np.uint8]:
    """Return 256 colours, 256×3 (pyqtgraph: it brings the maps of Kovesi and matplotlib)."""
    from pyqtgraph import colormap

    table = colormap.get("CET-D1A" if signed else "viridis").getLookupTable(nPts=256)
    return np.asarray(table[:, :3], dtype=np.uint8)


def value_range(values: NDArray[np.float32], gate: str) -> tuple[float, float, bool]:
    """Return the lowest and highest value of a gate's scale, and whether it is signed.

    Sigmoid gates span what occurs; the others are centred on zero.
    """
    if gate in _SIGMOIDS:
        low, high = float(values.min()), float(values.max())
        return low, max(high, low + 1e-6), False
    bound = max(float(np.abs(values).max()), 1e-6)
    return -bound, bound, True


def colorize(
    values: NDArray[np.float32], low: float, high: float, table_N3: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return each value's colour, R×C×3."""
    steps = (values - low) / (high - low) * (len(table_N3) - 1)
    return table_N3[steps.round().clip(0, len(table_N3) - 1).astype(np.intp)]
