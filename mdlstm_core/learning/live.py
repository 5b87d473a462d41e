"""Learning while the person paints: the last layer refitted on frozen features.

A network's logits are linear in the features that its class layers see. With these frozen,
learning is a multinomial logistic regression on the cells that a person labeled, which
takes a fraction of a second. The weights are held to the old ones: what is punished is
their change, each feature by its mean square over a sample of all cells. Feature by feature
and not by the mean square that the logits move: that would make it cheap to learn only what
sets the painted cells apart from all others, and nothing beyond the stroke would follow. In
the coordinates in which it is the squared length of the change, L-BFGS needs few steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mdlstm_core.learning.targets import OutputLabels
from mdlstm_core.network import LabelingNetwork, with_classes

_MOST_LABELED = 4000
"""Labeled cells of an image that are learned from, at most."""

_MOST_SAMPLED = 2000
"""Cells of an image on which the old logits are held, at most."""


_MOST_LABELED_OF_ALL, _MOST_SAMPLED_OF_ALL = 8000, 4000
"""Cells of all images together: with more, a refit takes longer than a person waits."""


@dataclass(frozen=True)
class LiveOptions:
    """How to refit.

    Attributes:
        hold: how strongly the weights are held to what they were.
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
    labeled = labeled_places(area_1hw)
    sampled = _spread(torch.arange(len(area_C), device=area_C.device), _MOST_SAMPLED)
    return LabeledCells(
        stacked_CF[labeled],
        shares_1Khw[0].flatten(1).T[labeled],
        area_C[labeled],
        stacked_CF[sampled],
    )


def labeled_places(area_1hw: Tensor) -> Tensor:
    """Return which cells `labeled_cells` picks: row times the grid's width plus column."""
    return _spread(area_1hw.flatten().nonzero().flatten(), _MOST_LABELED)


def refit(
    network: LabelingNetwork,
    images: Sequence[LabeledCells],
    options: LiveOptions,
    labels: OutputLabels | None = None,
) -> LabelingNetwork:
    """Return a copy of a network whose class layers fit the labeled cells of some images.

    Args:
        network: gave the features; unchanged.
        images: what to learn; each class that was painted counts alike, however large.
        options: how.
        labels: what the outputs stand for: the classes of the shares. Each its own if None.

    Raises:
        ValueError: there are no labeled cells.
    """
    if not any(len(image.labeled_NF) for image in images):
        raise ValueError("images: expected labeled cells, given none")
    images = _reduced(images)
    labeled_NF = torch.cat([image.labeled_NF for image in images]).double()
    shares_NK = torch.cat([image.shares_NK for image in images]).double()
    area_N = torch.cat([image.area_N for image in images]).double()
    sampled_MF = torch.cat([image.sampled_MF for image in images]).double()
    weight_NK = _balanced(shares_NK * area_N.unsqueeze(1))
    old_KF = class_weights(network).double()
    scale_F = feature_scale(sampled_MF)
    # change · features = moved · (features / scale), and the punished change is |moved|².
    scaled_NF = labeled_NF / scale_F
    start_NK = labeled_NF @ old_KF.T
    labels = labels or OutputLabels(range(network.config.classes))
    moved_KF = _solved(scaled_NF, start_NK, weight_NK, options, labels)
    change_KF = moved_KF / scale_F
    fitted = with_classes(network, range(network.config.classes))
    _set_weights(fitted, (old_KF + change_KF).float())
    return fitted


def _solved(
    scaled_NF: Tensor,
    start_NK: Tensor,
    weight_NK: Tensor,
    options: LiveOptions,
    labels: OutputLabels,
) -> Tensor:
    """Return the change K×F of the weights, for features that are scaled."""
    size = start_NK.shape[1], scaled_NF.shape[1]
    moved_KF = scaled_NF.new_zeros(size).requires_grad_()
    solver = torch.optim.LBFGS(
        [moved_KF], max_iter=options.steps, history_size=10, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        logits_NK = labels.logits(start_NK + scaled_NF @ moved_KF.T)
        fit = -(weight_NK * functional.log_softmax(logits_NK, dim=1)).sum()
        value: Tensor = fit + options.hold * moved_KF.square().sum()
        value.backward()
        return value

    solver.step(loss)
    return moved_KF.detach()


def _reduced(images: Sequence[LabeledCells]) -> list[LabeledCells]:
    """Return every n-th cell of some images, so that there are not too many."""
    labeled = -(-sum(len(image.labeled_NF) for image in images) // _MOST_LABELED_OF_ALL) or 1
    sampled = -(-sum(len(image.sampled_MF) for image in images) // _MOST_SAMPLED_OF_ALL) or 1
    return [
        LabeledCells(
            image.labeled_NF[::labeled],
            image.shares_NK[::labeled],
            image.area_N[::labeled],
            image.sampled_MF[::sampled],
        )
        for image in images
    ]


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


def feature_scale(sampled_MF: Tensor) -> Tensor:
    """Return the root of each feature's mean square; of one that is never there, nearly so."""
    squares_F = sampled_MF.square().mean(dim=0)
    return (squares_F + 1e-3 * squares_F.mean() + 1e-9).sqrt()


@torch.no_grad()
def class_weights(network: LabelingNetwork) -> Tensor:
    """Return the class layers' weights side by side, the sum of their biases last: K×F."""
    parts = [layer.weight.flatten(1) for layer in network.class_layers]
    biases = [layer.bias for layer in network.class_layers if layer.bias is not None]
    return torch.cat([*parts, torch.stack(biases).sum(dim=0).unsqueeze(1)], dim=1)


@torch.no_grad()
def _set_weights(network: LabelingNetwork, weights_KF: Tensor) -> None:
    """Set what `class_weights` returns; the first layer gets the whole bias."""
    first = 0
    for index, layer in enumerate(network.class_layers):
        count = layer.weight[0].numel()
        layer.weight.copy_(weights_KF[:, first : first + count].view_as(layer.weight))
        first += count
        if layer.bias is not None:
            layer.bias.copy_(weights_KF[:, -1] if index == 0 else torch.zeros_like(layer.bias))
