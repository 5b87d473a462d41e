"""The classifier of an image's pixels against one pixel at a time, with trees and without."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mdlstm_core.learning import pixel_classifier
from mdlstm_core.learning.experts import ClassifierOptions
from mdlstm_core.learning.local_features import Filters
from mdlstm_core.learning.pixel_classifier import PixelClassifier, at_pixels, features_at, fit
from mdlstm_core.learning.rows import PixelRows

SIZE, FEATURES, LOCAL = (40, 48), (6, 4), 5
"""Of the image; of the features of two levels; of the local ones, of very unlike sizes."""

WHERE = torch.arange(SIZE[0] * SIZE[1])


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


LEVELS = tuple(
    5 + drawn(1, features, SIZE[0] // stride, SIZE[1] // stride, seed=stride)
    for features, stride in zip(FEATURES, (8, 4), strict=True)
)
COARSE_1Ghw = drawn(1, LOCAL, SIZE[0] // 8, SIZE[1] // 8, seed=1)
SMOOTH_GHW = torch.nn.functional.interpolate(COARSE_1Ghw, SIZE, mode="bilinear")[0]
LOCAL_GHW = SMOOTH_GHW * torch.tensor([100.0, 1, 0.01, 1, 1])[:, None, None] + 7
DEEP_P = features_at(LEVELS, SIZE, WHERE, SIZE)[:, 0]
LABEL_P = torch.where(SMOOTH_GHW[0].flatten() + (DEEP_P - 5) > 0, 2, 1)
"""What is painted: told apart by a local feature and one of the network's."""


def recall(found_P: Tensor) -> float:
    """Return how much of either class is found, on average."""
    return float(np.mean([(found_P[label == LABEL_P] == label).float().mean() for label in (1, 2)]))


