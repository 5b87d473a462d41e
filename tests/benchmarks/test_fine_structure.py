"""What is three pixels wide can be labeled, and it is the fine path that makes it so."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import fine_structure
from benchmarks.fine_structure import KINDS, draw, measured, trained


def test_structures_are_as_wide_as_they_are_called() -> None:
    """A line of one pixel has as many pixels as it is long."""
    areas = {
        width: sum(draw(width, np.random.default_rng(seed)).truth.sum() for seed in range(20))
        for width in (1, 3)
    }
    assert areas[3] / areas[1] == pytest.approx(3, rel=0.05)


@pytest.mark.thorough  # two networks are trained
def test_three_pixels_are_labeled_by_the_fine_path_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fine_structure, "_MEASURED", 8)
    fine, coarse = (measured(trained(kind, 60), 3) for kind in KINDS.values())
    found, iou = fine
    assert found > 0.9
    assert iou > 0.75
    assert coarse[1] < 0.45
