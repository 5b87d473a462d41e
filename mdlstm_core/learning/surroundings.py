"""How much what lies around a pixel counts while there are first strokes alone.

A first stroke runs along the middle of a region, and far from its border. So what coarse filters
and a network see there tells where people paint first, and not what the class looks like where it
meets another one. The finest filters see a pixel and its next neighbours, and are not misled; if
they tell the classes apart, the others count little. The strokes that follow correct mistakes, lie
anywhere, and show what the surroundings are worth.

N: labeled pixels; C: components of the network's features, G: local features; K: classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mdlstm_core.learning.rows import AllRows, lessons_and_tests, row_weights, with_one
from mdlstm_core.learning.unseen import unseen_error

_FINE = 1.0
"""Scale, in pixels, up to which a filter sees a pixel itself."""

_SUFFICES = 0.08, 0.18
"""From what part of the classes that the finest filters must tell, they are relied on a little,
and altogether. Of textures and facades they tell a twentieth, of membranes two tenths at least."""

_SUFFICES_TOO = 0.55, 0.75
"""The same for all filters beside the network, of what both tell together. Of foregrounds in
photographs they tell less than half of that."""

_FINEST, _FALL = 0.7, 2.0
"""A filter of scale s counts as `_FINEST / s` to this power, at most."""

_LEAST_DEEP = 0.1
"""What the network's features count at least."""


class Surroundings(NamedTuple):
    """By what to multiply what a classifier sees.

    Attributes:
        local_G: the local features, 0 to 1.
        deep: the network's, 0.1 to 1.
    """

    local_G: Tensor
    deep: float


def weigh_surroundings(
    deep_NC: Tensor, local_NG: Tensor, rows: AllRows, scales: Sequence[float]
) -> Surroundings:
    """Return how much of the surroundings is to be seen.

    Args:
        deep_NC: components of the network's features of each row, scaled alike.
        local_NG: its local features, scaled alike; zeros for those that are not to be asked.
        rows: which classes they are of.
        scales: of each local feature, in pixels.
    """
    scale_G = torch.tensor(scales)
    caution, alone = _caution(deep_NC, local_NG, rows, scale_G)
    local_G = (_FINEST / scale_G.clamp_min(_FINEST)) ** (_FALL * caution)
    return Surroundings(local_G, _LEAST_DEEP ** (caution * alone))


def _caution(
    deep_NC: Tensor, local_NG: Tensor, rows: AllRows, scale_G: Tensor
) -> tuple[float, float]:
    """Return how little surroundings are to be relied on, and how little the network, 0 to 1."""
    own_NK = row_weights(rows)
    caution, alone, best = _judged(deep_NC, local_NG, scale_G, lessons_and_tests(rows))
    if best < _SUFFICES[1]:
        # Little that one half tells of the other is true; what tells the strokes themselves apart?
        sure = _between(best, _SUFFICES)
        own_caution, own_alone, _ = _judged(deep_NC, local_NG, scale_G, [(own_NK, own_NK)])
        caution = sure * caution + (1 - sure) * own_caution
        alone = sure * alone + (1 - sure) * own_alone
    return first_strokes(rows) ** 2 * caution, alone


def _judged(
    deep_NC: Tensor, local_NG: Tensor, scale_G: Tensor, pairs: Sequence[tuple[Tensor, Tensor]]
) -> tuple[float, float, float]:
    """Return how far the finest filters suffice, all filters, and what is told at best."""
    fine, local, best = _told(deep_NC, local_NG, scale_G, pairs)
    alone = _between(local / best, _SUFFICES_TOO) if best > 0 else 0.0
    return _between(fine, _SUFFICES), alone, best


def _told(
    deep_NC: Tensor, local_NG: Tensor, scale_G: Tensor, pairs: Sequence[tuple[Tensor, Tensor]]
) -> tuple[float, float, float]:
    """Return what part of the classes the finest filters tell, all filters, and the network too.

    More is never less: where more inputs mislead, fewer of them are taken.
    """
    by_chance = unseen_error(with_one(local_NG[:, :0]), pairs)
    if by_chance == 0:
        return 0.0, 0.0, 0.0
    inputs = local_NG[:, scale_G <= _FINE], local_NG, torch.cat([deep_NC, local_NG], dim=1)
    fine, local, both = (1 - unseen_error(with_one(seen), pairs) / by_chance for seen in inputs)
    return fine, max(fine, local), max(fine, local, both)


def first_strokes(rows: AllRows) -> float:
    """Return what part of the strokes are the first ones of their class on their image."""
    first = torch.stack([rows.image_N, rows.shares_NK.argmax(dim=1)])
    every = torch.stack([rows.image_N, rows.stroke_N])
    firsts, strokes = (torch.unique(found, dim=1).shape[1] for found in (first, every))
    return firsts / strokes


def _between(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return min(1.0, max(0.0, (value - low) / (high - low)))
