"""Growing, shrinking, smoothing and filling against pixel by pixel definitions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_fill_holes

from app.document.edit import Edit
from app.document.regions.connected import connected_region
from app.document.regions.outlines import filled, grown, shrunk, smoothed
from app.document.stroke import Region

_LABEL_MAPS = arrays(
    np.uint8,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.sampled_from([0, 0, 0, 1, 2]),
)
_AMOUNT = st.integers(1, 4)


def _region(label_map: np.ndarray, data: st.DataObject) -> tuple[Region, np.ndarray]:
    y, x = (data.draw(st.integers(0, side - 1)) for side in label_map.shape)
    region = connected_region(label_map, x, y)
    mask = np.zeros(label_map.shape, dtype=bool)
    mask[region.box.slices] = region.mask
    return region, mask


def _after(label_map: np.ndarray, edit: Edit | None) -> np.ndarray:
    after = label_map.copy()
    if edit is not None:
        after[edit.region.box.slices][edit.region.mask] = edit.labels
    return after


def _distances(mask: np.ndarray) -> np.ndarray:
    """From each pixel to each pixel of a mask: H, W, N."""
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    rows, columns = np.nonzero(mask)
    return np.hypot(y[..., np.newaxis] - rows, x[..., np.newaxis] - columns)


def _nearest(label_map: np.ndarray, mask: np.ndarray, y: int, x: int) -> set[int]:
    """The labels of the pixels outside a mask that are nearest to one inside."""
    away = _distances(~mask)[y, x]
    return set(label_map[~mask][np.isclose(away, away.min())].tolist())


@settings(max_examples=60)
@given(label_map=_LABEL_MAPS, amount=_AMOUNT, data=st.data())
def test_grows_by_the_amount(label_map: np.ndarray, amount: int, data: st.DataObject) -> None:
    region, mask = _region(label_map, data)
    own = label_map[mask][0]
    expected = np.where((_distances(mask) <= amount).any(axis=2), own, label_map)
    np.testing.assert_array_equal(_after(label_map, grown(label_map, region, amount)), expected)


@settings(max_examples=60)
@given(label_map=_LABEL_MAPS, amount=_AMOUNT, data=st.data())
def test_shrinks_to_what_is_nearest(
    label_map: np.ndarray, amount: int, data: st.DataObject
) -> None:
    region, mask = _region(label_map, data)
    after = _after(label_map, shrunk(label_map, region, amount))
    leaving = mask & (_distances(~mask) <= amount).any(axis=2)
    np.testing.assert_array_equal(after[~leaving], label_map[~leaving])
    for y, x in np.argwhere(leaving):
        assert int(after[y, x]) in _nearest(label_map, mask, y, x)


@settings(max_examples=60)
@given(label_map=_LABEL_MAPS, amount=_AMOUNT, data=st.data())
def test_smooths_by_the_majority(label_map: np.ndarray, amount: int, data: st.DataObject) -> None:
    region, mask = _region(label_map, data)
    after = _after(label_map, smoothed(label_map, region, amount))
    around = np.pad(mask, amount, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(around, (2 * amount + 1,) * 2)
    majority = windows.mean(axis=(2, 3)) > 0.5
    np.testing.assert_array_equal(after[~mask & ~majority], label_map[~mask & ~majority])
    assert (after[majority] == label_map[mask][0]).all()
    for y, x in np.argwhere(mask & ~majority):
        if not mask.all():
            assert int(after[y, x]) in _nearest(label_map, mask, y, x)


@given(label_map=_LABEL_MAPS, data=st.data())
def test_fills_what_is_enclosed(label_map: np.ndarray, data: st.DataObject) -> None:
    region, mask = _region(label_map, data)
    expected = np.where(binary_fill_holes(mask), label_map[mask][0], label_map)
    np.testing.assert_array_equal(_after(label_map, filled(label_map, region)), expected)
