"""A small classifier of pixels on what a frozen network and local filters say of them.

A network that was trained on photographs knows what a car's place in a street is, but not
the grain of a micrograph; filters of the neighbourhood know that and nothing else. The
classifier takes both: the network's own logits, a linear map of all features, and one hidden
layer, since a class may be of several colours. Everything but its inputs is learned anew at
each stroke, from the same start, so that taking a stroke back takes its effect back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_MOST_ROWS, _MOST_SAMPLES = 3000, 3000
"""Of all images together: with more, a fit takes longer than a person waits."""

_COMPONENTS = 64
"""Directions of the network's features in which images differ most; the others are noise
to a classifier that has seen a handful of strokes."""


@dataclass(frozen=True)
class ClassifierOptions:
    """How to fit.

    Attributes:
        hidden: units of the hidden layer.
        hold: how strongly weights are held to zero, and with it to what the network says.
        trust: how much of the network's own logits counts, 0 to 1.
        steps: of Adam.
        learning_rate: of its first half; then it falls to zero.
    """

    hidden: int = 48
    hold: float = 1e-3
    trust: float = 0.5
    steps: int = 80
    learning_rate: float = 0.02


@dataclass(frozen=True)
class PixelRows:
    """What a fit needs of an image.

    Attributes:
        deep_NF: the network's features of labeled pixels.
        local_NG: their local features.
        shares_NK: what share of each one's labels each class has.
        area_N: how much of it is labeled, above 0.
        sampled_MF, sampled_MG: the features of pixels all over the image.
    """

    deep_NF: Tensor
    local_NG: Tensor
    shares_NK: Tensor
    area_N: Tensor
    sampled_MF: Tensor
    sampled_MG: Tensor

    def every(self, labeled: int, sampled: int) -> PixelRows:
        """Return every so manyth row."""
        return PixelRows(
            *(t[::labeled] for t in (self.deep_NF, self.local_NG, self.shares_NK, self.area_N)),
            self.sampled_MF[::sampled],
            self.sampled_MG[::sampled],
        )


class PixelClassifier:
    """Gives logits of pixels; made by `fit`.

    Args:
        deep_JF: of the J = K + hidden linear maps, the weights of the network's features.
        local_JG: of the local ones.
        bias_J: what is added.
        out_KU: from the hidden units, the last of the J, to the K classes, the first.
    """

    def __init__(self, deep_JF: Tensor, local_JG: Tensor, bias_J: Tensor, out_KU: Tensor) -> None:
        self._deep_JF, self._local_JG = deep_JF, local_JG
        self._bias_J, self._out_KU = bias_J, out_KU

    @torch.no_grad()
    def logits(
        self, features: tuple[Tensor, ...], local_GHW: Tensor, working: tuple[int, int]
    ) -> Tensor:
        """Return the logits of an image, K×H×W.

        Args:
            features: of the network, 1×F×r×c of each level, coarse to fine.
            local_GHW: the local features.
            working: height and width of the image that the network saw.
        """
        size = local_GHW.shape[1:]
        sum_JHW = at_pixels(self._parts(features), working, (int(size[0]), int(size[1])))
        flat_JN = torch.addmm(sum_JHW.flatten(1), self._local_JG, local_GHW.flatten(1))
        flat_JN += self._bias_J.unsqueeze(1)
        classes = len(self._out_KU)
        logits = torch.addmm(flat_JN[:classes], self._out_KU, flat_JN[classes:].relu_())
        return logits.unflatten(1, size)

    def _parts(self, features: tuple[Tensor, ...]) -> list[Tensor]:
        """Return each level's share of the linear maps: they and enlarging can change places."""
        parts, first = [], 0
        for feature in features:
            count = feature.shape[1]
            weight = self._deep_JF[:, first : first + count]
            parts.append(functional.conv2d(feature.float(), weight[..., None, None]))
            first += count
        return parts


