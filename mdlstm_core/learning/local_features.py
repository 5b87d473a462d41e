"""What the neighbourhood of each pixel looks like, at a few scales.

The same kinds of filters as scikit-image's `multiscale_basic_features`: smoothed colours,
strength of edges, and the Hessian's eigenvalues, which tell lines from spots. Written with
OpenCV, since a person waits for them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SIGMAS = (0.7, 1.4, 2.8, 5.6, 11.2)
"""Of the Gaussians, in pixels."""

_Array = NDArray[np.float32]


def local_features(image_HW3: NDArray[np.uint8]) -> _Array:
    """Return the filter responses of each pixel: F×H×W, of the order of 1.

    Args:
        image_HW3: RGB, 0 to 255.
    """
    colors = cv2.cvtColor(image_HW3.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab)
    colors *= np.array([1 / 50, 1 / 25, 1 / 25], dtype=np.float32)
    found = [*cv2.split(colors)]
    for sigma in _SIGMAS:
        smooth = cv2.GaussianBlur(colors, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        found += cv2.split(smooth)
        found += _shape(np.ascontiguousarray(smooth[..., 0]), sigma)
    return np.stack(found)


def _shape(smooth_HW: _Array, sigma: float) -> list[_Array]:
    """Return the gradient's length and the Hessian's eigenvalues, the larger one first."""
    # Normalised by the scale (Lindeberg 1998), so that all scales have like values.
    slope_x, slope_y = (
        sigma * cv2.filter2D(smooth_HW, -1, kernel, borderType=cv2.BORDER_REFLECT)
        for kernel in (_SLOPE, _SLOPE.T)
    )
    xx, yy = (
        sigma**2 * cv2.filter2D(smooth_HW, -1, kernel, borderType=cv2.BORDER_REFLECT)
        for kernel in (_BEND, _BEND.T)
    )
    xy = sigma**2 * cv2.filter2D(smooth_HW, -1, _SLOPE.T @ _SLOPE, borderType=cv2.BORDER_REFLECT)
    middle = (xx + yy) / 2
    spread = cv2.magnitude((xx - yy) / 2, xy)
    return [cv2.magnitude(slope_x, slope_y), middle + spread, middle - spread]


_SLOPE = np.array([[-0.5, 0.0, 0.5]], dtype=np.float32)
_BEND = np.array([[1.0, -2.0, 1.0]], dtype=np.float32)
