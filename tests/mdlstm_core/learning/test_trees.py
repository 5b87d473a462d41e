"""Trees beside the experts: what they learn, what they add, and what they leave alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier
from torch import Tensor

from mdlstm_core.learning.rows import AllRows
from mdlstm_core.learning.trees import Forest, Trees, grow, grow_forest

CLASSES, COMPONENTS, LOCAL, ROWS, HEIGHT, WIDTH = 4, 4, 3, 400, 97, 120
PAINTED, COUNTS = [1, 3], 0.3
ALL_NEW = torch.ones(CLASSES, dtype=torch.bool)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


DEEP_NC, LOCAL_NG = drawn(ROWS, COMPONENTS), drawn(ROWS, LOCAL, seed=1)
SEEN_CHW, SEEN_GHW = drawn(COMPONENTS, HEIGHT, WIDTH, seed=2), drawn(LOCAL, HEIGHT, WIDTH, seed=3)
SURE_KHW = drawn(CLASSES, HEIGHT, WIDTH, seed=4).softmax(dim=0)


def is_three(deep_CN: Tensor, local_GN: Tensor) -> Tensor:
    """By a threshold of a component and one of a local feature; all else is of class one."""
    return (deep_CN[0] > 0.3) & (local_GN[1] < 0.8)


LABEL_N = torch.where(is_three(DEEP_NC.T, LOCAL_NG.T), 3, 1)


def rows_of(label_N: Tensor) -> AllRows:
    nothing, zeros = torch.zeros(ROWS, 0), torch.zeros(ROWS, dtype=torch.long)
    shares = torch.nn.functional.one_hot(label_N, CLASSES).float()
    return AllRows(nothing, nothing, shares, torch.ones(ROWS), zeros, nothing, nothing, zeros)


def grown(share: float) -> Trees:
    trees = grow(DEEP_NC, LOCAL_NG, rows_of(LABEL_N), share, ALL_NEW)
    assert trees is not None
    return trees


def leaves_of(forest: Forest, input_I: np.ndarray) -> list[int]:
    """Go down each of the trees."""
    leaves = []
    for root in range(12):
        node, last = root, -1
        while node != last:
            last = node
            goes_right = input_I[forest.feature_V[node]] > forest.threshold_V[node]
            node = int(forest.left_V[node] + goes_right)
        leaves.append(node)
    return leaves


def told_one_by_one(forest: Forest, input_I: np.ndarray) -> np.ndarray:
    return forest.told_VP[leaves_of(forest, input_I)].mean(axis=0)


@pytest.mark.parametrize("share", [0.5, 0.75, 1.0])
def test_they_divide_what_the_painted_classes_have(share: float) -> None:
    trees = grown(share)
    found = trees.blend(SURE_KHW, SEEN_CHW, SEEN_GHW)

    np.testing.assert_array_equal(found[[0, 2]], SURE_KHW[[0, 2]])
    assert len(trees.forests) == 1 + (share < 1)
    places = list(itertools.product(range(0, HEIGHT, 32), range(0, WIDTH, 34)))
    told_P = [told_at(trees, share, *place) for place in places]
    for (y, x), told in zip(places, told_P, strict=True):
        sure = SURE_KHW[PAINTED, y, x].numpy()
        expected = (1 - COUNTS) * sure + COUNTS * told * sure.sum()
        np.testing.assert_allclose(found[PAINTED, y, x], expected, rtol=1e-5, atol=1e-6)


def told_at(trees: Trees, share: float, y: int, x: int) -> np.ndarray:
    """Ask the trees about one pixel, of an even row and column."""
    both = np.concatenate([SEEN_CHW[:, y, x], SEEN_GHW[:, y, x]])
    told = share * told_one_by_one(trees.forests[0][0], both)
    if share < 1:
        told += (1 - share) * told_one_by_one(trees.forests[1][0], both[COMPONENTS:])
    return told


@pytest.mark.parametrize(("y", "x"), [(5, 8), (8, 5), (5, 7), (96, 119), (0, 119)])
def test_between_those_they_look_at_the_neighbours_count(y: int, x: int) -> None:
    trees, even = grown(0.75), SURE_KHW.new_full(SURE_KHW.shape, 1 / CLASSES)
    found = trees.blend(even, SEEN_CHW, SEEN_GHW)
    rows, columns = ({at - at % 2, min(at + at % 2, last)} for at, last in ((y, 96), (x, 118)))
    around = [told_at(trees, 0.75, *place) for place in itertools.product(rows, columns)]
    expected = (1 - COUNTS) / CLASSES + COUNTS * np.mean(around, axis=0) * len(PAINTED) / CLASSES
    np.testing.assert_allclose(found[PAINTED, y, x], expected, rtol=1e-5, atol=1e-6)


def test_they_learn_as_well_as_those_of_scikit_learn() -> None:
    random, right = np.random.default_rng(5), []
    for draw in range(40):
        inputs_IN, seen_IN = (random.normal(size=(4, n)).astype(np.float32) for n in (ROWS, 2000))
        one, other = random.choice(4, 2, replace=False)  # ours always draw the same ones
        label_N, expected_N = ((at[one] > 0.3) & (at[other] < 0.8) for at in (inputs_IN, seen_IN))
        ours = grow_forest(inputs_IN, np.eye(2, dtype=np.float32)[label_N.astype(int)])
        theirs = ExtraTreesClassifier(12, max_depth=7, min_samples_leaf=2, random_state=draw)
        theirs.fit(inputs_IN.T, label_N)
        found = ours.told(seen_IN).argmax(axis=0), theirs.predict(seen_IN.T)
        right.append([(each == expected_N).mean() for each in found])
    of_ours, of_theirs = np.mean(right, axis=0)
    assert of_theirs > 0.85
    assert of_ours > of_theirs - 0.02


@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_every_leaf_has_seen_two_rows_or_all(
    rows: int, inputs: int, classes: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    # Few values: many inputs divide nothing.
    inputs_IN = random.integers(3, size=(inputs, rows)).astype(np.float32)
    mass_NP = random.random((rows, classes)).astype(np.float32) + np.float32(0.01)
    forest = grow_forest(inputs_IN, mass_NP)

    told_PN = forest.told(inputs_IN)
    np.testing.assert_allclose(told_PN.sum(axis=0), 1, rtol=1e-5)
    reached = list(range(12))
    for node in reached:
        if np.isfinite(forest.threshold_V[node]):
            reached += forest.left_V[node], forest.left_V[node] + 1
    assert sorted(reached) == list(range(len(forest.left_V)))
    leaf_TN = np.stack([leaves_of(forest, inputs_IN[:, row]) for row in range(rows)], axis=1)
    for leaf_N in leaf_TN:
        assert np.unique(leaf_N, return_counts=True)[1].min() >= min(2, rows)


def test_the_same_strokes_give_the_same_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = grown(0.75).blend(SURE_KHW, SEEN_CHW, SEEN_GHW)
    for threads in (1, 4, 4):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=threads: count)
        found = grown(0.75).blend(SURE_KHW, SEEN_CHW, SEEN_GHW)
        np.testing.assert_array_equal(found, expected)


def test_one_class_alone_gives_nothing_to_tell_apart() -> None:
    assert grow(DEEP_NC, LOCAL_NG, rows_of(torch.full((ROWS,), 2)), 0.75, ALL_NEW) is None


def test_a_class_of_a_single_row_is_left_out() -> None:
    label_N = LABEL_N.clone()
    label_N[0] = 0
    trees = grow(DEEP_NC, LOCAL_NG, rows_of(label_N), 0.75, ALL_NEW)
    assert trees is not None
    assert trees.classes_P.tolist() == PAINTED


def test_a_node_of_one_class_is_a_leaf() -> None:
    mass_NP = np.zeros((300, 2), np.float32)
    mass_NP[:, 0] = np.random.default_rng(1).random(300) + 0.1
    forest = grow_forest(LOCAL_NG[:300].T.contiguous().numpy(), mass_NP)
    assert forest.told_VP.tolist() == [[1, 0]] * 12


def test_what_the_network_knows_is_left_to_it() -> None:
    one_is_known = torch.tensor([False, False, False, True])
    assert grow(DEEP_NC, LOCAL_NG, rows_of(LABEL_N), 0.75, ~one_is_known) is None
    label_N = torch.where(LOCAL_NG[:, 0] < -1, 0, LABEL_N)

    of_three = grow(DEEP_NC, LOCAL_NG, rows_of(label_N), 0.75, ~one_is_known)

    assert of_three is not None
    found = of_three.blend(SURE_KHW, SEEN_CHW, SEEN_GHW)
    np.testing.assert_array_equal(found[[2, 3]], SURE_KHW[[2, 3]])
    assert not torch.equal(found[0], SURE_KHW[0])
    # Where the known one was painted plays no part.
    elsewhere = torch.where(label_N.unsqueeze(1) == 3, 9.0, DEEP_NC)
    again = grow(elsewhere, LOCAL_NG, rows_of(label_N), 0.75, ~one_is_known)
    assert again is not None
    np.testing.assert_array_equal(again.blend(SURE_KHW, SEEN_CHW, SEEN_GHW), found)
