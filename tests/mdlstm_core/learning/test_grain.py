"""How much the edges all around count: against scikit-learn, and where they help or mislead."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from torch import Tensor

from mdlstm_core.learning.grain import weight_of_grain, without_grain
from mdlstm_core.learning.rows import AllRows, halves, row_weights

ROWS, LOCAL, GRAIN = 240, 6, (1, 4)
IMAGE_N = torch.arange(ROWS) // 40
LABEL_N = torch.arange(ROWS) // 10 % 2


def drawn(seed: int) -> Tensor:
    return torch.randn(ROWS, LOCAL, generator=torch.Generator().manual_seed(seed))


def rows_of(label_N: Tensor, image_N: Tensor, stroke_N: Tensor | None = None) -> AllRows:
    nothing = torch.zeros(len(label_N), 0)
    shares = torch.nn.functional.one_hot(label_N, 3).float()
    area_N = 1 + torch.arange(len(label_N)) % 3.0
    strokes = torch.zeros_like(image_N) if stroke_N is None else stroke_N
    return AllRows(nothing, nothing, shares, area_N, strokes, nothing, nothing, image_N)


ROWS_OF_ALL = rows_of(LABEL_N, IMAGE_N)


def told(by: int, seed: int = 0) -> Tensor:
    """Return features of which one tells the classes apart, and little else does."""
    local_NG = drawn(seed)
    local_NG[:, by] += 4.0 * (LABEL_N - 0.5)
    return local_NG


def unseen_error(local_NG: Tensor) -> float:
    error = 0.0
    for kept_N in halves(ROWS_OF_ALL):
        seen, unseen = (row_weights(ROWS_OF_ALL, k).sum(dim=1).numpy() for k in (kept_N, ~kept_N))
        truth = np.eye(3)[LABEL_N]
        ridge = Ridge(alpha=0.3).fit(local_NG.numpy(), truth, sample_weight=seen)
        missed = np.square(ridge.predict(local_NG.numpy()) - truth).sum(axis=1)
        error += float((unseen * missed).sum())
    return error


@given(seed=st.integers(0, 10**6), strength=st.floats(0.0, 3.0))
def test_it_grows_with_the_error_that_grain_spares_a_ridge_regression(
    seed: int, strength: float
) -> None:
    local_NG = told(by=0, seed=seed)
    local_NG[:, 4] += strength * (LABEL_N - 0.5)
    gain = 1 - unseen_error(local_NG) / unseen_error(without_grain(local_NG, GRAIN))
    expected = np.clip(0.3 + 3.5 * gain, 0.25, 1.0)
    assert weight_of_grain(local_NG, ROWS_OF_ALL, GRAIN) == pytest.approx(expected, abs=2e-3)


def test_textures_that_differ_in_nothing_else_have_all_of_it() -> None:
    assert weight_of_grain(told(by=4), ROWS_OF_ALL, GRAIN) == 1.0


def test_where_the_rest_tells_all_it_counts_little() -> None:
    assert 0.25 <= weight_of_grain(told(by=0), ROWS_OF_ALL, GRAIN) < 0.35


def test_what_is_true_of_one_image_alone_does_not_help() -> None:
    local_NG = drawn(1)
    local_NG[:, 4] += 4.0 * (LABEL_N - 0.5) * (1 - 2 * (IMAGE_N % 2))
    assert weight_of_grain(local_NG, ROWS_OF_ALL, GRAIN) == 0.25


@pytest.mark.parametrize(
    ("label_N", "stroke_N"),
    [
        (torch.zeros(12, dtype=torch.long), torch.zeros(12, dtype=torch.long)),
        (torch.zeros(12, dtype=torch.long), torch.arange(12) // 3),
        (torch.arange(12) // 6, torch.arange(12) // 6),
    ],
    ids=["one stroke", "strokes of one class", "a stroke of each class"],
)
def test_strokes_of_which_no_half_tells_of_the_other_say_nothing_of_it(
    label_N: Tensor, stroke_N: Tensor
) -> None:
    rows = rows_of(label_N, torch.zeros_like(label_N), stroke_N)
    assert weight_of_grain(told(by=4)[:12], rows, GRAIN) == 0.5


def test_without_grain_all_else_stays() -> None:
    local_NG = drawn(2)
    kept = local_NG.clone()
    plain_NG = without_grain(local_NG, GRAIN)
    torch.testing.assert_close(local_NG, kept, rtol=0, atol=0)
    rest = [0, 2, 3, 5]
    torch.testing.assert_close(plain_NG[:, rest], kept[:, rest], rtol=0, atol=0)
    assert not plain_NG[:, list(GRAIN)].any()
