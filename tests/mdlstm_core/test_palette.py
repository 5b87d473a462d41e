"""Default colours stay apart."""

from __future__ import annotations

from mdlstm_core.config import MAX_CLASSES
from mdlstm_core.palette import default_color


def test_colors_are_valid_and_all_different() -> None:
    colors = [default_color(index) for index in range(MAX_CLASSES)]

    assert all(0 <= value <= 255 for color in colors for value in color)
    assert len(set(colors)) == MAX_CLASSES
    assert (0, 0, 0) not in colors


def test_first_colors_are_far_apart() -> None:
    colors = [default_color(index) for index in range(8)]

    distances = [
        sum(abs(a - b) for a, b in zip(first, second, strict=True))
        for place, first in enumerate(colors)
        for second in colors[:place]
    ]
    assert min(distances) > 60
