"""Floods reach what a walk from pixel to pixel reaches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.document.regions.connected import color_region, connected_region, is_cut, tight
from app.document.stroke import Box, Region

LABEL_MAPS = arrays(
    np.uint8,
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    elements=st.sampled_from([0, 1, 255]),
)
_IMAGES = arrays(np.uint8, st.tuples(st.integers(1, 10), st.integers(1, 10), st.just(3)))


def walked(may_enter: np.ndarray, x: int, y: int) -> np.ndarray:
    """The pixels reached over their sides, one after the other."""
    reached, to_visit = np.zeros_like(may_enter), [(y, x)]
    while to_visit:
        row, column = to_visit.pop()
        inside = 0 <= row < may_enter.shape[0] and 0 <= column < may_enter.shape[1]
        if inside and may_enter[row, column] and not reached[row, column]:
            reached[row, column] = True
            to_visit += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
    return reached


def on_canvas(region: Region, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], dtype=bool)
    mask[region.box.slices] = region.mask
    return mask


@given(label_map=LABEL_MAPS, data=st.data())
def test_a_region_is_what_a_walk_reaches(label_map: np.ndarray, data: st.DataObject) -> None:
    y, x = (data.draw(st.integers(0, side - 1)) for side in label_map.shape)
    region = connected_region(label_map, x, y)
    np.testing.assert_array_equal(
        on_canvas(region, label_map.shape), walked(label_map == label_map[y, x], x, y)
    )


@given(image=_IMAGES, tolerance=st.integers(0, 255), contiguous=st.booleans(), data=st.data())
def test_the_wand_takes_near_colours(
    image: np.ndarray, tolerance: int, contiguous: bool, data: st.DataObject
) -> None:
    y, x = (data.draw(st.integers(0, side - 1)) for side in image.shape[:2])
    image.setflags(write=False)
    near = (abs(image.astype(int) - image[y, x].astype(int)) <= tolerance).all(axis=2)
    region = color_region(image, x, y, tolerance, contiguous=contiguous)
    np.testing.assert_array_equal(
        on_canvas(region, image.shape), walked(near, x, y) if contiguous else near
    )


@pytest.mark.parametrize("start", [0, 50_000])
def test_a_region_larger_than_the_first_window_is_whole(start: int) -> None:
    label_map = (np.random.default_rng(0).random((600, 300)) < 0.3).astype(np.uint8)
    y, x = np.argwhere(label_map == 0)[start]
    region = connected_region(label_map, int(x), int(y))
    np.testing.assert_array_equal(
        on_canvas(region, label_map.shape), walked(label_map == 0, int(x), int(y))
    )


def test_a_window_cuts_only_inside_the_image() -> None:
    window = Box(0, 10, 20, 30)
    assert not is_cut(Box(0, 12, 18, 28), window, 40, 40)
    assert is_cut(Box(0, 10, 18, 28), window, 40, 40)
    assert is_cut(Box(0, 12, 18, 28), window, 40, 40, margin=2)


@given(mask=arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_tight_keeps_the_pixels(mask: np.ndarray) -> None:
    if not mask.any():
        return
    region = tight(Region(Box(3, 4, 3 + mask.shape[0], 4 + mask.shape[1]), mask))
    expected = np.zeros((20, 20), dtype=bool)
    expected[3 : 3 + mask.shape[0], 4 : 4 + mask.shape[1]] = mask
    np.testing.assert_array_equal(on_canvas(region, (20, 20)), expected)
    for edge in (region.mask[0], region.mask[-1], region.mask[:, 0], region.mask[:, -1]):
        assert edge.any()
