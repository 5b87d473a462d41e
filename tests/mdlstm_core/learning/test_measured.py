"""What is kept of measuring a model goes into text and comes out of it again."""

from __future__ import annotations

import numpy as np
import pytest

from mdlstm_core.learning.figures import Figures
from mdlstm_core.learning.measured import Measured


def figures(*diagonal: int) -> Figures:
    return Figures(np.diag(diagonal), ("sky", "tree"), strokes=14, images=3)


def test_figures_the_ones_before_and_the_warning_are_read_again() -> None:
    found = Measured.from_json(Measured(figures(5, 9), figures(4, 8), "It overfits.").to_json())
    assert found.figures is not None
    assert found.before is not None
    np.testing.assert_array_equal(found.figures.confusion, np.diag([5, 9]))
    np.testing.assert_array_equal(found.before.confusion, np.diag([4, 8]))
    assert (found.figures.classes, found.figures.strokes) == (("sky", "tree"), 14)
    assert found.overfits == "It overfits."


def test_figures_alone_are_read_as_older_projects_have_them() -> None:
    found = Measured.from_json(figures(5, 9).to_json())
    assert found.figures is not None
    assert found.figures.pixels == 14
    assert (found.before, found.overfits) == (None, "")


def test_nothing_set_aside_is_an_empty_text() -> None:
    assert Measured().to_json() == ""
    assert Measured.from_json("").figures is None


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"classes": []}'])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|no figures"):
        Measured.from_json(text)
