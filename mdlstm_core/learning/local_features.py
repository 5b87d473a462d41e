"""What the neighbourhood of each pixel looks like, at a few scales.

The same kinds of filters as scikit-image's `multiscale_basic_features`: smoothed colours,
strength of edges, and the Hessian's eigenvalues, which tell lines from spots. Beside them how
strong the edges all around are, and which way they run: that is what textures differ in; and
filters that are longer than they are wide, which follow a vessel or a membrane where noise
hides it. Written with OpenCV, since a person waits for them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

_SIGMAS = (0.7, 1.4, 2.8, 5.6, 11.2)
"""Of the Gaussians, in pixels."""

_AROUND = {0.7: 4.0, 1.4: 8.0, 2.8: 11.2}
"""Over how many pixels (sigma) the edges of a scale are averaged."""

_ORIENTATIONS = 8
_LINE_WIDTH, _LINE_LENGTH = 1.0, 3.0
"""Of the long filters, in pixels (sigma across and along), at each level of a pyramid."""

_LINE_LEVELS = 3

_Array = NDArray[np.float32]


class Filters(NamedTuple):
    """What is known of the responses.

    Attributes:
        scales: how far each sees, in pixels (sigma).
        grain: which of them say how strong edges are all around, and which way they run.
    """

    scales: tuple[float, ...]
    grain: tuple[int, ...]


def _filters() -> Filters:
    scales, grain = [0.0] * 3, list[int]()  # the colours as they are
    for sigma in _SIGMAS:
        scales += [sigma] * 6
        if sigma in _AROUND:
            grain += range(len(scales), len(scales) + 3)
            scales += [_AROUND[sigma]] * 3
    for level in range(_LINE_LEVELS):
        scales += [math.sqrt(_LINE_WIDTH * _LINE_LENGTH) * 2**level] * 4
    return Filters(tuple(scales), tuple(grain))


FILTERS = _filters()


def local_features(image_HW3: NDArray[np.uint8]) -> _Array:
    """Return the filter responses of each pixel: F×H×W, of the order of 1.

    Args:
        image_HW3: RGB, 0 to 255.
    """
    colors = cv2.cvtColor(image_HW3.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab)
    colors *= np.array([1 / 50, 1 / 25, 1 / 25], dtype=np.float32)
    found = [*cv2.split(colors)]
    for sigma in _SIGMAS:
        smooth = _blurred(colors, sigma)
        found += cv2.split(smooth)
        lightness = np.ascontiguousarray(smooth[..., 0])
        # Normalised by the scale (Lindeberg 1998), so that all scales have like values.
        slopes = [sigma * _filtered(lightness, kernel) for kernel in (_SLOPE, _SLOPE.T)]
        found += [cv2.magnitude(*slopes), *_curvatures(lightness, sigma)]
        if sigma in _AROUND:
            found += _grain(slopes, _AROUND[sigma])
    return np.stack([*found, *_lines(np.ascontiguousarray(colors[..., 0]))])


def _curvatures(smooth_HW: _Array, sigma: float) -> list[_Array]:
    """Return the Hessian's eigenvalues, the larger one first."""
    kernels = _BEND, _BEND.T, _SLOPE.T @ _SLOPE
    xx, yy, xy = (sigma**2 * _filtered(smooth_HW, kernel) for kernel in kernels)
    middle = (xx + yy) / 2
    spread = cv2.magnitude((xx - yy) / 2, xy)
    return [middle + spread, middle - spread]


def _grain(slopes: list[_Array], around: float) -> list[_Array]:
    """Return how strong edges are on average, and their direction as a vector of twice the angle.

    Both from the structure tensor (Bigün and Granlund 1987); the vector is as long as the edges
    are strong and agree.
    """
    slope_x, slope_y = slopes
    products = slope_x * slope_x, slope_y * slope_y, slope_x * slope_y
    xx, yy, xy = (_blurred(product, around) for product in products)
    strength = np.sqrt(xx + yy + np.float32(1e-6))
    return [strength, (xx - yy) / strength, 2 * xy / strength]


def _lines(lightness_HW: _Array) -> list[_Array]:
    """Return how much each pixel looks as if it lay on a dark or a bright line.

    At each level: the greatest, the least and the mean answer of all orientations, and the
    greatest less the one across (the idea of Gabor filters for vessels: Soares et al., 2006).
    """
    size = lightness_HW.shape[::-1]
    found = []
    for level in range(_LINE_LEVELS):
        reduced = tuple(max(1, -(-side >> level)) for side in size)
        small = cv2.resize(lightness_HW, reduced, interpolation=cv2.INTER_AREA)
        answers = np.stack([_filtered(small, kernel) for kernel in _LINES])
        turned = np.roll(answers, _ORIENTATIONS // 2, axis=0)
        best = answers.argmax(axis=0)[np.newaxis]
        most = np.take_along_axis(answers, best, axis=0)[0]
        crossing = np.take_along_axis(turned, best, axis=0)[0]
        maps = most, answers.min(axis=0), answers.mean(axis=0), most - crossing
        found += [cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in maps]
    return [one.astype(np.float32, copy=False) for one in found]


def _blurred(values: _Array, sigma: float) -> _Array:
    blurred = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return blurred.astype(np.float32, copy=False)


def _filtered(values_HW: _Array, kernel: _Array) -> _Array:
    filtered = cv2.filter2D(values_HW, -1, kernel, borderType=cv2.BORDER_REFLECT)
    return filtered.astype(np.float32, copy=False)


_SLOPE = np.array([[-0.5, 0.0, 0.5]], dtype=np.float32)
_BEND = np.array([[1.0, -2.0, 1.0]], dtype=np.float32)


def _line_filters() -> list[_Array]:
    """Return the second derivative of a long Gaussian across it, for each orientation."""
    reach = math.ceil(2.5 * _LINE_LENGTH)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    found = []
    for angle in np.arange(_ORIENTATIONS) * math.pi / _ORIENTATIONS:
        across = (x * np.cos(angle) + y * np.sin(angle)) / _LINE_WIDTH
        along = (y * np.cos(angle) - x * np.sin(angle)) / _LINE_LENGTH
        gaussian = np.exp(-(across**2 + along**2) / 2) / (2 * math.pi * _LINE_WIDTH * _LINE_LENGTH)
        kernel = (across**2 - 1) * gaussian
        found.append((kernel - kernel.mean()).astype(np.float32))
    return found


_LINES = _line_filters()
