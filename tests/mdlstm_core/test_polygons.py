"""Polygons and pixels: independent fillers agree, crossings are found."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.draw
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask
from skimage.measure import label as connected

from mdlstm_core.formats.polygon_filling import crosses_itself, fill_polygons
from mdlstm_core.formats.region_tracing import trace_regions

masks = arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14)))
places = st.floats(-1, 14, width=32)


def off_the_border(polygon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres are on no edge: on one, fillers have rules of their own."""
    y, x = np.indices(shape) + 0.5
    start, end = polygon, np.roll(polygon, -1, axis=0)
    off = np.ones(shape, bool)
    for (x1, y1), (x2, y2) in zip(start, end, strict=True):
        off &= np.abs((x - x1) * (y2 - y1) - (y - y1) * (x2 - x1)) > 1e-5
    return off


@given(points=st.lists(st.tuples(places, places), min_size=3, max_size=9))
def test_filling_is_even_odd_at_centers(points: list[tuple[float, float]]) -> None:
    polygon = np.array(points)

    found = fill_polygons([polygon], 9, 11)

    expected = np.zeros((9, 11), bool)
    expected[skimage.draw.polygon(polygon[:, 1] - 0.5, polygon[:, 0] - 0.5, (9, 11))] = True
    clear = off_the_border(polygon, (9, 11))
    np.testing.assert_array_equal(found[clear], expected[clear])


@settings(max_examples=150)
@given(mask=masks)
def test_traced_regions_are_exact(mask: np.ndarray) -> None:
    regions = trace_regions(mask.astype(np.uint8))

    own = [region for region in regions if region.class_id == 1]
    assert len(own) == connected(mask, connectivity=1).max()
    parts = np.zeros(mask.shape, int)
    for region in own:
        rings = fill_polygons([region.outline, *region.holes], *mask.shape)
        joined = region.joined()
        np.testing.assert_array_equal(fill_polygons([joined], *mask.shape), rings)
        # COCO's own filler agrees with ours on joined polygons.
        rle = coco_mask.frPyObjects([joined.ravel().tolist()], *mask.shape)
        assert coco_mask.area(rle)[0] == rings.sum()
        assert not crosses_itself(joined.astype(float))
        steps = np.abs(np.diff(np.vstack((joined, joined[:1])), axis=0))
        assert ((steps == 0).sum(axis=1) == 1).all(), "all edges lie on the grid"
        parts += rings
    np.testing.assert_array_equal(parts, mask)


@settings(max_examples=50)
@given(mask=masks)
def test_outlines_are_clockwise_and_holes_are_not(mask: np.ndarray) -> None:
    def area(ring: np.ndarray) -> float:
        following = np.roll(ring, -1, axis=0)
        return float((ring[:, 0] * following[:, 1] - following[:, 0] * ring[:, 1]).sum() / 2)

    for region in trace_regions(mask.astype(np.uint8)):
        inside = fill_polygons([region.outline, *region.holes], *mask.shape).sum()
        assert area(region.outline) > 0
        assert all(area(hole) < 0 for hole in region.holes)
        assert area(region.outline) + sum(area(hole) for hole in region.holes) == inside


def test_regions_are_traced_in_good_time() -> None:
    # A region with ten thousand holes: joining them must not take the square of that.
    label_map = np.zeros((201, 201), np.uint8)
    label_map[1::2, 1::2] = 1

    region = trace_regions(label_map)[0]

    assert len(region.holes) == 10_000
    assert (fill_polygons([region.joined()], 201, 201) == (label_map == 0)).all()


@pytest.mark.parametrize(
    ("points", "crosses"),
    [
        ([(0, 0), (4, 0), (4, 4), (0, 4)], False),
        ([(0, 0), (4, 4), (4, 0), (0, 4)], True),
        ([(0, 0), (4, 0), (4, 4), (2, 0), (0, 4)], False),  # touches an edge
        ([(0, 0), (4, 0), (4, 4), (2, -1), (0, 4)], True),
        ([(0, 0), (9, 0), (9, 9), (0, 9), (0, 0), (3, 3), (3, 6), (6, 6), (6, 3), (3, 3)], False),
    ],
)
def test_crossing_is_told_from_touching(points: list[tuple[int, int]], crosses: bool) -> None:
    assert crosses_itself(np.array(points, dtype=float)) == crosses
