"""What was accepted of what changed on an image, through one comparison after the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from app.document.packed_change import changes_from_json, changes_to_json
from app.inference.survey_worker import Look
from app.session import reviewed_image
from app.session.difference import Difference
from app.session.reviewed_image import Labels, ReviewedImage, reviewed

_SIZE = (20, 30)
_LABELS = [(0, 1, 2), (0, 1, 2)]


def labels(*parts: tuple[slice, slice, int]) -> np.ndarray:
    """Return a label map that is 0 but for some parts."""
    found = np.zeros(_SIZE, dtype=np.uint8)
    for rows, columns, label in parts:
        found[rows, columns] = label
    return found


PLAIN = labels()
FIRST = labels((slice(0, 5), slice(0, 5), 1), (slice(10, 20), slice(0, 10), 2))
SECOND = labels((slice(0, 5), slice(0, 5), 2), (slice(0, 1), slice(20, 22), 1))


def review(
    before: np.ndarray,
    after: np.ndarray,
    accepted: str = "",
    labels: Labels = _LABELS,
    removed: Mapping[int, int] = MappingProxyType({}),
) -> ReviewedImage:
    """Compare two label maps of an image on which nobody set a label."""
    looks = [Look.of("a model", Path("a.png"), ("a", "b", "c"), each) for each in (before, after)]
    nothing = np.full((1, 1), 255, dtype=np.uint8)
    return reviewed(Difference.of(*looks), labels, lambda: nothing, accepted, removed, 0)


def left(found: ReviewedImage) -> np.ndarray:
    """Return which pixels would be refused with all others."""
    return found.open_changes(_LABELS, np.full(_SIZE, 255, dtype=np.uint8))[1]


def test_what_was_accepted_stays_whatever_is_compared_and_accepted_later() -> None:
    first = review(PLAIN, FIRST)
    assert [change.after for change in first.packed] == [2, 1]
    first.accept(0)
    second = review(PLAIN, SECOND, changes_to_json(first.kept))
    assert second.open_places == [0]
    assert [change.after for change in second.packed] == [2]  # the other one is a speck
    second.accept_all()
    assert not left(second).any()
    again = review(PLAIN, FIRST, changes_to_json(second.kept))
    assert again.open_places == [1]
    np.testing.assert_array_equal(left(again), FIRST == 1)
    # The same pixels, from or to another label, are another change.
    one = np.where(FIRST == 2, 1, 0).astype(np.uint8)
    np.testing.assert_array_equal(
        left(review(FIRST, PLAIN, changes_to_json(second.kept))), FIRST > 0
    )
    np.testing.assert_array_equal(
        left(review(PLAIN, one, changes_to_json(second.kept))), FIRST == 2
    )


def test_specks_are_accepted_only_as_the_change_that_they_were() -> None:
    first = review(PLAIN, SECOND)
    first.accept_all()
    other = labels((slice(0, 1), slice(20, 22), 2))
    np.testing.assert_array_equal(
        left(review(PLAIN, other, changes_to_json(first.kept))), other == 2
    )


def test_the_oldest_that_was_accepted_leaves_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewed_image, "MOST_KEPT", 2)
    first = review(PLAIN, FIRST)
    first.accept_all()
    second = review(PLAIN, SECOND, changes_to_json(first.kept))
    second.accept(0)
    stored = changes_from_json(changes_to_json(second.kept), _SIZE)
    assert stored == (first.packed[1], second.packed[0])


def test_what_was_accepted_stays_when_its_class_is_merged_and_when_that_is_undone() -> None:
    first = review(PLAIN, FIRST)
    first.accept_all()
    accepted = changes_to_json(first.kept)

    merged = review(PLAIN, FIRST, accepted, [(0, 1, 1), (0, 1, 1)], {2: 1})

    assert merged.open_places == []
    assert not merged.open_changes([(0, 1, 1), (0, 1, 1)], np.full(_SIZE, 255, np.uint8))[1].any()
    assert changes_to_json(merged.kept) == accepted  # as it was stored
    assert review(PLAIN, FIRST, accepted).open_places == []
