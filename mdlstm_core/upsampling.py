"""Enlarging probabilities so that their borders follow the edges of the image.

The fast guided filter (He and Sun, arXiv:1505.00996; He, Sun, Tang, TPAMI 2013, section 3.4
for colours): in every small window of the reduced image, each class's probability is fitted
as a linear function of the colour; the functions, enlarged, are applied to the whole image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

_RADIUS = 4
"""Of the windows, in pixels of the reduced image."""

_SMOOTHNESS = 1e-3
"""Variance of the colour, 0 to 1, below which a window counts as flat."""

_Array = NDArray[np.float32]


class _Guide(NamedTuple):
    """The reduced image h×w×3, its local means, and inverse local covariances h×w×3×3."""

    image: _Array
    means: _Array
    inverses: _Array


def enlarged(
    probabilities_Khw: _Array, image_HW3: NDArray[np.uint8]
) -> Iterator[tuple[int, _Array]]:
    """Yield classes and their probabilities at the size of the image, H×W.

    A class that can be the most probable nowhere is left out. The values are only about 0
    to 1 and sum only about to 1: linear functions overshoot a little. The array is used
    again for the next class.

    Args:
        probabilities_Khw: at a reduced size, 0 to 1.
        image_HW3: the image that they are of, RGB, 0 to 255.
    """
    size = image_HW3.shape[1::-1]
    reduced = cv2.resize(image_HW3, probabilities_Khw.shape[:0:-1], interpolation=cv2.INTER_AREA)
    guide = _guide(reduced)
    levels = [cv2.extractChannel(image_HW3, channel) for channel in range(3)]
    full, slope, part = (np.empty(image_HW3.shape[:2], np.float32) for _ in range(3))
    for index, probability in enumerate(probabilities_Khw):
        if probability.max() * len(probabilities_Khw) < 1:
            continue
        slopes, offsets = _fit(probability, guide)
        cv2.resize(offsets, size, full, interpolation=cv2.INTER_LINEAR)
        for channel, level in enumerate(levels):
            cv2.resize(slopes[..., channel], size, slope, interpolation=cv2.INTER_LINEAR)
            cv2.multiply(level, slope, part, scale=1 / 255, dtype=cv2.CV_32F)
            cv2.add(full, part, full)
        yield index, full


def _guide(reduced_hw3: NDArray[np.uint8]) -> _Guide:
    image = reduced_hw3.astype(np.float32) / np.float32(255)
    means = _mean(image)
    products = image[..., :, np.newaxis] * image[..., np.newaxis, :]
    squares = np.stack([_mean(products[..., i, :]) for i in range(3)], axis=2)
    covariance = squares - means[..., :, np.newaxis] * means[..., np.newaxis, :]
    inverses = np.linalg.inv(covariance + _SMOOTHNESS * np.eye(3, dtype=np.float32))
    return _Guide(image.astype(np.float32, copy=False), means, inverses.astype(np.float32))


def _fit(probability_hw: _Array, guide: _Guide) -> tuple[_Array, _Array]:
    """Return slopes h×w×3 and offsets h×w of the linear functions of the colour."""
    mean = _mean(probability_hw)
    together = _mean(guide.image * probability_hw[..., np.newaxis])
    covariance = together - guide.means * mean[..., np.newaxis]
    slopes = np.einsum("hwij,hwj->hwi", guide.inverses, covariance)
    offsets = mean - (slopes * guide.means).sum(axis=2)
    return _mean(slopes), _mean(offsets)


def _mean(values: NDArray[Any]) -> _Array:
    """Average over the window around each pixel."""
    size = 2 * _RADIUS + 1
    averaged = cv2.blur(values.astype(np.float32), (size, size), borderType=cv2.BORDER_REFLECT)
    return averaged.astype(np.float32, copy=False)
