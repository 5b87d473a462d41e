"""Specks take what surrounds them, as a slow walk over all regions says."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.document.regions.specks import despeckled
from app.document.stroke import Box

_LABEL_MAPS = arrays(
    np.uint8,
    st.tuples(st.integers(1, 10), st.integers(1, 10)),
    elements=st.sampled_from([0, 0, 1, 2, 255]),
)


def _regions(label_map: np.ndarray) -> np.ndarray:
    """Number the connected regions, one walk each."""
    numbers, count = np.full(label_map.shape, -1), 0
    for start in np.ndindex(label_map.shape):
        if numbers[start] >= 0:
            continue
        to_visit = [start]
        while to_visit:
            pixel = to_visit.pop()
            if numbers[pixel] < 0 and label_map[pixel] == label_map[start]:
                numbers[pixel] = count
                to_visit += _beside(pixel, label_map.shape)
        count += 1
    return numbers


def _beside(pixel: tuple[int, int], shape: tuple[int, ...]) -> list[tuple[int, int]]:
    y, x = pixel
    places = [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return [(r, c) for r, c in places if 0 <= r < shape[0] and 0 <= c < shape[1]]


def _slowly(label_map: np.ndarray, cut: set[int], numbers: np.ndarray, least: int) -> np.ndarray:
    areas = Counter(numbers.ravel().tolist())
    specks = {n for n, area in areas.items() if area < least and n not in cut}
    labels = {n: int(label_map[numbers == n][0]) for n in areas}
    while specks:
        votes: dict[int, Counter[int]] = {}
        for pixel in np.ndindex(label_map.shape):
            number = int(numbers[pixel])
            for other in _beside(pixel, label_map.shape):
                beyond = int(numbers[other])
                if number in specks and beyond not in specks:
                    votes.setdefault(number, Counter())[labels[beyond]] += 1
        if not votes:
            break
        for number, counted in votes.items():
            most = max(counted.values())
            labels[number] = min(label for label, count in counted.items() if count == most)
        specks -= votes.keys()
    return np.vectorize(labels.get, otypes=[np.uint8])(numbers)


@given(label_map=_LABEL_MAPS, least=st.integers(2, 12), cuts=st.tuples(*[st.booleans()] * 4))
def test_specks_take_what_surrounds_them(
    label_map: np.ndarray, least: int, cuts: tuple[bool, bool, bool, bool]
) -> None:
    height, width = label_map.shape
    top, left, bottom, right = cuts
    box = Box(5 * top, 5 * left, 5 * top + height, 5 * left + width)
    size = (box.bottom + 5 * bottom, box.right + 5 * right)
    numbers = _regions(label_map)
    edges = [
        edge
        for is_cut, edge in zip(
            cuts, (numbers[0], numbers[:, 0], numbers[-1], numbers[:, -1]), strict=True
        )
        if is_cut
    ]
    expected = _slowly(label_map, {int(n) for edge in edges for n in edge}, numbers, least)
    after = np.zeros(size, dtype=np.uint8)
    after[box.slices] = label_map
    edit = despeckled(label_map, box, size, least)
    if edit is not None:
        after[edit.region.box.slices][edit.region.mask] = edit.labels
    np.testing.assert_array_equal(after[box.slices], expected)
