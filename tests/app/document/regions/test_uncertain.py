"""The most rewarding window, against trying every one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.document.regions.uncertain import most_uncertain
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
