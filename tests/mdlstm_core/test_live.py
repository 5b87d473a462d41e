"""Refitting the last layer: against a general optimiser, and what it promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from mdlstm_core.config import NetworkConfig
from mdlstm_core.learning.live import LabeledCells, LiveOptions, labeled_cells, refit
from mdlstm_core.losses import class_shares
from mdlstm_core.network import LabelingNetwork, build_network, with_classes


@pytest.fixture(params=["tiny_config", "scene_config"])
def network(request: pytest.FixtureRequest) -> LabelingNetwork:
    config: NetworkConfig = request.getfixturevalue(request.param)
    torch.manual_seed(2)
    return build_network(config).eval()


def painted(network: LabelingNetwork, seed: int = 0) -> tuple[Tensor, LabeledCells]:
    """An image whose left part is painted 0 and whose right part 2, between them nothing."""
    image = torch.rand(1, 3, 32, 64, generator=torch.Generator().manual_seed(seed))
    labels = torch.full((1, 32, 64), 255, dtype=torch.uint8)
    labels[:, 4:20, 2:12], labels[:, 8:12, 50:60] = 0, 2
    shares, area = class_shares(labels, network.config.classes, network.output_stride)
    with torch.no_grad():
        features = network.features(image)
        return network.classify(features), labeled_cells(features, shares, area)


def objective(weights: np.ndarray, old: np.ndarray, cells: LabeledCells, hold: float) -> float:
    """What `refit` is to minimise, written out."""
    change = weights.reshape(old.shape) - old
    labeled, shares, area, sampled = (
        t.double().numpy()
        for t in (cells.labeled_NF, cells.shares_NK, cells.area_N, cells.sampled_MF)
    )
    logits = labeled @ (old + change).T
    log_probability = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    mass = shares * area[:, np.newaxis]
    painted = mass.sum(axis=0) > 0
    each = [
        -(mass[:, k] * log_probability[:, k]).sum() / mass[:, k].sum()
        for k in np.flatnonzero(painted)
    ]
    squares = (sampled**2).mean(axis=0)
    squares += 1e-3 * squares.mean() + 1e-9
    return float(np.mean(each) + hold * (change**2 @ squares).sum())


def weights_of(network: LabelingNetwork) -> np.ndarray:
    layers = network.class_layers
    bias = sum(layer.bias.detach().double() for layer in layers if layer.bias is not None)
    parts = [layer.weight.detach().double().flatten(1) for layer in layers]
    return torch.cat([*parts, bias.unsqueeze(1)], dim=1).numpy()


def test_finds_what_a_general_optimiser_finds(network: LabelingNetwork) -> None:
    _, cells = painted(network)
    old = weights_of(network)

    fitted = weights_of(refit(network, [cells], LiveOptions(hold=0.02, steps=200)))

    best = minimize(objective, old.ravel(), (old, cells, 0.02), method="L-BFGS-B")
    found = objective(fitted.ravel(), old, cells, 0.02)
    assert found == pytest.approx(best.fun, rel=1e-3)
    assert found < 0.8 * objective(old.ravel(), old, cells, 0.02)


def test_painted_cells_are_learned_and_the_rest_is_held(network: LabelingNetwork) -> None:
    before, cells = painted(network)
    truth = cells.shares_NK.argmax(dim=1)

    loose, tight = (refit(network, [cells], LiveOptions(hold=h)) for h in (1e-5, 1e3))

    image = torch.rand(1, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(tight(image), before, atol=1e-2, rtol=0)
    right = []
    for model in (network, loose):
        said = torch.from_numpy(weights_of(model)).float() @ cells.labeled_NF.T
        right.append((said.argmax(dim=0) == truth).float().mean().item())
    # Few features of an untrained network tell the two parts apart only so far.
    assert right[1] > max(0.6, right[0])


def test_only_the_class_layers_change(network: LabelingNetwork) -> None:
    _, cells = painted(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}

    fitted = refit(network, [cells, painted(network, seed=1)[1]], LiveOptions())

    ours = {id(layer) for layer in fitted.class_layers}
    inside = {name for name, module in fitted.named_modules() if id(module) in ours}
    for name, value in fitted.state_dict().items():
        changed = not torch.equal(value, before[name])
        assert changed == (name.rpartition(".")[0] in inside), name
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_new_class_is_learned_from_strokes_alone(network: LabelingNetwork) -> None:
    grown = with_classes(network, [0, 1, None])
    logits, cells = painted(grown)
    assert (logits.argmax(dim=1) != 2).all()

    fitted = refit(grown, [cells], LiveOptions(hold=1e-5))

    said = torch.from_numpy(weights_of(fitted)).float() @ cells.labeled_NF.T
    is_new = cells.shares_NK[:, 2] > 0.5
    assert (said.argmax(dim=0)[is_new] == 2).float().mean() > 0.5


def test_classes_can_be_left_out_and_reordered(network: LabelingNetwork) -> None:
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        whole, part = network(image), with_classes(network, [2, 0])(image)
    torch.testing.assert_close(part, whole[:, [2, 0]])


def test_nothing_painted_is_refused(network: LabelingNetwork) -> None:
    with pytest.raises(ValueError, match="expected labeled cells"):
        refit(network, [], LiveOptions())