def at_pixels(levels: Sequence[Tensor], working: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Enlarge levels of a pyramid to one grid, add them, and enlarge that to pixels: J×H×W.

    Args:
        levels: 1×J×r×c each, coarse to fine, each grid twice as fine as the one before, or
            a single one.
        working: height and width of the image that the levels are of.
        size: H and W.
    """
    total = levels[0]
    for level in levels[1:]:
        total = _enlarged(total, level.shape[2:]) + level
    stride = -(-working[0] // total.shape[2])
    full = functional.interpolate(total, scale_factor=stride, mode="bilinear")
    seen = full[:, :, : working[0], : working[1]]
    if size != working:
        seen = functional.interpolate(seen, size=size, mode="bilinear")
    return seen[0]


def fit(images: Sequence[PixelRows], old_KF: Tensor, options: ClassifierOptions) -> PixelClassifier:
    """Return a classifier that fits the labeled pixels of some images.

    Args:
        images: what to learn; each class that was painted counts alike, however large.
        old_KF: the network's own weights of its features, the bias last: K×(F + 1).
        options: how.

    Raises:
        ValueError: there are no labeled pixels.
    """
    rows = _joined(images)
    if not len(rows.area_N):
        raise ValueError("images: expected labeled pixels, given none")
    basis_FC, mean_F = _components(rows.sampled_MF)
    local_mean_G = rows.sampled_MG.mean(dim=0)
    local_scale_G = rows.sampled_MG.std(dim=0, correction=0) + 1e-2
    inputs_NC = torch.cat(
        [
            (rows.deep_NF - mean_F) @ basis_FC,
            (rows.local_NG - local_mean_G) / local_scale_G,
        ],
        dim=1,
    )
    old_KF = options.trust * old_KF
    start_NK = rows.deep_NF @ old_KF[:, :-1].T + old_KF[:, -1]
    maps_JC, bias_J, out_KU = _solved(inputs_NC, start_NK, _weights(rows), options)
    components, classes = basis_FC.shape[1], len(old_KF)
    deep_JF = maps_JC[:, :components] @ basis_FC.T
    local_JG = maps_JC[:, components:] / local_scale_G
    bias_J = bias_J - deep_JF @ mean_F - local_JG @ local_mean_G
    deep_JF[:classes] += old_KF[:, :-1]
    bias_J[:classes] += old_KF[:, -1]
    return PixelClassifier(deep_JF, local_JG, bias_J, out_KU)


def _solved(
    inputs_NC: Tensor, start_NK: Tensor, weight_NK: Tensor, options: ClassifierOptions
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the linear maps J×C, their bias J, and the hidden units' weights K×U."""
    # A generator of its own: the same strokes give the same answer.
    generator = torch.Generator().manual_seed(0)
    count, classes, units = inputs_NC.shape[1], start_NK.shape[1], options.hidden
    direct = torch.zeros(classes, count)
    hidden = torch.randn(units, count, generator=generator) * (1.5 / count**0.5)
    bias = torch.cat([torch.zeros(classes), 0.5 * torch.randn(units, generator=generator)])
    out = torch.zeros(classes, units)
    parameters = [t.requires_grad_() for t in (direct, hidden, bias, out)]
    optimizer = torch.optim.Adam(parameters, lr=options.learning_rate)
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * min(1.0, 2 - 2 * step / options.steps)
        mapped = functional.linear(inputs_NC, torch.cat([direct, hidden]), bias)
        logits = start_NK + mapped[:, :classes] + mapped[:, classes:].relu() @ out.T
        loss = -(weight_NK * functional.log_softmax(logits, dim=1)).sum()
        held = direct.square().sum() + out.square().sum() + 0.1 * hidden.square().sum()
        optimizer.zero_grad()
        (loss + options.hold * held).backward()
        optimizer.step()
    return torch.cat([direct, hidden]).detach(), bias.detach(), out.detach()


def _joined(images: Sequence[PixelRows]) -> PixelRows:
    """Return the rows of all images, every n-th so that there are not too many."""
    labeled = -(-sum(len(image.area_N) for image in images) // _MOST_ROWS) or 1
    sampled = -(-sum(len(image.sampled_MF) for image in images) // _MOST_SAMPLES) or 1
    parts = [image.every(labeled, sampled) for image in images]
    return PixelRows(
        torch.cat([p.deep_NF for p in parts]),
        torch.cat([p.local_NG for p in parts]),
        torch.cat([p.shares_NK for p in parts]),
        torch.cat([p.area_N for p in parts]),
        torch.cat([p.sampled_MF for p in parts]),
        torch.cat([p.sampled_MG for p in parts]),
    )


def _components(sampled_MF: Tensor) -> tuple[Tensor, Tensor]:
    """Return the principal components F×C of scaled features, and the features' mean.

    Components of little variance are made larger, but not as large as the others.
    """
    mean_F = sampled_MF.mean(dim=0)
    centred = sampled_MF - mean_F
    variance_F = centred.square().mean(dim=0)
    scale_F = (variance_F + 1e-3 * variance_F.mean() + 1e-9).sqrt()
    scaled = centred / scale_F
    values, vectors = torch.linalg.eigh(scaled.T @ scaled / len(scaled))
    count = min(_COMPONENTS, len(values))
    values, vectors = values[-count:].clamp_min(0).sqrt(), vectors[:, -count:]
    basis = vectors / (values + 0.3 * values[-1] + 1e-6)
    return basis / scale_F.unsqueeze(1), mean_F


def _weights(rows: PixelRows) -> Tensor:
    """Weigh each class that was painted alike; the weights sum to 1."""
    mass_NK = rows.shares_NK * rows.area_N.unsqueeze(1)
    total_K = mass_NK.sum(dim=0)
    return mass_NK / total_K.clamp_min(1e-9) / max(1, int((total_K > 0).sum()))


def _enlarged(grid: Tensor, size: torch.Size) -> Tensor:
    while grid.shape[2] < size[0]:
        grid = functional.interpolate(grid, scale_factor=2, mode="bilinear")
    return grid
