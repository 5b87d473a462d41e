"""Scores against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.metrics import confusion_matrix, scores

NAMES = ("sky", "grass", "road")
SHAPE = (4, 5)


@given(
    arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 2, IGNORE_INDEX])),
    arrays(np.uint8, SHAPE, elements=st.integers(0, 2)),
)
def test_scores_equal_counting(truth: NDArray[np.uint8], given_map: NDArray[np.uint8]) -> None:
    confusion = confusion_matrix(truth, given_map, len(NAMES))
    found = scores(confusion, NAMES)

    pairs = [(t, g) for t, g in zip(truth.flat, given_map.flat, strict=True) if t != IGNORE_INDEX]
    for true, guess in np.ndindex(3, 3):
        assert confusion[true, guess] == pairs.count((true, guess))
    accuracies, overlaps = [], []
    for index, name in enumerate(NAMES):
        of_class = [g == t for t, g in pairs if t == index]
        if not of_class:
            assert found["per_class"][name] == {"accuracy": None, "iou": None}
            continue
        union = sum(index in pair for pair in pairs)
        accuracies.append(sum(of_class) / len(of_class))
        overlaps.append(sum(of_class) / union)
        assert found["per_class"][name] == pytest.approx(
            {"accuracy": accuracies[-1], "iou": overlaps[-1]}
        )
    hits = [t == g for t, g in pairs]
    assert found["pixel_accuracy"] == pytest.approx(sum(hits) / max(1, len(hits)))
    assert found["class_accuracy"] == pytest.approx(np.mean(accuracies) if accuracies else 0)
    assert found["mean_iou"] == pytest.approx(np.mean(overlaps) if overlaps else 0)
    assert found["confusion"] == confusion.tolist()


def test_other_size_is_named() -> None:
    with pytest.raises(ValueError, match=r"label_map_HW: expected \(2, 2\), given \(2, 3\)"):
        confusion_matrix(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 2)


@pytest.mark.parametrize(("truth", "guess", "name"), [(2, 0, "truth_HW"), (0, 2, "label_map_HW")])
def test_class_that_there_is_not_is_named(truth: int, guess: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected classes below 2, given 2"):
        confusion_matrix(np.full((2, 2), truth, np.uint8), np.full((2, 2), guess, np.uint8), 2)
