"""How to train: what is refused before anything is read."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mdlstm_core.errors import InputError
from mdlstm_core.training.options import TrainingOptions


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": 2**32},
        {"epochs": 0},
        {"batch": 0},
        {"view": (0, 4)},
        {"learning_rate": math.nan},
        {"weight_decay": -1.0},
        {"balance": math.nan},
        {"prefer_rare": math.nan},
        {"first_share": 1.0},
        {"average_decay": 1.5},
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        TrainingOptions(**wrong)
