"""Changes compressed: unpacked they are what they were, stored or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.document.changes import find_changes
from app.document.packed_change import (
    PackedChange,
    changes_from_json,
    changes_to_json,
    mask_of,
)

_SIZES = st.tuples(st.integers(1, 14), st.integers(1, 14))
_LABELS = st.sampled_from([0, 1, 2, 255])


@given(st.data(), _SIZES)
def test_all_changes_of_an_image_are_there_again(
    data: st.DataObject, size: tuple[int, int]
) -> None:
    before, after = (data.draw(arrays(np.uint8, size, elements=_LABELS)) for _ in range(2))
    changes = find_changes(before, after, np.full(size, 255, np.uint8))
    packed = [PackedChange.of(change) for change in (*changes.regions, *changes.specks)]
    assert sum(change.unpack().pixels for change in packed) == changes.pixels
    again = changes_from_json(changes_to_json(packed), size)
    assert again == tuple(packed)
    for region, change in zip((*changes.regions, *changes.specks), again, strict=True):
        found = change.unpack()
        np.testing.assert_array_equal(found.region.mask, region.region.mask)
        assert (found.region.box, *found[1:]) == (region.region.box, *region[1:])
    np.testing.assert_array_equal(mask_of(again, before, after), before != after)


def test_only_the_same_change_counts() -> None:
    before, after = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    after[:, :3] = 1
    (region,) = find_changes(before, after, np.full((4, 4), 255, np.uint8)).regions
    packed = [PackedChange.of(region)]
    after[0, 0], before[1, 1] = 2, 2
    expected = np.zeros((4, 4), dtype=bool)
    expected[:, :3] = True
    expected[0, 0] = expected[1, 1] = False
    np.testing.assert_array_equal(mask_of(packed, before, after), expected)


@pytest.mark.parametrize("text", ["", "7", "[[0, 1]]", '[[0, 1, 0, 0, 2, 2, "AAAA"]]', "[[[]]]"])
def test_what_is_damaged_or_of_another_size_is_done_without(text: str) -> None:
    assert changes_from_json(text, (4, 4)) == ()
    whole = find_changes(*(np.full((9, 9), n, np.uint8) for n in (0, 1, 255))).regions
    stored = changes_to_json(PackedChange.of(region) for region in whole)
    assert len(changes_from_json(stored, (9, 9))) == 1
    assert changes_from_json(stored, (4, 4)) == ()
