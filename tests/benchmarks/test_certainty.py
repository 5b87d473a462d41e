"""The benchmark of how sure a learner is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import certainty
from benchmarks.learning import Row, Task
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.dataset import LabeledImage
from mdlstm_core.prediction import Prediction


class _Says:
    """Calls everything 0 and is as sure as it is told; remembers the strokes."""

    def __init__(self, confidence: int) -> None:
        self._confidence = confidence
        self.strokes: list[int] = []

    def learn(self, strokes: list[np.ndarray]) -> None:
        self.strokes.append(sum(int((each != IGNORE_INDEX).sum()) for each in strokes))

    def predict(self, index: int) -> np.ndarray:
        return self.prediction(index).label_map

    def prediction(self, _index: int) -> Prediction:
        nothing = np.zeros((20, 40), dtype=np.uint8)
        sure = np.full_like(nothing, self._confidence)
        return Prediction(nothing, sure, nothing, nothing)


@pytest.mark.parametrize(("confidence", "error"), [(255, 0.25), (191, 0.0), (51, 0.55)])
def test_sure_and_right_are_what_they_are(confidence: int, error: float) -> None:
    truth = np.zeros((20, 40), dtype=np.uint8)
    truth[:, 30:] = 1  # a quarter of what is known is wrong
    truth[10:] = IGNORE_INDEX
    sample = LabeledImage(np.zeros((20, 40, 3), dtype=np.uint8), truth)
    classes = (LabelClass("a", (0, 0, 0)), LabelClass("b", (9, 9, 9)))
    rows: list[Row] = []
    learner = _Says(confidence)
    certainty.run(Task("drawn", classes, [sample], [sample] * 2), "says", learner, 3, rows.append)
    assert [row["round"] for row in rows] == [1, 3]
    for row in rows:
        assert row["right"] == 0.75
        assert row["sure"] == pytest.approx(confidence / 255)
        assert row["calibration_error"] == pytest.approx(error, abs=2e-3)
    first, second, _ = learner.strokes
    assert second > first  # what is wrong was painted


def test_rows_of_the_window_s_own(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "rows.json"
    given = [str(tiny_dataset), "--json", str(out), "--images", "1", "--rounds", "1"]
    given += ["--seconds", "3"]
    monkeypatch.setattr(sys, "argv", ["certainty", *given])
    certainty.main()
    rows = json.loads(out.read_text())
    assert [row["learner"] for row in rows] == ["live", "learn"]
    assert all(0 < row["sure"] <= 1 and 0 <= row["right"] <= 1 for row in rows)
