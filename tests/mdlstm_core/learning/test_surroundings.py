"""How much the surroundings of a pixel count: against scikit-learn, and where they mislead."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from torch import Tensor

from mdlstm_core.learning.rows import AllRows, halves, row_weights
from mdlstm_core.learning.surroundings import Surroundings, first_strokes, weigh_surroundings

ROWS, DEEP = 240, 3
SCALES = (0.0, 0.7, 1.4, 5.6)
FINE, COARSE = 1, 3
IMAGE_N = torch.arange(ROWS) // 40
LABEL_N = torch.arange(ROWS) // 10 % 2


def rows_of(label_N: Tensor, image_N: Tensor, stroke_N: Tensor) -> AllRows:
    nothing = torch.zeros(len(label_N), 0)
    shares = torch.nn.functional.one_hot(label_N, 3).float()
    area_N = 1 + torch.arange(len(label_N)) % 3.0
    return AllRows(nothing, nothing, shares, area_N, stroke_N, nothing, nothing, image_N)


FIRST = rows_of(LABEL_N, IMAGE_N, LABEL_N)
"""One stroke of each class on each image."""

LATER = rows_of(LABEL_N, IMAGE_N, torch.arange(ROWS) // 10)
"""Two of each."""


def seen(local: int | None, deep: int | None, strength: float = 4.0) -> tuple[Tensor, Tensor]:
    """Return deep and local features of which one each tells the classes apart, or none."""
    drawn = torch.randn(ROWS, DEEP + len(SCALES), generator=torch.Generator().manual_seed(0))
    deep_NC, local_NG = drawn[:, :DEEP], drawn[:, DEEP:]
    for features, which in ((deep_NC, deep), (local_NG, local)):
        if which is not None:
            features[:, which] += strength * (LABEL_N - 0.5)
    return deep_NC, local_NG


def weighed(deep_NC: Tensor, local_NG: Tensor, rows: AllRows = FIRST) -> Surroundings:
    return weigh_surroundings(deep_NC, local_NG, rows, SCALES)


def told(inputs: Tensor, *, themselves: bool = False) -> float:
    """Return what part of the classes a ridge regression tells, by scikit-learn.

    Of the other half of the strokes, or of those themselves that it learned.
    """
    every_N = torch.ones(ROWS, dtype=torch.bool)
    pairs = [(every_N, every_N)] if themselves else [(kept, ~kept) for kept in halves(FIRST)]

    def error(inputs: np.ndarray) -> float:
        total = 0.0
        for pair in pairs:
            learned, tested = (row_weights(FIRST, kept_N).sum(dim=1).numpy() for kept_N in pair)
            truth = np.eye(3)[LABEL_N]
            ridge = Ridge(alpha=0.3).fit(inputs, truth, sample_weight=learned)
            missed = np.square(ridge.predict(inputs) - truth).sum(axis=1)
            total += float((tested * missed).sum())
        return total

    return 1 - error(inputs.numpy()) / error(np.zeros((ROWS, 1)))


@given(fine=st.floats(0.0, 2.0), deep=st.floats(0.0, 4.0))
def test_it_follows_what_ridge_regressions_tell(fine: float, deep: float) -> None:
    deep_NC, _ = seen(None, 1, deep)
    _, local_NG = seen(FINE, None, fine)
    found = weighed(deep_NC, local_NG)
    inputs = local_NG[:, :2], local_NG, torch.cat([deep_NC, local_NG], dim=1)
    judged = []
    for themselves in (False, True):
        parts = [told(seen, themselves=themselves) for seen in inputs]
        local, best = max(parts[:2]), max(parts)
        alone = np.clip((local / best - 0.55) / 0.2, 0, 1) if best > 0 else 0.0
        judged.append((np.clip((parts[0] - 0.08) / 0.1, 0, 1), alone, best))
    sure = np.clip((judged[0][2] - 0.08) / 0.1, 0, 1)
    caution, alone = (sure * judged[0][i] + (1 - sure) * judged[1][i] for i in (0, 1))
    fall = np.array([1, 1, 0.7 / 1.4, 0.7 / 5.6]) ** (2 * caution)
    np.testing.assert_allclose(found.local_G, fall, atol=0.03)
    assert found.deep == pytest.approx(0.1 ** (caution * alone), abs=0.03)


def test_where_a_pixel_itself_tells_its_surroundings_count_little() -> None:
    deep_NC, local_NG = seen(FINE, 0)
    local_NG[:, COARSE] = 2 * (LABEL_N - 0.5)  # as in the middle of regions
    found = weighed(deep_NC, local_NG)
    torch.testing.assert_close(found.local_G, torch.tensor([1, 1, 1 / 4, 1 / 64]))
    assert found.deep == pytest.approx(0.1)


@pytest.mark.parametrize(("local", "deep"), [(COARSE, None), (None, 1), (None, None)])
def test_where_only_surroundings_tell_all_of_them_count(
    local: int | None, deep: int | None
) -> None:
    found = weighed(*seen(local, deep))
    torch.testing.assert_close(found.local_G, torch.ones(4))
    assert found.deep == 1


def test_the_network_counts_where_it_tells_far_more_than_all_filters() -> None:
    deep_NC, _ = seen(None, 1, 8.0)
    _, local_NG = seen(FINE, None, 1.2)
    found = weighed(deep_NC, local_NG)
    assert found.deep == 1
    assert found.local_G[COARSE] < 0.2


def test_strokes_that_follow_give_surroundings_their_weight_back() -> None:
    first, later = (weighed(*seen(FINE, None), rows) for rows in (FIRST, LATER))
    assert later.local_G[COARSE] == pytest.approx(float(first.local_G[COARSE]) ** 0.25, rel=1e-3)
    assert later.deep == pytest.approx(first.deep**0.25, rel=1e-3)


def test_first_strokes_are_those_of_a_class_that_its_image_had_none_of() -> None:
    assert first_strokes(FIRST) == 1
    assert first_strokes(LATER) == 0.5
    label_N = torch.tensor([0, 0, 0, 1, 1, 0, 2])
    rows = rows_of(label_N, torch.tensor([4, 4, 4, 4, 4, 9, 9]), torch.arange(7) // 2)
    assert first_strokes(rows) == 4 / 5


def test_one_stroke_of_each_class_is_judged_by_itself() -> None:
    deep_NC, local_NG = (part[:20] for part in seen(FINE, None))
    rows = rows_of(LABEL_N[:20], torch.zeros(20, dtype=torch.long), LABEL_N[:20])
    assert weighed(deep_NC, local_NG, rows).local_G[COARSE] == pytest.approx(1 / 64, rel=1e-3)
    _, told_by_coarse = (part[:20] for part in seen(COARSE, None, 8.0))
    told_by_coarse[:, :2] = 0
    torch.testing.assert_close(weighed(deep_NC, told_by_coarse, rows).local_G, torch.ones(4))


def test_where_no_half_tells_of_the_other_strokes_are_judged_by_themselves() -> None:
    """As where one image is dark and the next one bright."""
    deep_NC, local_NG = seen(FINE, None)
    local_NG[:, FINE] += 6 * (IMAGE_N % 2)
    assert told(local_NG) < 0
    found = weighed(deep_NC, local_NG)
    assert found.local_G[COARSE] < 0.1


def test_strokes_that_tell_less_and_less_change_it_little_by_little() -> None:
    """One stroke more may not turn everything round."""
    found = []
    for shift in np.linspace(2.0, 3.0, 41):
        deep_NC, local_NG = seen(FINE, None)
        local_NG[:, FINE] += shift * (IMAGE_N % 2)
        weights = weighed(deep_NC, local_NG)
        found.append([np.log(float(weights.local_G[COARSE])), np.log(weights.deep)])
    assert np.abs(np.diff(found, axis=0)).max() < 1


def test_strokes_of_one_class_say_nothing_of_it() -> None:
    one_class = torch.zeros(ROWS, dtype=torch.long)
    found = weighed(*seen(FINE, None), rows_of(one_class, IMAGE_N, one_class))
    torch.testing.assert_close(found.local_G, torch.ones(4))
    assert found.deep == 1
