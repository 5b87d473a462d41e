"""Polygons and rectangles hold the pixels whose centres lie in them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.document.regions.shapes import polygon_region, rectangle_region
from app.document.stroke import Region

_POINT = st.tuples(st.floats(-10, 30), st.floats(-10, 30))


def on_canvas(region: Region | None, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    if region is not None:
        mask[region.box.slices] = region.mask
    return mask


def _winding(x: float, y: float, points: list[tuple[float, float]]) -> int:
    """How often a closed line goes round a point, edge by edge."""
    turns = 0
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * ((x1 - x0) / (y1 - y0)) <= x:
            turns += 1 if y1 > y0 else -1
    return turns


@given(
    points=st.lists(_POINT, min_size=3, max_size=9),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
)
def test_a_polygon_holds_the_centres_it_goes_round(
    points: list[tuple[float, float]], height: int, width: int
) -> None:
    expected = [
        [_winding(x + 0.5, y + 0.5, points) != 0 for x in range(width)] for y in range(height)
    ]
    region = polygon_region(points, height, width)
    np.testing.assert_array_equal(on_canvas(region, height, width), expected)


def test_neighbours_along_an_edge_share_no_pixel_and_leave_none() -> None:
    left = polygon_region([(0, 0), (13.3, 0), (6.1, 20), (0, 20)], 20, 20)
    right = polygon_region([(13.3, 0), (20, 0), (20, 20), (6.1, 20)], 20, 20)
    total = on_canvas(left, 20, 20).astype(int) + on_canvas(right, 20, 20)
    assert (total == 1).all()


def test_a_line_holds_nothing() -> None:
    assert polygon_region([(1.0, 1.0), (9.0, 9.0)], 20, 20) is None
    assert polygon_region([(1.0, 1.0), (9.0, 9.0), (1.0, 1.0)], 20, 20) is None


@given(start=_POINT, end=_POINT, height=st.integers(1, 20), width=st.integers(1, 20))
def test_a_rectangle_holds_the_pixels_from_one_to_the_other(
    start: tuple[float, float], end: tuple[float, float], height: int, width: int
) -> None:
    (x0, y0), (x1, y1) = np.floor(start), np.floor(end)
    expected = [
        [min(x0, x1) <= x <= max(x0, x1) and min(y0, y1) <= y <= max(y0, y1) for x in range(width)]
        for y in range(height)
    ]
    region = rectangle_region(start, end, height, width)
    np.testing.assert_array_equal(on_canvas(region, height, width), expected)
