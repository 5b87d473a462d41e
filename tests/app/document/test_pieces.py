"""An edit in pieces sets the same pixels as the whole."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.document.edit import Edit, edit_of_stroke
from app.document.pieces import pieces
from app.document.stroke import Box, Region, Stroke


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    """Scattered rectangles in a box of up to 700×1500 pixels, with one label or one each."""
    height, width = draw(st.integers(1, 700)), draw(st.integers(1, 1500))
    top, left = draw(st.integers(0, 600)), draw(st.integers(0, 600))
    mask = np.zeros((height, width), dtype=bool)
    for _ in range(draw(st.integers(1, 4))):
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[y : y + draw(st.integers(1, 60)), x : x + draw(st.integers(1, 60))] = True
    labels = 3
    if draw(st.booleans()):
        seed = np.random.default_rng(draw(st.integers(0, 99)))
        labels = seed.integers(0, 255, int(mask.sum()), dtype=np.uint8)
    return Edit(Region(Box(top, left, top + height, left + width), mask), labels, "paint")


@given(edit=edits())
@settings(max_examples=60)
def test_together_they_set_what_the_whole_sets(edit: Edit) -> None:
    whole = np.full((1300, 2100), 255, dtype=np.uint8)
    whole[edit.region.box.slices][edit.region.mask] = edit.labels
    cut, times_set = np.full_like(whole, 255), np.zeros_like(whole)

    found = list(pieces(edit))

    for piece in found:
        box, mask = piece.region
        assert mask.shape == box.shape
        assert mask.any()
        cut[box.slices][mask] = piece.labels
        times_set[box.slices] += mask
    np.testing.assert_array_equal(cut, whole)
    assert times_set.max() == 1
    # The database tells the patches of a step apart by their corners.
    assert len({piece.region.box[:2] for piece in found}) == len(found)


def test_a_thin_stroke_round_a_large_image_holds_little() -> None:
    turns = np.linspace(0, 2 * np.pi, 60)
    points = tuple((2048 + 1800 * np.cos(t), 2048 + 1800 * np.sin(t)) for t in turns)
    edit = edit_of_stroke(Stroke(points, 16, 1), 4096, 4096)
    assert edit is not None

    held = sum(piece.region.mask.size for piece in pieces(edit))

    assert held < edit.region.mask.size / 4
