"""Setting strokes aside: whole, the same each time, and never a class's only one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.learning.set_aside import Split, split_all, strokes_of

SIDE = 96
CELL = 8

Painting = dict[tuple[int, int], int]

cells = st.tuples(st.integers(0, SIDE // CELL - 1), st.integers(0, SIDE // CELL - 1))
paintings = st.dictionaries(cells, st.integers(0, 4), max_size=40)


def painted(strokes: Painting) -> np.ndarray:
    """An image with one stroke in each of some cells; none touches another."""
    labels = np.full((SIDE, SIDE), IGNORE_INDEX, np.uint8)
    for (row, column), label in strokes.items():
        top, left = row * CELL, column * CELL
        labels[top + 1 : top + 4, left + 1 : left + 6] = label
    return labels


def split_each(*images: Painting) -> list[Split]:
    return split_all([strokes_of(painted(image), str(i)) for i, image in enumerate(images)])


@given(st.lists(paintings, min_size=1, max_size=3))
def test_whole_strokes_are_either_learned_or_aside(
    images: list[Painting],
) -> None:
    splits = split_each(*images)
    for image, split in zip(images, splits, strict=True):
        labels = painted(image)
        learned, aside = split.learned != IGNORE_INDEX, split.aside != IGNORE_INDEX
        assert not (learned & aside).any()
        np.testing.assert_array_equal(learned | aside, labels != IGNORE_INDEX)
        np.testing.assert_array_equal(np.where(learned, split.learned, split.aside), labels)
        for row, column in image:
            place = slice(row * CELL, (row + 1) * CELL), slice(column * CELL, (column + 1) * CELL)
            assert not (learned[place].any() and aside[place].any())
        assert split.learned_strokes + split.aside_strokes == len(image)
    everywhere = {label for image in images for label in image.values()}
    kept = {int(n) for s in splits for n in np.unique(s.learned) if n != IGNORE_INDEX}
    assert kept == everywhere


@given(paintings, paintings)
def test_what_is_aside_stays_aside_when_more_is_painted(first: Painting, more: Painting) -> None:
    (before,) = split_each(first)
    (after,) = split_each(more | first)
    aside = before.aside != IGNORE_INDEX
    np.testing.assert_array_equal(after.aside[aside], before.aside[aside])
    (again,) = split_each(more | first)
    np.testing.assert_array_equal(again.aside, after.aside)


def test_about_one_in_five_is_aside_once_there_are_enough() -> None:
    grid = [(row, column) for row in range(12) for column in range(12)]
    (few,) = split_each({place: index % 2 for index, place in enumerate(grid[:11])})
    assert few.aside_strokes == 0
    splits = split_each(*({place: i % 3 for i, place in enumerate(grid)} for _ in range(5)))
    share = sum(s.aside_strokes for s in splits) / (5 * len(grid))
    assert 0.16 < share < 0.24


def test_of_many_images_some_are_set_aside_whole() -> None:
    image = {(row, column): row % 2 for row in range(0, 12, 3) for column in range(0, 12, 3)}
    splits = split_each(*(image for _ in range(60)))
    whole = [s for s in splits if not s.learned_strokes]
    assert 1 <= len(whole) <= 14
    assert all(s.aside_strokes == len(image) for s in whole)
