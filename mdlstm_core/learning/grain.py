"""How much grain counts: how strong edges are all around a pixel, and which way they run.

Textures differ in little else; where classes are no textures, it says of a pixel what is true of
its neighbours, and few strokes on it mislead.

N: labeled pixels; G: local features.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mdlstm_core.learning.rows import AllRows, lessons_and_tests, with_one
from mdlstm_core.learning.unseen import unseen_error

_IF_USELESS, _GROWTH, _LEAST = 0.3, 3.5, 0.25
"""What it counts if it spares no error, how much more if it spares all, and at least.

On textures it spares a fifth to a quarter; on membranes up to a seventh, or it costs a tenth.
"""

_IF_UNKNOWN = 0.5


def weight_of_grain(local_NG: Tensor, rows: AllRows, grain: Sequence[int]) -> float:
    """Return by what to multiply grain before a classifier sees it, 0.25 to 1.

    The more it helps a linear map (ridge regression) of one half of the strokes to tell the
    classes of the other half, the more it counts.

    Args:
        local_NG: the local features of each row, scaled alike.
        rows: which classes they are of.
        grain: which of the features it is.
    """
    both = local_NG, without_grain(local_NG, grain)
    pairs = lessons_and_tests(rows)
    error, plain_error = (unseen_error(with_one(seen_NG), pairs) for seen_NG in both)
    if plain_error == 0:
        return _IF_UNKNOWN
    return min(1.0, max(_LEAST, _IF_USELESS + _GROWTH * (1 - error / plain_error)))


def without_grain(local_NG: Tensor, grain: Sequence[int]) -> Tensor:
    """Return local features N×G with zeros for the grain."""
    plain_NG = local_NG.clone()
    plain_NG[:, list(grain)] = 0
    return plain_NG
