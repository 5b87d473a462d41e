"""The mean of models."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.errors import InputError
from mdlstm_core.training.averaging import averaged


def test_the_mean_of_one_model_has_its_weights_and_no_figures(tiny_checkpoint: Checkpoint) -> None:
    measured = dataclasses.replace(tiny_checkpoint, metrics={"pixel_accuracy": 0.9})

    mean = averaged([measured])

    assert mean.metrics == {}
    for name, value in measured.weights.items():
        torch.testing.assert_close(mean.weights[name], value, rtol=0, atol=0)


def test_no_model_has_no_mean() -> None:
    with pytest.raises(InputError, match=r"^There is no model"):
        averaged([])
