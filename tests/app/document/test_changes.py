"""What changed between two label maps, against looking at every pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import label as label_regions

from app.document import changes as module
from app.document.changes import (
    all_refused,
    changed_mask,
    count_changes,
    find_changes,
    is_open,
    refused,
)
from app.document.label_map import LabelMap
from mdlstm_core.config import IGNORE_INDEX

_SIZES = st.tuples(st.integers(1, 14), st.integers(1, 14))
_LABELS = st.sampled_from([0, 1, 2, IGNORE_INDEX])


@pytest.fixture(autouse=True)
def keep_small_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEWEST_PIXELS", 1)


@given(st.data(), _SIZES)
def test_every_changed_pixel_is_in_one_region(data: st.DataObject, size: tuple[int, int]) -> None:
    before, after, corrections = (
        data.draw(arrays(np.uint8, size, elements=_LABELS)) for _ in range(3)
    )
    found = find_changes(before, after, corrections)
    changed = (before != after) & (corrections == IGNORE_INDEX)
    assert found.pixels == changed.sum()
    assert count_changes(before, after, corrections) == found.counts
    seen = np.zeros(size, dtype=int)
    for region in found.regions:
        box, mask = region.region
        seen[box.slices] += mask
        assert (before[box.slices][mask] == region.before).all()
        assert (after[box.slices][mask] == region.after).all()
        assert mask.sum() == region.pixels
        assert is_open(region, corrections)
    np.testing.assert_array_equal(seen, changed)
    # As many as another library finds among pixels of one pair of labels.
    pairs = np.where(changed, before.astype(int) * 256 + after + 1, 0)
    assert len(found.regions) == label_regions(pairs, connectivity=1).max()
    assert [r.pixels for r in found.regions] == sorted(r.pixels for r in found.regions)[::-1]


@given(st.data(), _SIZES)
def test_refusing_all_gives_the_labels_before_and_leaves_a_persons(
    data: st.DataObject, size: tuple[int, int]
) -> None:
    before, after, corrections = (
        data.draw(arrays(np.uint8, size, elements=_LABELS)) for _ in range(3)
    )
    free = (before != after) & (corrections == IGNORE_INDEX) & (before != IGNORE_INDEX)
    expected = np.where(free, before, corrections)
    one_by_one, at_once = LabelMap(corrections.copy()), LabelMap(corrections.copy())
    for region in find_changes(before, after, corrections).regions:
        edit = refused(region, one_by_one.values)
        patch = one_by_one.patch(edit) if edit else None
        assert (patch is None) == (region.before == IGNORE_INDEX)
        if patch:
            one_by_one.apply(patch)
            assert not is_open(region, one_by_one.values)
    edit = all_refused(before, changed_mask(before, after, corrections))
    if edit:
        patch = at_once.patch(edit)
        assert patch is not None
        at_once.apply(patch)
    np.testing.assert_array_equal(one_by_one.values, expected)
    np.testing.assert_array_equal(at_once.values, expected)


def test_specks_are_counted_but_not_stepped_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEWEST_PIXELS", 8)
    before, corrections = np.zeros((20, 20), np.uint8), np.full((20, 20), 255, np.uint8)
    after = before.copy()
    after[2:4, 2:4] = 1
    after[8:12, 8:12] = 1
    found = find_changes(before, after, corrections)
    assert found.counts == {(0, 1): 20}
    assert [region.pixels for region in found.regions] == [16]


def test_label_maps_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        find_changes(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), np.zeros((2, 2), "u1"))
