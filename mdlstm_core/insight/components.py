"""Principal components of the hidden units, to see many units as one coloured map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COUNT = 3
"""Components shown: red, green and blue."""


def principal_components(
    values_RCH: NDArray[np.floating],
) -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """Return each cell's scores on the first components, R×C×3, and their variance's shares.

    The cells are the samples, the units the features. A component's largest weight is
    positive, so that the same map has the same colours. Where there are fewer than three
    components, or nothing varies, the scores are 0.

    The covariance of the units is taken apart: they are far fewer than the cells.
    """
    rows, columns, units = values_RCH.shape
    centred = values_RCH.reshape(-1, units).astype(np.float64)
    centred -= centred.mean(axis=0)
    variances, vectors = np.linalg.eigh(centred.T @ centred)
    first = min(COUNT, units)
    variances, vectors = variances[::-1][:first].clip(0), vectors[:, ::-1][:, :first]
    total = float((centred**2).sum())
    # What is left of rounding varies too, but means nothing.
    real = variances > max(total, 1e-30) * 1e-12
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[np.newaxis], axis=0)
    scores = np.zeros((rows * columns, COUNT), dtype=np.float32)
    scores[:, :first] = centred @ (vectors * np.where(largest < 0, -1, 1)) * real
    shares = [float(v / total) if r else 0.0 for v, r in zip(variances, real, strict=True)]
    return scores.reshape(rows, columns, COUNT), (*shares, *[0.0] * (COUNT - first))
