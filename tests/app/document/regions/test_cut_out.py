"""The cut finds a thing that is unlike its ground."""

from __future__ import annotations

import numpy as np
import pytest

from app.document.regions.cut_out import cut_from_rectangle, cut_from_scribble
from app.document.stroke import Box, Region, Stroke, rasterize


def _disc(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy orange disc on a noisy blue ground, and where it is."""
    y, x = np.mgrid[:side, :side]
    thing = np.hypot(y - side / 2, x - side / 2) < side / 5
    colors = np.where(thing[..., np.newaxis], (220, 120, 30), (40, 60, 150))
    noise = np.random.default_rng(1).normal(0, 12, (side, side, 3))
    image = (colors + noise).clip(0, 255).astype(np.uint8)
    image.setflags(write=False)
    return image, thing


def _overlap(region: Region | None, thing: np.ndarray) -> float:
    """Intersection over union."""
    given = np.zeros_like(thing)
    if region is not None:
        given[region.box.slices] = region.mask
    return float((given & thing).sum() / (given | thing).sum())


@pytest.mark.parametrize("side", [90, 600])
def test_cuts_a_thing_out_of_a_box(side: int) -> None:
    image, thing = _disc(side)
    box = Box(side // 4, side // 4, 3 * side // 4, 3 * side // 4)
    assert _overlap(cut_from_rectangle(image, box), thing) > 0.9


@pytest.mark.parametrize("side", [90, 600])
def test_cuts_out_what_is_scribbled_on(side: int) -> None:
    image, thing = _disc(side)
    ends = ((0.4 * side, 0.45 * side), (0.6 * side, 0.55 * side))
    scribble = rasterize(Stroke(ends, 3, 0), side, side)
    assert scribble is not None
    cut = cut_from_scribble(image, scribble)
    assert _overlap(cut, thing) > 0.9


def test_the_same_scribble_gives_the_same_cut() -> None:
    image, _ = _disc(80)
    box = Box(20, 20, 60, 60)
    first, second = (cut_from_rectangle(image, box) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.box == second.box
    np.testing.assert_array_equal(first.mask, second.mask)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 40), (40, 40)])
def test_no_ground_and_no_colours_break_nothing(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), dtype=np.uint8)
    whole = Box(0, 0, *size)
    cut_from_rectangle(image, whole)
    cut = cut_from_scribble(image, Region(whole, np.ones(size, dtype=bool)))
    assert cut is not None
    assert cut.box == whole
    assert cut.mask.all()
