"""Strokes cover what a round pen would cover."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.document.stroke import Box, Stroke, rasterize

_COORDINATE = st.floats(-30, 90)


def _distance_to_line(points: list[tuple[float, float]], height: int, width: int) -> np.ndarray:
    """Distance of each pixel's centre to a line through points, by brute force."""
    y, x = np.mgrid[:height, :width] + 0.5
    best = np.full((height, width), np.inf)
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[-1]], strict=True):
        along = np.array([x1 - x0, y1 - y0])
        length = max(float(along @ along), 1e-12)
        share = (((x - x0) * along[0] + (y - y0) * along[1]) / length).clip(0, 1)
        best = np.minimum(best, np.hypot(x - x0 - share * along[0], y - y0 - share * along[1]))
    return best


@given(
    points=st.lists(st.tuples(_COORDINATE, _COORDINATE), min_size=1, max_size=6),
    diameter=st.integers(1, 40),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
)
def test_covers_what_is_within_the_radius(
    points: list[tuple[float, float]], diameter: int, height: int, width: int
) -> None:
    covered = np.zeros((height, width), dtype=bool)
    region = rasterize(Stroke(tuple(points), diameter, 0), height, width)
    if region is not None:
        covered[region.box.slices] = region.mask
    distance = _distance_to_line(points, height, width)
    slack = 1e-9 if diameter <= 16 else 0.6
    assert covered[distance < diameter / 2 - slack].all()
    x, y = (int(np.floor(value)) for value in points[-1])
    if 0 <= y < height and 0 <= x < width:
        assert covered[y, x]
        covered[y, x] = False
    assert not covered[distance > diameter / 2 + slack].any()


def test_outside_the_image_covers_nothing() -> None:
    assert rasterize(Stroke(((-50.0, -50.0),), 10, 0), 20, 20) is None


def test_far_outside_does_not_overflow() -> None:
    region = rasterize(Stroke(((-1e9, 5.5), (1e9, 5.5)), 3, 0), 11, 11)
    assert region is not None
    assert region.mask.any(axis=0).all()


def test_box_united_holds_both() -> None:
    assert Box(2, 3, 5, 6).united(Box(1, 4, 4, 9)) == Box(1, 3, 5, 9)
