"""Trees that learn a person's strokes: thresholds, where the experts draw smooth borders.

Extremely randomised trees (Geurts, Ernst and Wehenkel 2006). They see what the experts see, without
grain, and count as much against one another, but they only tell apart painted classes that are new
to the network: the others it knows better. scikit-learn has them too; importing it takes two
seconds and a thousand modules, with a window that waits for the interpreter meanwhile.

N: pixels; K: classes of the network, P: those that the trees tell apart; C: components of the
network's features, G: local features, I: both, C + G, M: some of them; T: trees, V: their nodes.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mdlstm_core.learning.rows import AllRows, row_weights

_TREES, _DEPTH, _LEAF = 12, 7, 2
"""Of each forest, their depth at most, and rows of a leaf at least."""

_COUNTS = 0.3
"""How much of what a pixel has of their classes the trees divide among these."""

_STEP = 2
"""They look at every other pixel of every other row: a quarter of the time, for more trees."""

_PIXELS = 1 << 11
"""That a thread looks at together."""

_Array = NDArray[np.float32]
_Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Forest:
    """Trees in one table of nodes V; the first ones are the roots.

    Attributes:
        feature_V: which input a node looks at.
        threshold_V: pixels with more go to its right child; infinite at a leaf.
        left_V: its left child, which the right one comes after; of a leaf, itself.
        told_VP: what share of the labels there each class has.
    """

    feature_V: _Indices
    threshold_V: _Array
    left_V: _Indices
    told_VP: _Array

    def told(self, inputs_IN: _Array) -> _Array:
        """Return what the trees say of some pixels on average, P×N: of each class 0 to 1."""
        pixels = inputs_IN.shape[1]
        values, place_N = inputs_IN.reshape(-1), np.arange(pixels)
        row_V = self.feature_V * pixels
        node_TN = np.repeat(np.arange(_TREES)[:, np.newaxis], pixels, axis=1)
        for _ in range(_DEPTH):
            at_TN = row_V.take(node_TN)
            at_TN += place_N
            seen_TN = values.take(at_TN)
            is_right_TN = seen_TN > self.threshold_V.take(node_TN)
            node_TN = self.left_V.take(node_TN)
            node_TN += is_right_TN
        told_NP = self.told_VP.take(node_TN, axis=0).mean(axis=0)
        return told_NP.T


def grow_forest(inputs_IN: _Array, mass_NP: _Array) -> Forest:
    """Return trees that have learned some rows.

    Args:
        inputs_IN: what is seen of each.
        mass_NP: how much it counts for each class.
    """
    # Drawn alike each time: the same strokes give the same answer.
    drawn = np.random.default_rng(0)
    tried = round(math.sqrt(len(inputs_IN)))
    todo = [(np.arange(len(mass_NP)), 0)] * _TREES
    feature, threshold, left, told = [], [], [], []
    for node, (rows, depth) in enumerate(todo):  # which grows meanwhile
        mass = mass_NP[rows]
        total = mass.sum(axis=0)
        told.append(total / total.sum())
        split = None
        if depth < _DEPTH and len(rows) >= 2 * _LEAF and told[-1].max() < 1:
            some = drawn.permutation(len(inputs_IN))[:tried]
            split = _best_split(inputs_IN[some[:, np.newaxis], rows], mass, drawn.random(tried))
        if split is None:
            feature.append(0)
            threshold.append(math.inf)
            left.append(node)
        else:
            best, where, is_right = split
            feature.append(int(some[best]))
            threshold.append(where)
            left.append(len(todo))
            todo += (rows[~is_right], depth + 1), (rows[is_right], depth + 1)
    return Forest(
        np.array(feature), np.array(threshold, np.float32), np.array(left), np.array(told)
    )


def _best_split(
    seen_MN: _Array, mass_NP: _Array, drawn_M: NDArray[np.float64]
) -> tuple[int, float, NDArray[np.bool_]] | None:
    """Return which of some inputs divides rows best at a threshold drawn between its extremes.

    Best is the one that leaves the least mixture of classes (Gini). None if none divides them.
    """
    low_M = seen_MN.min(axis=1)
    threshold_M = (low_M + (seen_MN.max(axis=1) - low_M) * drawn_M).astype(np.float32)
    is_right_MN = seen_MN > threshold_M[:, np.newaxis]
    count_M = is_right_MN.sum(axis=1)
    divides_M = (count_M >= _LEAF) & (count_M <= len(mass_NP) - _LEAF)
    if not divides_M.any():
        return None
    right_MP = is_right_MN.astype(np.float32) @ mass_NP
    left_MP = mass_NP.sum(axis=0) - right_MP
    purity_M = sum(
        np.square(side).sum(axis=1) / side.sum(axis=1).clip(1e-12) for side in (left_MP, right_MP)
    )
    best = int(np.where(divides_M, purity_M, -1).argmax())
    return best, float(threshold_M[best]), is_right_MN[best]


@dataclass(frozen=True)
class Trees:
    """A forest that sees a network's components, too, and one of local features alone.

    Attributes:
        forests: each with its share, which sum to 1, and the first input that it sees, counted
            from the first component on; one without a share is not there.
        classes_P: which they tell apart.
    """

    forests: tuple[tuple[Forest, float, int], ...]
    classes_P: Tensor

    def blend(self, sure_KHW: Tensor, deep_CHW: Tensor, local_GHW: Tensor) -> Tensor:
        """Return an image's probabilities K×H×W with the trees' part in them.

        Args:
            sure_KHW: the probabilities that the experts give.
            deep_CHW: the components.
            local_GHW: the local features.
        """
        some_CHW, some_GHW = (part[:, ::_STEP, ::_STEP] for part in (deep_CHW, local_GHW))
        told_PN = self._told(some_CHW.flatten(1).numpy(), some_GHW.flatten(1).numpy())
        told_PHW = _filled_in(torch.from_numpy(told_PN).view(-1, *some_GHW.shape[1:]), sure_KHW)
        painted_PHW = sure_KHW[self.classes_P]
        blended_KHW = sure_KHW.clone()
        blended_KHW[self.classes_P] = torch.lerp(
            painted_PHW, told_PHW * painted_PHW.sum(dim=0), _COUNTS
        )
        return blended_KHW

    def _told(self, deep_CN: _Array, local_GN: _Array) -> _Array:
        """Return what the trees say of some pixels, P×N: of each class 0 to 1."""
        pixels = deep_CN.shape[1]
        told_PN = np.empty((len(self.classes_P), pixels), np.float32)

        def tell(start: int) -> None:
            some = slice(start, start + _PIXELS)
            inputs_IN = np.concatenate([deep_CN[:, some], local_GN[:, some]])
            parts = [share * forest.told(inputs_IN[of:]) for forest, share, of in self.forests]
            told_PN[:, some] = np.sum(parts, axis=0)

        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            list(threads.map(tell, range(0, pixels, _PIXELS)))
        return told_PN


def _filled_in(told_Phw: Tensor, image_KHW: Tensor) -> Tensor:
    """Return values of all pixels, P×H×W, from those of every other one."""
    small, size = told_Phw.shape[1:], image_KHW.shape[1:]
    between = [_STEP * (side - 1) + 1 for side in small]
    told_1PHW = functional.interpolate(told_Phw[None], between, mode="bilinear", align_corners=True)
    missing = [whole - side for whole, side in zip(size, between, strict=True)]
    return functional.pad(told_1PHW, (0, missing[1], 0, missing[0]), mode="replicate")[0]


def grow(
    deep_NC: Tensor, local_NG: Tensor, rows: AllRows, share: float, is_new_K: Tensor
) -> Trees | None:
    """Return trees that have learned the pixels of painted classes that are new to the network.

    None if there are fewer than two such classes. One of a single pixel is none: no leaf is of
    fewer than two.

    Args:
        deep_NC: the components of each row.
        local_NG: its local features.
        rows: which classes they are of.
        share: of the forest that sees both, 0 to 1.
        is_new_K: whether the network knows nothing of a class.
    """
    mass_NK = row_weights(rows)
    is_told_K = is_new_K & ((mass_NK > 0).sum(dim=0) >= _LEAF)
    classes_P = is_told_K.nonzero().flatten()
    if len(classes_P) < 2:
        return None
    mass_NP = mass_NK[:, classes_P]
    is_seen_N = mass_NP.any(dim=1)
    inputs_NI = torch.cat([deep_NC, local_NG], dim=1)[is_seen_N]
    inputs_IN, mass_NP = inputs_NI.T.contiguous().numpy(), mass_NP[is_seen_N]
    forests = [
        (grow_forest(inputs_IN[first:], mass_NP.numpy()), part, first)
        for part, first in ((share, 0), (1 - share, deep_NC.shape[1]))
        if part
    ]
    return Trees(tuple(forests), classes_P)
