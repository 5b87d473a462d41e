"""The simulated annotator and the rows of the learning benchmark."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from benchmarks import learning
from benchmarks.annotator import first_strokes, next_stroke, stroke_along
from mdlstm_core.config import IGNORE_INDEX


def blobs(seed: int, classes: int = 3) -> np.ndarray:
    """A label map of smooth regions, some pixels without a label."""
    noise = np.random.default_rng(seed).standard_normal((classes, 70, 90)).astype(np.float32)
    labels = np.stack([cv2.GaussianBlur(n, (0, 0), 6) for n in noise]).argmax(axis=0)
    labels[:5] = IGNORE_INDEX
    return labels.astype(np.uint8)


@given(st.integers(0, 10_000))
def test_first_strokes_lie_in_the_largest_region_of_each_class(seed: int) -> None:
    truth = blobs(seed)
    strokes = first_strokes(truth)
    painted = strokes != IGNORE_INDEX
    np.testing.assert_array_equal(strokes[painted], truth[painted])
    for label in np.unique(truth[truth != IGNORE_INDEX]):
        _, parts = cv2.connectedComponents((truth == label).astype(np.uint8), connectivity=4)
        sizes = np.bincount(parts.ravel())[1:]
        hit = np.unique(parts[strokes == label])
        assert len(hit) == 1
        assert sizes[hit[0] - 1] == sizes.max()


@given(st.integers(0, 10_000))
def test_a_stroke_is_short_thin_and_away_from_the_border(seed: int) -> None:
    truth = blobs(seed, classes=2)
    region = truth == 0
    if not region.any():
        return
    stroke = stroke_along(region)
    rows, columns = np.nonzero(stroke)
    assert np.hypot(np.ptp(rows) + 1, np.ptp(columns) + 1) <= 40 + 3
    # Nowhere wider than three pixels: a disc of five across does not fit in.
    assert distance_transform_edt(np.pad(stroke, 1)).max() < 3
    assert (region | ~stroke).all()
    depth = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    if depth.max() > 4:
        assert depth[stroke].min() > 2


def test_a_stroke_fills_the_middle_of_a_bar() -> None:
    region = np.zeros((60, 120), dtype=bool)
    region[20:31, 10:110] = True
    stroke = stroke_along(region)
    rows, columns = np.nonzero(stroke)
    assert set(rows) == {24, 25, 26}
    assert 35 <= np.ptp(columns) + 1 <= 40


def test_the_largest_wrong_region_is_corrected() -> None:
    truth = np.zeros((80, 100), dtype=np.uint8)
    truth[:, 50:] = 1
    truth[:, 90:] = IGNORE_INDEX
    said = truth.copy()
    said[10:20, 10:20] = 1  # 100 pixels
    said[40:60, 60:80] = 2  # 400 pixels
    said[:, 90:] = 2  # nobody knows
    strokes = np.full(truth.shape, IGNORE_INDEX, np.uint8)
    stroke = next_stroke(truth, said, strokes)
    assert stroke is not None
    assert set(zip(*np.nonzero(stroke), strict=True)) <= {
        (r, c) for r in range(42, 58) for c in range(62, 78)
    }
    assert set(truth[stroke]) == {1}
    strokes[40:60, 60:80] = 1  # painted: the next one is elsewhere
    again = next_stroke(truth, said, strokes)
    assert again is not None
    assert again[10:20, 10:20].any()
    assert next_stroke(truth, truth, strokes) is None


def test_a_region_too_thin_still_gets_its_stroke() -> None:
    region = np.zeros((30, 30), dtype=bool)
    region[4, 3:20] = True
    stroke = stroke_along(region)
    assert stroke.any()
    assert (region | ~stroke).all()


def test_rows(tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, document = tmp_path / "rows.json", tmp_path / "learning.md"
    name = tiny_dataset.name
    document.write_text(f"# Title\n<!-- {name} -->\n<!-- end {name} -->\nafter\n")
    lists = [tiny_dataset / "train.txt", tiny_dataset / "val.txt"]
    monkeypatch.setattr(
        sys,
        "argv",
        [
            *("learning", str(tiny_dataset), "--json", str(out), "--rounds", "2"),
            *("--list", str(lists[0]), "--test-list", str(lists[1])),
            *("--seconds", "2", "--document", str(document)),
        ],
    )
    learning.main()
    rows = json.loads(out.read_text())
    assert [(r["round"], r["learner"]) for r in rows] == [
        (n, name) for n in (1, 2) for name in learning.LEARNERS
    ]
    keys = {"dataset", "learner", "round", "strokes", "miou_labeled", "miou_test"}
    assert all(set(r) == keys | {"learn_seconds", "predict_seconds"} for r in rows)
    assert all(0 <= r["miou_test"] <= 1 and r["learn_seconds"] > 0 for r in rows)
    for number in (1, 2):  # all had the same strokes
        assert len({r["strokes"] for r in rows if r["round"] == number}) == 1
    text = document.read_text()
    assert f"learning-{name}.png" in text
    assert text.startswith("# Title")
    assert text.endswith("after\n")
    assert (tmp_path / f"learning-{name}.png").stat().st_size > 1000


@pytest.mark.parametrize(("options", "rounds"), [([], [1, 3]), (["--every-round"], [1, 2, 3])])
def test_which_rounds_are_measured(
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    rounds: list[int],
) -> None:
    out = tmp_path / "rows.json"
    given = [str(tiny_dataset), "--json", str(out), "--rounds", "3", "--learner", "live", *options]
    monkeypatch.setattr(sys, "argv", ["learning", *given])
    learning.main()
    assert [row["round"] for row in json.loads(out.read_text())] == rounds
