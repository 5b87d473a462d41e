"""Enlarged probabilities: against the filter's definition, and along the image's edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlstm_core import upsampling
from mdlstm_core.prediction import most_probable
from mdlstm_core.upsampling import enlarged


def by_definition(probability: np.ndarray, image: np.ndarray, radius: int) -> np.ndarray:
    """The guided filter at the image's own size, window by window: a ridge regression each."""
    height, width = probability.shape
    slopes, offsets = np.zeros((height, width, 3)), np.zeros((height, width))

    def window(y: int, x: int) -> tuple[np.ndarray, np.ndarray]:
        # Mirrored at the border with the last pixel repeated.
        rows = np.pad(np.arange(height), 3 * radius, "symmetric")[
            y + 2 * radius : y + 4 * radius + 1
        ]
        columns = np.pad(np.arange(width), 3 * radius, "symmetric")
        return np.ix_(rows, columns[x + 2 * radius : x + 4 * radius + 1])

    for y, x in np.ndindex(height, width):
        at = window(y, x)
        colors, values = image[at].reshape(-1, 3), probability[at].ravel()
        centered = colors - colors.mean(axis=0)
        matrix = centered.T @ centered / len(colors) + upsampling._SMOOTHNESS * np.eye(3)
        slopes[y, x] = np.linalg.solve(matrix, centered.T @ values / len(colors))
        offsets[y, x] = values.mean() - slopes[y, x] @ colors.mean(axis=0)
    result = np.zeros((height, width))
    for y, x in np.ndindex(height, width):
        at = window(y, x)
        result[y, x] = slopes[at].mean(axis=(0, 1)) @ image[y, x] + offsets[at].mean()
    return result


@given(seed=st.integers(0, 999))
@settings(max_examples=5, deadline=None)
def test_equals_the_guided_filter_at_equal_size(seed: int) -> None:
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (11, 13, 3)).astype(np.uint8)
    probability = generator.random((11, 13), dtype=np.float32)

    index, found = next(enlarged(np.stack([probability, 1 - probability]), image))

    expected = by_definition(probability, image / 255, upsampling._RADIUS)
    assert index == 0
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("edge", [81, 84, 87])
def test_borders_follow_the_images_edges(edge: int) -> None:
    image = np.full((120, 160, 3), (200, 180, 170), dtype=np.uint8)
    image[:, edge:] = (60, 90, 50)
    reduced = np.zeros((2, 15, 20), dtype=np.float32)
    right = cv2.resize((np.arange(160) >= edge).astype(np.float32)[None], (20, 1), interpolation=3)
    reduced[1] = 0.1 + 0.8 * right
    reduced[0] = 1 - reduced[1]

    labels = most_probable(reduced, image).label_map

    np.testing.assert_array_equal(labels, np.broadcast_to(np.arange(160) >= edge, (120, 160)))


def test_even_images_are_only_smoothed() -> None:
    image = np.full((90, 120, 3), 128, dtype=np.uint8)
    probability = np.random.default_rng(1).random((9, 12), dtype=np.float32)

    _, found = next(enlarged(np.stack([probability, 1 - probability]), image))

    size = (2 * upsampling._RADIUS + 1,) * 2
    smoothed = cv2.blur(cv2.blur(probability, size, borderType=2), size, borderType=2)
    np.testing.assert_allclose(found, cv2.resize(smoothed, (120, 90)), atol=1e-5)


def test_classes_that_cannot_win_are_left_out() -> None:
    probabilities = np.zeros((3, 4, 4), dtype=np.float32)
    probabilities[0], probabilities[1, 1, 1] = 0.9, 0.4

    found = [index for index, _ in enlarged(probabilities, np.zeros((8, 8, 3), np.uint8))]

    assert found == [0, 1]
