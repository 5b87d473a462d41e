"""The most rewarding window, against trying every one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.document.regions.uncertain import (
    difference,
    labeled_colors,
    most_uncertain,
    uncertain_regions,
    worth,
)
from app.document.stroke import Box

_SIZES = st.tuples(st.integers(6, 24), st.integers(6, 24))


@given(
    st.data(),
    _SIZES,
)
def test_no_other_window_is_more_uncertain(data: st.DataObject, size: tuple[int, int]) -> None:
    uncertainty = data.draw(arrays(np.uint8, size))
    is_set = data.draw(arrays(np.bool_, size))
    free = np.where(is_set, 0, uncertainty).astype(int)
    side = min(size) // 6
    sums = [
        free[y : y + side, x : x + side].sum()
        for y in range(size[0] - side + 1)
        for x in range(size[1] - side + 1)
    ]
    found = most_uncertain(uncertainty, is_set)
    if max(sums) / side**2 < 0.25 * 255:
        assert found is None
        return
    assert found is not None
    assert free[found.box.slices].sum() == max(sums)
    open_pixels = ~is_set[found.box.slices]
    assert found.pixels == open_pixels.sum()
    assert found.uncertainty == uncertainty[found.box.slices][open_pixels].mean() / 255


def test_goes_from_one_place_to_the_next_on_a_large_image() -> None:
    uncertainty = np.zeros((1200, 1800), np.uint8)
    uncertainty[100:400, 200:500] = 250
    uncertainty[700:1000, 1300:1600] = 200
    seen: list[Box] = []
    is_set = np.zeros(uncertainty.shape, bool)
    while (found := most_uncertain(uncertainty, is_set, seen)) is not None:
        seen.append(found.box)
    assert seen[0].top in range(80, 220)
    assert any(box.top > 600 for box in seen)
    assert len(seen) < 12
    is_set[:600] = True
    first = most_uncertain(uncertainty, is_set)
    assert first is not None
    assert first.box.top > 600


def test_worth_is_uncertainty_by_area_by_difference() -> None:
    image = np.zeros((60, 120, 3), np.uint8)
    image[:, 60:] = 200
    uncertainty = np.full((60, 120), 200, np.uint8)
    corrections = np.full((60, 120), 255, np.uint8)
    corrections[:5, :20] = 3  # black is labeled
    is_set = corrections != 255
    found = uncertain_regions(uncertainty, is_set, image, most=60)
    labeled = labeled_colors(image, corrections)
    np.testing.assert_allclose(labeled, 0, atol=1e-3)
    dark = next(r for r in found if r.box.right <= 60)
    light = next(r for r in found if r.box.left >= 60)
    assert difference(dark, labeled) == pytest.approx(0.2, abs=1e-3)
    # Grey of 200 has the lightness 80.6: L* = 116 ((200/255 + 0.055) / 1.055)^(2.4/3) - 16.
    lightness = 116 * ((200 / 255 + 0.055) / 1.055) ** 0.8 - 16
    expected = 0.2 + 0.8 * lightness / (lightness + 15)
    assert difference(light, labeled) == pytest.approx(expected, abs=0.01)
    share = light.pixels / (60 * 120)
    assert worth(light, labeled) == pytest.approx(200 / 255 * share * expected, abs=1e-3)
    assert worth(dark, np.zeros((0, 3), np.float32)) == pytest.approx(dark.uncertainty * dark.share)
    assert all(not is_set[r.box.slices].all() for r in found)
