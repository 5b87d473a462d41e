"""Strokes cover what the brush would cover, whatever its shape and the pen's pressure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.document.stroke import Box, PenPoint, Region, Stroke, StrokeMask, rasterize, without

_COORDINATE = st.floats(-10, 40)
_PRESSURE = st.floats(0, 1)
_STEPS = np.linspace(0, 1, 201)


def _margins(
    points: list[PenPoint], shape: str, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """How far each pixel's centre is from the pen less the brush's radius, at the nearest.

    The way between two points is walked in small steps.
    """
    y, x = np.mgrid[:height, :width] + 0.5
    best = np.full((height, width), np.inf)
    for start, end in zip(points, [*points[1:], points[-1]], strict=True):
        for step in _STEPS if start != end else _STEPS[:1]:
            at = [a + step * (b - a) for a, b in zip(start, end, strict=True)]
            away = (
                np.hypot(x - at[0], y - at[1])
                if shape == "round"
                else np.maximum(abs(x - at[0]), abs(y - at[1]))
            )
            best = np.minimum(best, away - at[2] / 2)
    return best


@settings(max_examples=60)
@given(
    points=st.lists(st.tuples(_COORDINATE, _COORDINATE, _PRESSURE), min_size=1, max_size=4),
    diameter=st.integers(1, 40),
    shape=st.sampled_from(["round", "square"]),
    height=st.integers(1, 30),
    width=st.integers(1, 30),
)
def test_covers_what_is_under_the_brush(
    points: list[tuple[float, float, float]], diameter: int, shape: str, height: int, width: int
) -> None:
    covered = np.zeros((height, width), dtype=bool)
    stroke = Stroke(
        tuple((x, y) for x, y, _ in points),
        diameter,
        0,
        shape,
        tuple(pressure for *_, pressure in points),
    )
    region = rasterize(stroke, height, width)
    if region is not None:
        covered[region.box.slices] = region.mask
    margins = _margins(stroke.pen_points(), shape, height, width)
    exact = shape == "square" or diameter <= 16
    slack = 0.2 if exact else 0.8  # a step is up to 0.35 pixels long
    assert covered[margins < -(1e-6 if exact else slack)].all()
    under_pen = np.zeros_like(covered)
    for x, y, _ in points:
        if 0 <= y < height and 0 <= x < width:
            under_pen[int(y), int(x)] = True
    assert covered[under_pen].all()
    assert not covered[(margins > slack) & ~under_pen].any()


@pytest.mark.parametrize("side", range(1, 9))
@pytest.mark.parametrize("at", [(10.0, 10.0), (10.5, 10.5), (10.3, 9.8)])
def test_a_square_brush_covers_its_side(side: int, at: tuple[float, float]) -> None:
    region = rasterize(Stroke((at,), side, 0, "square"), 20, 20)
    assert region is not None
    assert region.mask.sum() == side**2


@given(
    points=st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), min_size=1, max_size=8),
    diameter=st.integers(1, 30),
)
@example(points=[(0.0, 0.0), (0.0, 2.2e-313)], diameter=1)
def test_grows_point_by_point_to_the_whole(
    points: list[tuple[float, float]], diameter: int
) -> None:
    stroke = Stroke(tuple(points), diameter, 0)
    mask = StrokeMask(64, 64)
    for point in stroke.pen_points():
        before = mask.pixels.copy()
        box = mask.add(point)
        changed = before != mask.pixels
        if box is not None:
            changed[box.slices] = False
        assert not changed.any()
    whole, grown = rasterize(stroke, 64, 64), mask.region()
    assert whole is not None
    assert grown is not None
    np.testing.assert_array_equal(whole.mask, grown.mask)


def test_outside_the_image_covers_nothing() -> None:
    assert rasterize(Stroke(((-50.0, -50.0),), 10, 0), 20, 20) is None


@pytest.mark.parametrize("shape", ["round", "square"])
@pytest.mark.parametrize("diameter", [3, 33])
def test_far_outside_does_not_overflow(shape: str, diameter: int) -> None:
    region = rasterize(Stroke(((-1e9, 5.5), (1e9, 5.5)), diameter, 0, shape), 11, 11)
    assert region is not None
    assert region.mask.any(axis=0).all()


def test_box_united_holds_both() -> None:
    assert Box(2, 3, 5, 6).united(Box(1, 4, 4, 9)) == Box(1, 3, 5, 9)


_BOX = st.builds(
    lambda top, left, rows, columns: Box(top, left, top + rows, left + columns),
    *(st.integers(0, 8), st.integers(0, 8), st.integers(1, 8), st.integers(1, 8)),
)


@given(box=_BOX, others=st.lists(_BOX, max_size=3), seed=st.integers(0, 1000))
def test_without_takes_other_regions_out(box: Box, others: list[Box], seed: int) -> None:
    generator = np.random.default_rng(seed)
    regions = [Region(b, generator.random(b.shape) < 0.7) for b in (box, *others)]
    canvas = np.zeros((16, 16), dtype=bool)
    canvas[box.slices] = regions[0].mask
    for other in regions[1:]:
        canvas[other.box.slices] &= ~other.mask
    np.testing.assert_array_equal(without(regions[0], regions[1:]), canvas[box.slices])
