"""How well inputs tell the classes of strokes that were not learned.

D: inputs and a 1; N: labeled pixels; K: classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_HOLD = 0.3
"""How strongly the linear maps are held to zero."""


def unseen_error(inputs_DN: Tensor, pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Return the squared error of what a linear map (ridge regression) says of strokes.

    0 if none of the pairs has two classes to learn, or has any of these to test.

    Args:
        inputs_DN: what is seen of each row, with a 1 at the end.
        pairs: how much rows count, N×K, to learn from and to test with (see
            `rows.lessons_and_tests`).
    """
    error = 0.0
    for seen_NK, unseen_NK in pairs:
        if seen_NK.any(dim=0).sum() < 2:
            continue  # any map tells one class, but for rounding
        hold_DD = torch.diag(torch.full((len(inputs_DN),), _HOLD))
        hold_DD[-1, -1] = 1e-6  # all but free; there may be nothing to learn
        products_DD = (inputs_DN * seen_NK.sum(dim=1)) @ inputs_DN.T
        map_DK = torch.linalg.solve(products_DD + hold_DD, inputs_DN @ seen_NK)
        weight_N = unseen_NK.sum(dim=1)
        truth_NK = unseen_NK / weight_N.clamp_min(1e-12).unsqueeze(1)
        missed_NK = (inputs_DN.T @ map_DK - truth_NK).square()
        error += float((missed_NK.sum(dim=1) * weight_N).sum())
    return error
