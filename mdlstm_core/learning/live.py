"""Learning while the person paints: the last layer refitted on frozen features.

A network's logits are linear in the features that its class layers see. With these frozen,
learning is a multinomial logistic regression on the cells that a person labeled, which
takes a fraction of a second. The weights are held to the old ones where nobody painted:
what is punished is the mean square by which the logits of a sample of all cells move. In
the coordinates in which that is the squared length of the weights' change, L-BFGS needs
few steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mdlstm_core.network import LabelingNetwork, with_classes

_MOST_LABELED = 4000
"""Labeled cells of an image that are learned from, at most."""

_MOST_SAMPLED = 2000
"""Cells of an image on which the old logits are held, at most."""


@dataclass(frozen=True)
class LiveOptions:
    """How to refit.

    Attributes:
        hold: how strongly the logits of all cells are held to what they were.
        steps: of L-BFGS, at most.
    """

    hold: float = 0.02
    steps: int = 30


@dataclass(frozen=True)
class LabeledCells:
    """What the refit needs of one image.

    Attributes:
        labeled_NF: features of labeled cells, with a 1 at the end.
        shares_NK: what share of each cell's labeled pixels each class has.
        area_N: the labeled share of each cell's area, above 0.
        sampled_MF: features of cells all over the image.
    """

    labeled_NF: Tensor
    shares_NK: Tensor
    area_N: Tensor
    sampled_MF: Tensor


@torch.no_grad()
def labeled_cells(
    features: tuple[Tensor, ...], shares_1Khw: Tensor, area_1hw: Tensor
) -> LabeledCells:
    """Pick the features of an image's labeled cells, and of a sample of all.

    Args:
        features: of one image, from `LabelingNetwork.features`.
        shares_1Khw: class shares of the output cells (see `losses.class_shares`).
        area_1hw: the labeled share of each cell.
    """
    stacked_CF = _stacked(features)
    area_C = area_1hw.flatten()
    labeled = _spread(area_C.nonzero().flatten(), _MOST_LABELED)
    sampled = _spread(torch.arange(len(area_C), device=area_C.device), _MOST_SAMPLED)
    return LabeledCells(
        stacked_CF[labeled],
        shares_1Khw[0].flatten(1).T[labeled],
        area_C[labeled],
        stacked_CF[sampled],
    )


def refit(
    network: LabelingNetwork, images: Sequence[LabeledCells], options: LiveOptions
) -> LabelingNetwork:
    """Return a copy of a network whose class layers fit the labeled cells of some images.

    Args:
        network: gave the features; unchanged.
        images: what to learn; each class that was painted counts alike, however large.
        options: how.

    Raises:
        ValueError: there are no labeled cells.
    """
    if not any(len(image.labeled_NF) for image in images):
        raise ValueError("images: expected labeled cells, given none")
    labeled_NF = torch.cat([image.labeled_NF for image in images]).double()
    shares_NK = torch.cat([image.shares_NK for image in images]).double()
    area_N = torch.cat([image.area_N for image in images]).double()
    sampled_MF = torch.cat([image.sampled_MF for image in images]).double()
    weight_NK = _balanced(shares_NK * area_N.unsqueeze(1))
    old_KF = _weights(network).double()
    root_FF = _root(sampled_MF.T @ sampled_MF / len(sampled_MF))
    # change · features = moved · (root⁻¹ · features), and its mean square is |moved|².
    labeled_NF_white = torch.linalg.solve_triangular(root_FF, labeled_NF.T, upper=False).T
    start_NK = labeled_NF @ old_KF.T
    moved_KF = torch.zeros_like(old_KF, requires_grad=True)
    solver = torch.optim.LBFGS(
        [moved_KF], max_iter=options.steps, history_size=10, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        logits_NK = start_NK + labeled_NF_white @ moved_KF.T
        fit = -(weight_NK * functional.log_softmax(logits_NK, dim=1)).sum()
        value: Tensor = fit + options.hold * moved_KF.square().sum()
        value.backward()
        return value

    solver.step(loss)
    change_KF = torch.linalg.solve_triangular(root_FF.T, moved_KF.detach().T, upper=True).T
    fitted = with_classes(network, range(network.config.classes))
    _set_weights(fitted, (old_KF + change_KF).float())
    return fitted


def _stacked(features: tuple[Tensor, ...]) -> Tensor:
    """Return the features of each output cell, enlarged as the logits are: (h·w)×F, with a 1."""
    height, width = features[-1].shape[2:]
    full = []
    for feature in features:
        while feature.shape[2] < height:
            feature = functional.interpolate(feature, scale_factor=2, mode="bilinear")
        full.append(feature[0].float().flatten(1))
    return torch.cat([*full, full[0].new_ones(1, height * width)]).T


def _spread(indices: Tensor, most: int) -> Tensor:
    """Return at most so many of some indices, evenly spread."""
    if len(indices) <= most:
        return indices
    places = torch.linspace(0, len(indices) - 1, most, device=indices.device).round().long()
    return indices[places]


def _balanced(mass_NK: Tensor) -> Tensor:
    """Weigh each class alike; the weights sum to 1."""
    total_K = mass_NK.sum(dim=0)
    painted = int((total_K > 0).sum())
    return mass_NK / total_K.clamp_min(1e-9) / max(1, painted)


def _root(moments_FF: Tensor) -> Tensor:
    """Return the lower triangular root of a matrix, made definite."""
    ridge = 1e-3 * moments_FF.diagonal().mean() + 1e-9
    return torch.linalg.cholesky(moments_FF + ridge * torch.eye(len(moments_FF)).to(moments_FF))


@torch.no_grad()
def _weights(network: LabelingNetwork) -> Tensor:
    """Return the class layers' weights side by side, the sum of their biases last: K×F."""
    parts = [layer.weight.flatten(1) for layer in network.class_layers]
    biases = [layer.bias for layer in network.class_layers if layer.bias is not None]
    return torch.cat([*parts, torch.stack(biases).sum(dim=0).unsqueeze(1)], dim=1)


@torch.no_grad()
def _set_weights(network: LabelingNetwork, weights_KF: Tensor) -> None:
    """Set what `_weights` returns; the first layer gets the whole bias."""
    first = 0
    for index, layer in enumerate(network.class_layers):
        count = layer.weight[0].numel()
        layer.weight.copy_(weights_KF[:, first : first + count].view_as(layer.weight))
        first += count
        if layer.bias is not None:
            layer.bias.copy_(weights_KF[:, -1] if index == 0 else torch.zeros_like(layer.bias))