def one_hot(painted: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(LABEL_P[painted], 3).float()


def fitted(
    old_KF: Tensor, grain: tuple[int, ...] = (), options: ClassifierOptions | None = None
) -> PixelClassifier:
    painted = WHERE[::7]
    deep_NF = features_at(LEVELS, SIZE, painted, SIZE)
    local_NG = LOCAL_GHW.flatten(1)[:, painted].T
    stroke_N = torch.arange(len(painted)) // 20
    rows = PixelRows(
        deep_NF, local_NG, one_hot(painted), torch.ones(len(painted)), stroke_N, deep_NF, local_NG
    )
    filters = Filters((0.0,) * LOCAL, grain)
    return fit([rows], old_KF, options or ClassifierOptions(), filters)


def old_weights(new: list[int]) -> Tensor:
    old_KF = drawn(3, sum(FEATURES) + 1, seed=9)
    old_KF[new, :-1] = 0
    return old_KF


@pytest.mark.parametrize("grain", [(), (2, 4)], ids=["no grain", "grain"])
@pytest.mark.parametrize("new", [[], [1], [1, 2], [0, 1, 2]])
def test_logits_are_those_of_each_pixel(new: list[int], grain: tuple[int, ...]) -> None:
    classifier = fitted(old_weights(new), grain)
    trees = classifier._trees
    found = classifier.logits(LEVELS, LOCAL_GHW, SIZE).flatten(1)

    assert (trees is not None) == ({1, 2} <= set(new))
    deep_FN = at_pixels(padded(), SIZE, SIZE).flatten(1)
    deep_MN = classifier._deep_MF @ deep_FN + classifier._deep_bias_M[:, None]
    components_CN, start_KN = deep_MN[:-3], deep_MN[-3:]
    local_GN = LOCAL_GHW.flatten(1)
    inputs_IN = torch.cat([components_CN, local_GN])
    summed_JN = classifier._maps_JI @ inputs_IN + classifier._bias_J[:, None]
    expected = start_KN + summed_JN[:3] + classifier._out_KU @ summed_JN[3:].relu()
    if trees is not None:
        maps = (expected.softmax(dim=0), components_CN, local_GN)
        expected = trees.blend(*(part.unflatten(1, SIZE) for part in maps)).log().flatten(1)
    torch.testing.assert_close(found, expected / temperature(new), rtol=1e-3, atol=1e-3)
    if trees is not None and not grain:  # else it goes on from a network drawn at random
        assert recall(found.argmax(dim=0)) > 0.85


def temperature(new: list[int]) -> float:
    """Return 0.35 where all painted classes are new, 0.6 where none is, between them by roots."""
    roots = {label: float((LABEL_P[::7] == label).sum()) ** 0.5 for label in (1, 2)}
    known = sum(root for label, root in roots.items() if label not in new)
    return 0.35 + (0.6 - 0.35) * known / sum(roots.values())


def padded() -> list[Tensor]:
    """Return the levels with zeros for the features of the others: side by side when added."""
    first, second = FEATURES
    return [
        torch.nn.functional.pad(LEVELS[0], (0, 0, 0, 0, 0, second)),
        torch.nn.functional.pad(LEVELS[1], (0, 0, 0, 0, first, 0)),
    ]


def test_what_is_learned_from_weighed_grain_is_what_is_asked_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Had one side another weight, the same features would not tell the same classes."""
    monkeypatch.setattr(pixel_classifier, "weight_of_grain", lambda *_: 0.25)
    options = ClassifierOptions(hold=1e-3, hold_first=1e-3)
    classifier = fitted(old_weights([0, 1, 2]), (0, 4), options)  # of these the first tells
    found = classifier.logits(LEVELS, LOCAL_GHW, SIZE).flatten(1)
    assert recall(found.argmax(dim=0)) > 0.9


def test_grain_that_says_nothing_counts_less_and_no_tree_asks_for_it() -> None:
    grain = (2, 4)
    plain, weighed = (fitted(old_weights([0, 1, 2]), of) for of in ((), grain))
    components = len(plain._deep_MF) - 3
    asked = [components + feature for feature in grain]
    strengths = [c._maps_JI[:3, asked].norm() for c in (plain, weighed)]
    assert strengths[1] < 0.5 * strengths[0]
    for classifier, expected in ((plain, True), (weighed, False)):
        assert classifier._trees is not None
        forests = classifier._trees.forests
        assert len(forests) == 2
        for forest, _share, first in forests:
            splits = forest.feature_V[np.isfinite(forest.threshold_V)] + first
            assert np.isin(splits, asked).any() == expected


def test_trees_see_what_they_were_grown_on() -> None:
    classifier = fitted(old_weights([1, 2]))
    trees = classifier._trees
    assert trees is not None
    components = len(classifier._deep_MF) - 3
    deep_FN = at_pixels(padded(), SIZE, SIZE).flatten(1)
    deep_CN = (classifier._deep_MF @ deep_FN + classifier._deep_bias_M[:, None])[:components]
    told_PN = trees._told(deep_CN.numpy(), LOCAL_GHW.flatten(1).numpy())
    assert trees.classes_P.tolist() == [1, 2]
    assert recall(trees.classes_P[told_PN.argmax(axis=0)]) > 0.85


@pytest.mark.parametrize("strokes", [6, 16, 40])
@pytest.mark.parametrize("noise", [0.7, 1.0, 1.5])
def test_it_is_as_sure_as_it_is_right(noise: float, strokes: int) -> None:
    """Two new classes whose features overlap, a stroke being ten neighbouring pixels."""
    means_G = torch.tensor([1.0, 0.5, 0.3, 0, 0])
    local_GN = (LABEL_P - 1.5) * means_G[:, None] + noise * drawn(LOCAL, len(WHERE), seed=0)
    generator = np.random.default_rng(0)
    of_either = [(label == LABEL_P).nonzero().flatten() for label in (1, 2)]
    firsts = [(of, generator.integers(len(of) - 10)) for of in of_either * (strokes // 2)]
    painted = torch.cat([of[first : first + 10] for of, first in firsts])
    levels = tuple(drawn(*level.shape, seed=5) for level in LEVELS)
    deep_NF = features_at(levels, SIZE, WHERE, SIZE)
    rows = PixelRows(
        deep_NF[painted],
        local_GN[:, painted].T,
        one_hot(painted),
        torch.ones(len(painted)),
        torch.arange(len(painted)) // 10,
        deep_NF,
        local_GN.T,
    )
    filters = Filters((0.0,) * LOCAL, ())
    classifier = fit([rows], torch.zeros(3, sum(FEATURES) + 1), ClassifierOptions(), filters)
    said_KN = classifier.logits(levels, local_GN.unflatten(1, SIZE), SIZE).flatten(1)
    sure_N, label_N = said_KN.softmax(dim=0).max(dim=0)
    right = float((label_N == LABEL_P).float().mean())
    assert 0.65 < right < 0.9
    assert abs(float(sure_N.mean()) - right) < 0.12
