"""Figures on strokes set aside: against scikit-image's idea of a Jaccard index, and said so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mdlstm_core.learning.figures import Figures, overfitting

NAMES = ("sky", "road", "car")
counts = arrays(np.int64, (3, 3), elements=st.integers(0, 1000))


def figures(confusion: list[list[int]], strokes: int = 40) -> Figures:
    return Figures(np.array(confusion), NAMES, strokes, 5)


@given(counts)
def test_agree_with_pixels_written_out(confusion: np.ndarray) -> None:
    truth, said = (np.repeat(axis.ravel(), confusion.ravel()) for axis in np.indices((3, 3)))
    found = Figures(confusion, NAMES, 3, 2)
    assert found.pixels == len(truth)
    if len(truth):
        assert found.pixel_accuracy == pytest.approx((truth == said).mean())
    expected = [
        ((truth == k) & (said == k)).sum() / ((truth == k) | (said == k)).sum()
        if (truth == k).any()
        else None
        for k in range(3)
    ]
    assert found.iou == pytest.approx(expected)
    if len(truth):
        assert found.mean_iou == pytest.approx(np.mean([v for v in expected if v is not None]))


@given(counts)
def test_come_back_from_json(confusion: np.ndarray) -> None:
    found = Figures(confusion, NAMES, 3, 2)
    for text in (found.to_json(), found.to_json().encode()):
        again = Figures.from_json(text)
        np.testing.assert_array_equal(again.confusion, confusion)
        assert (again.classes, again.strokes, again.images) == (NAMES, 3, 2)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"confusion": [[1]], "classes": ["a", "b"]}', b"\xff", "null"]
)
def test_other_text_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Figures.from_json(text)


def test_say_when_they_mean_little() -> None:
    assert "No stroke" in figures([[0] * 3] * 3, strokes=0).too_few
    assert "1 stroke only" in figures([[9, 0, 0], [0, 9, 0], [0, 0, 9]], strokes=1).too_few
    assert "Most classes" in figures([[9, 0, 0], [0, 0, 0], [0, 0, 0]]).too_few
    assert figures([[9, 0, 0], [0, 9, 0], [0, 0, 0]]).too_few == ""


def test_overfitting_is_said() -> None:
    good, poor = (figures([[a, 100 - a, 0], [0, 50, 0], [0, 0, 50]]) for a in (90, 20))
    assert overfitting(poor, good, 0.97) == ""
    assert "97% of the learned strokes" in overfitting(poor, poor, 0.97)
    assert "before" in overfitting(good, figures([[70, 30, 0], [0, 50, 0], [0, 0, 50]]), 0.9)
    assert overfitting(good, figures([[1, 0, 0], [0, 1, 0], [0, 0, 1]], strokes=2), 0.0) == ""


def test_json_is_plain() -> None:
    assert json.loads(figures([[1, 2, 3], [4, 5, 6], [7, 8, 9]]).to_json()) == {
        "confusion": [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        "classes": ["sky", "road", "car"],
        "strokes": 40,
        "images": 5,
    }
