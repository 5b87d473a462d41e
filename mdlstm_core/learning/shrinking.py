"""How far a model goes from what it was to what a few strokes taught it.

Weights between those before learning and those after it keep more of what the model knew about
other images than stopping early or learning slowly does (Wortsman et al., Robust fine-tuning of
zero-shot models, CVPR 2022).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.learning.lessons import Lesson, label_map_of, learned_strokes
from mdlstm_core.network import LabelingNetwork

_PRIOR = 15
"""Strokes that the model before counts for."""

_RIGHT = 0.6
"""Share of the learned pixels that has to be right for a shorter way to suffice."""

_HALVINGS = 4

_MOST_IMAGES = 4
"""On which that is looked at: those with the most strokes."""


def checkpoint_weights(network: LabelingNetwork) -> dict[str, Tensor]:
    """Return a copy of a network's weights, on its device."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


@torch.no_grad()
def shrink(
    network: LabelingNetwork,
    before: Mapping[str, Tensor],
    lessons: Sequence[Lesson],
    has_time: Callable[[float], bool],
) -> None:
    """Move a network's weights as near to those before learning as the strokes allow.

    The more strokes there are, the less near; and never so near that most of what a person
    painted comes out as before.

    Args:
        network: has learned.
        before: its weights before that.
        lessons: what it learned.
        has_time: whether there are so many seconds to go on looking; if not, the shortest way
            known to suffice is taken.
    """
    learned = checkpoint_weights(network)
    strokes = learned_strokes(lessons)
    seen = _looked_at(lessons)

    def go(way: float) -> None:
        network.load_state_dict({n: before[n].lerp(value, way) for n, value in learned.items()})

    short, enough = strokes / (strokes + _PRIOR), 1.0
    go(short)
    start = time.monotonic()
    if _share_right(network, seen) >= _RIGHT:
        return
    seconds = time.monotonic() - start
    for _ in range(_HALVINGS):
        if not has_time(seconds):
            break
        way = (short + enough) / 2
        go(way)
        if _share_right(network, seen) >= _RIGHT:
            enough = way
        else:
            short = way
    go(enough)


def least_seconds(lessons: Sequence[Lesson]) -> float:
    """Return how long `shrink` is likely to take at least."""
    return sum(lesson.seconds for lesson in _looked_at(lessons))


def _looked_at(lessons: Sequence[Lesson]) -> list[Lesson]:
    return sorted(lessons, key=lambda lesson: -lesson.split.learned_strokes)[:_MOST_IMAGES]


def _share_right(network: LabelingNetwork, lessons: Sequence[Lesson]) -> float:
    """Return the share of the learned pixels that a network gives their class."""
    right = known = 0
    for lesson in lessons:
        said = label_map_of(network, lesson)
        is_learned = lesson.split.learned != IGNORE_INDEX
        right += int(np.count_nonzero((said == lesson.split.learned) & is_learned))
        known += int(np.count_nonzero(is_learned))
    return right / max(1, known)
