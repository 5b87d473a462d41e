"""One step of training, looked at by itself."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from mdlstm_core.config import IGNORE_INDEX, NetworkConfig
from mdlstm_core.network import build_network
from mdlstm_core.training.learner import Learner
from mdlstm_core.training.options import TrainingOptions
from mdlstm_core.training.processes import ALONE
from mdlstm_core.training.sources import Batch


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 32, 48, 3), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 3, (2, 32, 48), dtype=torch.uint8, generator=generator)
    labels[:, 20:] = IGNORE_INDEX
    return Batch(images, (labels,))


def test_a_step_in_bfloat16_is_nearly_that_in_float32(
    scene_config: NetworkConfig, batch: Batch
) -> None:
    torch.manual_seed(0)
    drawn = build_network(dataclasses.replace(scene_config, dropout=0.0))
    losses, moves = [], []
    for precision in ("float32", "bfloat16"):
        network = copy.deepcopy(drawn).train()
        learner = Learner(network, TrainingOptions(precision=precision), 40, ALONE)
        learner.class_weights = [torch.ones(3)]
        losses.append(learner.learn(batch, 0))
        gradients = [parameter.grad for parameter in network.parameters()]
        assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
        assert learner.is_finite()
        moves.append(torch.cat([g.flatten() for g in gradients if g is not None]))

    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    # Eight bits of mantissa: rounded, not equal.
    assert not torch.equal(*moves)
    assert torch.cosine_similarity(*moves, dim=0) > 0.99
