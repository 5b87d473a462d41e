"""Accepting and copying set what is open and leave what a person set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.document.edit import Edit
from app.document.regions.taken_over import accepted, copied
from app.document.stroke import Box, Region
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError

_SHAPE = (9, 7)
_LABELS = arrays(np.uint8, _SHAPE, elements=st.sampled_from([0, 3, IGNORE_INDEX]))


def _after(corrections: np.ndarray, edit: Edit | None) -> np.ndarray:
    after = corrections.copy()
    if edit is not None:
        after[edit.region.box.slices][edit.region.mask] = edit.labels
    return after


@given(prediction=_LABELS, corrections=_LABELS, mask=arrays(bool, (4, 5)))
def test_accepts_where_nothing_is_set(
    prediction: np.ndarray, corrections: np.ndarray, mask: np.ndarray
) -> None:
    region = Region(Box(2, 1, 6, 6), mask)
    asked = np.zeros(_SHAPE, dtype=bool)
    asked[region.box.slices] = mask
    expected = np.where(asked & (corrections == IGNORE_INDEX), prediction, corrections)
    edit = accepted(prediction, corrections, region)
    np.testing.assert_array_equal(_after(corrections, edit), expected)
    assert (edit is None) == (expected == corrections).all()


@given(other=_LABELS, corrections=_LABELS)
def test_copies_where_nothing_is_set(other: np.ndarray, corrections: np.ndarray) -> None:
    expected = np.where(corrections == IGNORE_INDEX, other, corrections)
    np.testing.assert_array_equal(_after(corrections, copied(other, corrections)), expected)


def test_does_not_copy_between_sizes() -> None:
    with pytest.raises(InputError, match=r"5×4 pixels do not fit this one of 4×5"):
        copied(np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.uint8))
