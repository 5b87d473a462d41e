"""Superpixels cover the image, follow its edges and are found by what touches them."""

from __future__ import annotations

import numpy as np
import pytest

from app.document.regions.superpixels import Superpixels
from app.document.stroke import Box, Region


@pytest.fixture
def halves() -> np.ndarray:
    """A dark half beside a light one."""
    image = np.full((60, 80, 3), 30, dtype=np.uint8)
    image[:, 37:] = 220
    return image


def _at(x: int, y: int) -> Region:
    return Region(Box(y, x, y + 1, x + 1), np.ones((1, 1), dtype=bool))


def test_superpixels_part_the_image_along_its_edges(halves: np.ndarray) -> None:
    superpixels = Superpixels(halves, 10)
    times = np.zeros(halves.shape[:2], dtype=int)
    found = set()
    for y, x in np.ndindex(times.shape):
        region = superpixels.under(_at(x, y))
        assert region.mask[y - region.box.top, x - region.box.left]
        colors = halves[region.box.slices][region.mask]
        assert (colors == colors[0]).all()
        key = (region.box, region.mask.tobytes())
        if key not in found:
            found.add(key)
            times[region.box.slices] += region.mask
    assert (times == 1).all()
    assert 30 < len(found) < 70


def test_a_region_takes_all_superpixels_that_it_touches() -> None:
    image = np.random.default_rng(0).integers(0, 256, (70, 1600, 3), dtype=np.uint8)
    superpixels = Superpixels(image, 12)
    stroke = Region(Box(30, 340, 33, 760), np.zeros((3, 420), dtype=bool))
    stroke.mask[1, ::7] = True
    assert not superpixels.is_ready(stroke.box)
    touched = superpixels.under(stroke)
    assert superpixels.is_ready(stroke.box)
    assert not superpixels.is_ready(Box(0, 1250, 70, 1600))
    expected = np.zeros(image.shape[:2], dtype=bool)
    for x in range(340, 760, 7):
        single = superpixels.under(_at(x, 31))
        expected[single.box.slices] |= single.mask
    given = np.zeros_like(expected)
    given[touched.box.slices] = touched.mask
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (513, 3), (5, 5)])
def test_tiny_images_have_superpixels_too(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), dtype=np.uint8)
    region = Superpixels(image, 20).under(_at(0, 0))
    assert region.mask[0, 0]
