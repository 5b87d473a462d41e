"""Random views of labeled images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.data.augmentation import random_view
from mdlstm_core.data.dataset import LabeledImage


def sample(height: int = 40, width: int = 60) -> LabeledImage:
    """Class 5 is dark, class 9 bright; a stripe has no label."""
    labels = np.full((height, width), 5, dtype=np.uint8)
    labels[:, width // 2 :] = 9
    image = np.where(labels == 9, 200, 40).astype(np.uint8)
    labels[: height // 8] = IGNORE_INDEX
    return LabeledImage(np.dstack([image] * 3), labels)


@given(
    seed=st.integers(0, 10_000),
    size=st.tuples(st.integers(1, 50), st.integers(1, 70)),
    view=st.tuples(st.integers(1, 50), st.integers(1, 70)),
)
@settings(max_examples=40, deadline=None)
def test_views_have_their_size_and_no_new_labels(
    seed: int, size: tuple[int, int], view: tuple[int, int]
) -> None:
    image, labels = random_view(sample(*size), *view, np.random.default_rng(seed))

    assert image.shape == (*view, 3)
    assert labels.shape == view
    assert (image.dtype, labels.dtype) == (np.uint8, np.uint8)
    assert set(np.unique(labels)) <= {5, 9, IGNORE_INDEX}


def test_same_seed_gives_the_same_view_and_another_one_another() -> None:
    first, again, other = (
        random_view(sample(), 32, 32, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )

    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.image, other.image)
    assert not np.array_equal(first.labels, other.labels)


def test_sample_is_left_as_it_is() -> None:
    image, labels = sample()
    before = image.copy(), labels.copy()

    random_view(LabeledImage(image, labels), 32, 32, np.random.default_rng(0))

    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])


@pytest.mark.parametrize("seed", range(8))
def test_labels_move_with_their_pixels(seed: int) -> None:
    image, labels = random_view(sample(), 40, 60, np.random.default_rng(seed))
    brightness = image.mean(axis=2)

    dark, bright = brightness[labels == 5], brightness[labels == 9]

    if dark.size and bright.size:
        # At the seam, where pixels are mixed, either may come out.
        assert np.percentile(dark, 90) < np.percentile(bright, 10)


def test_views_differ_in_place_and_mirroring() -> None:
    views = [random_view(sample(), 40, 60, np.random.default_rng(seed)) for seed in range(30)]

    left_is_dark = [(v.labels == 5)[:, :30].sum() > (v.labels == 5)[:, 30:].sum() for v in views]

    assert 5 < sum(left_is_dark) < 25


def test_zoomed_views_show_as_much_in_fewer_pixels() -> None:
    whole = random_view(sample(80, 120), 80, 120, np.random.default_rng(3))
    zoomed = random_view(sample(80, 120), 40, 60, np.random.default_rng(3), zoom=0.5)

    # The same place, cut out of half the size: but for a pixel at each of the seams.
    assert zoomed.image.shape == (40, 60, 3)
    assert (whole.labels[::2, ::2] == zoomed.labels).mean() > 0.9
