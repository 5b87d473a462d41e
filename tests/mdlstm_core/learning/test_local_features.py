"""The filter responses that Live learns from, against SciPy's and scikit-image's filters."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage, stats
from skimage import color, data, transform

from mdlstm_core.learning.local_features import FILTERS, local_features

_FIRST_LINE = 42
_SCALES = {0.7: 4.0, 1.4: 8.0, 2.8: 11.2, 5.6: None, 11.2: None}


@pytest.fixture(scope="module")
def photograph() -> NDArray[np.uint8]:
    return np.ascontiguousarray(data.astronaut()[40:168, 100:260])


def test_each_response_is_that_of_an_independent_implementation(
    photograph: NDArray[np.uint8],
) -> None:
    found = local_features(photograph)
    lab = color.rgb2lab(photograph) / [50, 25, 25]
    expected = [*np.moveaxis(lab, 2, 0)]
    grain: list[int] = []
    for sigma, around in _SCALES.items():
        smooth = ndimage.gaussian_filter(lab, (sigma, sigma, 0), mode="reflect")
        padded = np.pad(smooth[..., 0], 1, mode="symmetric")
        slope_y, slope_x = (s[1:-1, 1:-1] * sigma for s in np.gradient(padded))
        expected += [*np.moveaxis(smooth, 2, 0), np.hypot(slope_x, slope_y)]
        expected += [*_eigenvalues(padded, sigma)]
        if around is not None:
            grain += range(len(expected), len(expected) + 3)
            expected += _structure(slope_x, slope_y, around)
    assert tuple(grain) == FILTERS.grain
    expected += _lines(lab[..., 0])
    assert len(found) == len(expected)
    for number, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        scale = np.abs(theirs).mean()
        assert np.abs(ours - theirs).mean() < 0.02 * scale, f"response {number}"


def test_stripes_of_two_directions_differ_in_the_direction_of_edges_alone() -> None:
    stripes = np.where(np.arange(96) // 4 % 2, 160, 90).astype(np.uint8)
    upright = np.broadcast_to(stripes[None, :, None], (96, 96, 3))
    lying = np.broadcast_to(stripes[:, None, None], (96, 96, 3))
    one, other = (local_features(np.ascontiguousarray(image)) for image in (upright, lying))
    differing = {
        number
        for number, (a, b) in enumerate(zip(one, other, strict=True))
        if not np.allclose(np.sort(a, axis=None), np.sort(b, axis=None), atol=1e-3)
    }
    directions = {10, 19, 28}
    assert differing == directions
    for number in directions:
        assert one[number].min() > 0
        assert other[number].max() < 0


def test_a_response_sees_as_far_as_its_scale_says() -> None:
    """What one dark pixel changes lies around it, on average as far as a scale or three."""
    plain = np.full((161, 161, 3), 150, dtype=np.uint8)
    marked = plain.copy()
    marked[80, 80] = (60, 160, 90)
    changed = np.abs(local_features(marked) - local_features(plain))
    assert len(FILTERS.scales) == len(changed)
    y, x = np.mgrid[-80:81, -80:81]
    reach = np.sqrt((changed * (y**2 + x**2)).sum(axis=(1, 2)) / changed.sum(axis=(1, 2)))
    assert (reach[:3] == 0).all()
    for number, (seen, scale) in enumerate(zip(reach[3:], FILTERS.scales[3:], strict=True), 3):
        assert scale < seen < 3.5 * scale, f"response {number}"


def test_a_flat_image_has_finite_responses_without_edges() -> None:
    found = local_features(np.full((40, 30, 3), 128, dtype=np.uint8))
    assert np.isfinite(found).all()
    assert np.abs(found[6:9]).max() < 1e-3
    assert np.abs(found[_FIRST_LINE:]).max() < 1e-5


def _eigenvalues(padded: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return the Hessian's eigenvalues by numpy's solver, the larger one first."""
    middle = padded[1:-1, 1:-1]
    xx = padded[1:-1, 2:] - 2 * middle + padded[1:-1, :-2]
    yy = padded[2:, 1:-1] - 2 * middle + padded[:-2, 1:-1]
    xy = (padded[2:, 2:] - padded[2:, :-2] - padded[:-2, 2:] + padded[:-2, :-2]) / 4
    matrices = sigma**2 * np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -1)
    return np.moveaxis(np.linalg.eigvalsh(matrices)[..., ::-1], 2, 0)


def _structure(
    slope_x: NDArray[np.float64], slope_y: NDArray[np.float64], around: float
) -> list[NDArray[np.float64]]:
    """Return the root of the structure tensor's trace, and twice its angle as a vector."""
    tensor = np.stack([slope_x * slope_x, slope_x * slope_y, slope_y * slope_y])
    xx, xy, yy = ndimage.gaussian_filter(tensor, (0, around, around), mode="reflect")
    matrices = np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -1)
    values, vectors = np.linalg.eigh(matrices)
    strength = np.sqrt(values.sum(axis=-1) + 1e-6)
    angle = np.arctan2(vectors[..., 1, 1], vectors[..., 0, 1])
    length = (values[..., 1] - values[..., 0]) / strength
    return [strength, length * np.cos(2 * angle), length * np.sin(2 * angle)]


def _lines(lightness: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the answers of long filters, made from the Hessian of a normal distribution."""
    places = np.stack(np.meshgrid(*[np.arange(-8.0, 9.0)] * 2, indexing="xy"), axis=-1)
    found = []
    for factor in (1, 2, 4):
        small = transform.downscale_local_mean(lightness, (factor, factor))
        answers = []
        for angle in np.pi * np.arange(8) / 8:
            across = np.array([np.cos(angle), np.sin(angle)])
            along = np.array([-np.sin(angle), np.cos(angle)])
            covariance = np.outer(across, across) + 9 * np.outer(along, along)
            density = stats.multivariate_normal(cov=covariance).pdf(places)
            drawn = places @ np.linalg.inv(covariance) @ across
            kernel = density * (drawn**2 - across @ np.linalg.inv(covariance) @ across)
            answers.append(ndimage.correlate(small, kernel - kernel.mean(), mode="reflect"))
        stack = np.stack(answers)
        best = stack.argmax(axis=0)
        crossing = np.take_along_axis(stack, (best[None] + 4) % 8, axis=0)[0]
        maps = stack.max(0), stack.min(0), stack.mean(0), stack.max(0) - crossing
        found += [
            ndimage.zoom(one, factor, order=1, grid_mode=True, mode="nearest") for one in maps
        ]
    return found
