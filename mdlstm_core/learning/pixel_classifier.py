"""A small classifier of pixels on what a frozen network and local filters say of them.

A network that was trained on photographs knows what a car's place in a street is, but not
the grain of a micrograph; filters of the neighbourhood know that and nothing else. The
classifier takes both: the network's own logits, a linear map of all features, and one hidden
layer, since a class may be of several colours. Everything but its inputs is learned anew at
each stroke, from the same start, so that taking a stroke back takes its effect back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

_MOST_ROWS, _MOST_SAMPLES = 1500, 1500
"""Of all images together: with more, a fit takes longer than a person waits."""

_COMPONENTS = 48
"""Directions of the network's features in which images differ most; the others are noise
to a classifier that has seen a handful of strokes."""


@dataclass(frozen=True)
class ClassifierOptions:
    """How to fit.

    Attributes:
        hidden: units of each expert's hidden layer.
        hold: how strongly the weights of the expert that sees all features are held to zero,
            and with it to what the network says.
        hold_local: how strongly those of the expert that sees the local ones alone.
        trust: how much of the network's own logits counts, 0 to 1.
        steps: of Adam.
        learning_rate: of its first half; then it falls to zero.
    """

    hidden: int = 24
    hold: float = 1e-2
    hold_local: float = 1e-3
    trust: float = 0.5
    steps: int = 45
    learning_rate: float = 0.03


@dataclass(frozen=True)
class PixelRows:
    """What a fit needs of an image.

    Attributes:
        deep_NF: the network's features of labeled pixels.
        local_NG: their local features.
        shares_NK: what share of each one's labels each class has.
        area_N: how much of it is labeled, above 0.
        stroke_N: the stroke that it is of, counted from 0.
        sampled_MF, sampled_MG: the features of pixels all over the image.
    """

    deep_NF: Tensor
    local_NG: Tensor
    shares_NK: Tensor
    area_N: Tensor
    stroke_N: Tensor
    sampled_MF: Tensor
    sampled_MG: Tensor

    def every(self, labeled: int, sampled: int) -> PixelRows:
        """Return every so manyth row."""
        of_labels = (self.deep_NF, self.local_NG, self.shares_NK, self.area_N, self.stroke_N)
        return PixelRows(
            *(t[::labeled] for t in of_labels),
            self.sampled_MF[::sampled],
            self.sampled_MG[::sampled],
        )


@dataclass(frozen=True)
class _AllRows(PixelRows):
    """The rows of all images; `image_N` is which one each labeled pixel is of."""

    image_N: Tensor


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


def features_at(
    levels: Sequence[Tensor], working: tuple[int, int], pixels_N: Tensor, size: tuple[int, int]
) -> Tensor:
    """Return the features of some pixels, N×F, of all levels side by side.

    Args:
        levels: 1×F×r×c each.
        working: height and width of the image that the levels are of.
        pixels_N: row times width plus column of each pixel.
        size: height and width of the grid of pixels.
    """
    places_N2 = torch.stack([pixels_N % size[1], pixels_N // size[1]], dim=1) + 0.5
    share_N2 = places_N2 / torch.tensor([size[1], size[0]])
    found = []
    for level in levels:
        rows, columns = level.shape[2:]
        stride = -(-working[0] // rows)
        # A grid may reach over the image's right and lower border.
        reach = torch.tensor([working[1] / (stride * columns), working[0] / (stride * rows)])
        grid = (2 * share_N2 * reach - 1)[None, None]
        sampled = functional.grid_sample(
            level.float(), grid.float(), padding_mode="border", align_corners=False
        )
        found.append(sampled[0, :, 0].T)
    return torch.cat(found, dim=1)


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
    components, classes = basis_FC.shape[1], len(old_KF)
    experts = _solved(inputs_NC, components, start_NK, rows, options)
    maps_JC, bias_J, out_KU = _mixed(experts, start_NK, inputs_NC, rows)
    deep_JF = maps_JC[:, :components] @ basis_FC.T
    local_JG = maps_JC[:, components:] / local_scale_G
    bias_J = bias_J - deep_JF @ mean_F - local_JG @ local_mean_G
    deep_JF[:classes] += old_KF[:, :-1]
    bias_J[:classes] += old_KF[:, -1]
    return PixelClassifier(deep_JF, local_JG, bias_J, out_KU)


@dataclass(frozen=True)
class _Experts:
    """Experts E, learned from different strokes S: from all, and from each half.

    Attributes:
        direct_SEKC: from the inputs to the classes.
        hidden_SEUC: from the inputs to the hidden units.
        bias_SEK, bias_SEU: of both.
        out_SEKU: from the hidden units to the classes.
    """

    direct_SEKC: Tensor
    hidden_SEUC: Tensor
    bias_SEK: Tensor
    bias_SEU: Tensor
    out_SEKU: Tensor

    def added(self, inputs_NC: Tensor) -> Tensor:
        """Return what each adds to the network's own logits: S×E×N×K."""
        direct = functional.linear(inputs_NC, self.direct_SEKC.flatten(0, 2))
        hidden = functional.linear(inputs_NC, self.hidden_SEUC.flatten(0, 2))
        direct_SENK = direct.unflatten(1, self.bias_SEK.shape).permute(1, 2, 0, 3)
        hidden_SENU = hidden.unflatten(1, self.bias_SEU.shape).permute(1, 2, 0, 3)
        active = (hidden_SENU + self.bias_SEU.unsqueeze(2)).relu()
        return direct_SENK + self.bias_SEK.unsqueeze(2) + active @ self.out_SEKU.mT


_STROKES, _EXPERTS = 3, 2
"""Axes S and E of `_Experts`."""


def _solved(
    inputs_NC: Tensor,
    components: int,
    start_NK: Tensor,
    rows: _AllRows,
    options: ClassifierOptions,
) -> _Experts:
    """Return the experts: the first one sees all inputs, the second none of the components."""
    # A generator of its own: the same strokes give the same answer.
    generator = torch.Generator().manual_seed(0)
    count, classes, units = inputs_NC.shape[1], start_NK.shape[1], options.hidden
    sees_EC = torch.ones(_EXPERTS, count)
    sees_EC[1, :components] = 0
    drawn = torch.randn(_EXPERTS, units, count, generator=generator)
    drawn *= 1.5 / sees_EC.sum(dim=1)[:, None, None].sqrt()
    biases = 0.5 * torch.randn(_EXPERTS, units, generator=generator)
    axes = (_STROKES, _EXPERTS)
    experts = _Experts(
        torch.zeros(*axes, classes, count).requires_grad_(),
        drawn.expand(_STROKES, *drawn.shape).clone().requires_grad_(),
        torch.zeros(*axes, classes).requires_grad_(),
        biases.expand(_STROKES, *biases.shape).clone().requires_grad_(),
        torch.zeros(*axes, classes, units).requires_grad_(),
    )
    weight_SNK = _smoothed(torch.stack([_weights(rows, kept) for kept in _kept(rows)]))
    hold_E = torch.tensor([options.hold, options.hold_local])
    parameters = list(vars(experts).values())
    optimizer = torch.optim.Adam(parameters, lr=options.learning_rate)
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * min(1.0, 2 - 2 * step / options.steps)
        seen = _seen(experts, sees_EC)
        log_SENK = functional.log_softmax(start_NK + seen.added(inputs_NC), dim=3)
        loss = -(weight_SNK.unsqueeze(1) * log_SENK).sum()
        held_SE = (
            seen.direct_SEKC.square().sum(dim=(2, 3))
            + seen.out_SEKU.square().sum(dim=(2, 3))
            + 0.1 * seen.hidden_SEUC.square().sum(dim=(2, 3))
        )
        optimizer.zero_grad()
        (loss + (hold_E * held_SE).sum()).backward()
        optimizer.step()
    return _Experts(*(t.detach() for t in vars(_seen(experts, sees_EC)).values()))


def _smoothed(weight_SNK: Tensor) -> Tensor:
    """Give a little of each row's weight to the other classes that were painted.

    Nobody is quite sure, and numbers of no size at all take the processor long.
    """
    painted_S1K = weight_SNK.sum(dim=1, keepdim=True) > 0
    even = painted_S1K / painted_S1K.sum(dim=2, keepdim=True).clamp_min(1)
    return 0.98 * weight_SNK + 0.02 * weight_SNK.sum(dim=2, keepdim=True) * even


def _seen(experts: _Experts, sees_EC: Tensor) -> _Experts:
    """Return the experts without the weights of what they do not see."""
    sees_E1C = sees_EC.unsqueeze(1)
    return replace(
        experts,
        direct_SEKC=experts.direct_SEKC * sees_E1C,
        hidden_SEUC=experts.hidden_SEUC * sees_E1C,
    )


def _mixed(
    experts: _Experts, start_NK: Tensor, inputs_NC: Tensor, rows: _AllRows
) -> tuple[Tensor, Tensor, Tensor]:
    """Return linear maps J×C, their bias J and the units' weights K×U of the best mixture.

    Best is the one that gives the strokes of each half the highest probability when it was
    learned from the other half.
    """
    is_known = bool((start_NK.std(dim=0, correction=0) > 1e-6).any())
    share = _share_of_first(experts, start_NK, inputs_NC, rows, _SHARES[is_known])
    parts_E = torch.tensor([share, 1 - share])[:, None, None]
    direct_KC = (parts_E * experts.direct_SEKC[0]).sum(dim=0)
    bias_K = (parts_E[..., 0] * experts.bias_SEK[0]).sum(dim=0)
    out_KU = (parts_E * experts.out_SEKU[0]).transpose(0, 1).flatten(1)
    hidden_UC = experts.hidden_SEUC[0].flatten(0, 1)
    return (
        torch.cat([direct_KC, hidden_UC]),
        torch.cat([bias_K, experts.bias_SEU[0].flatten()]),
        out_KU,
    )


@torch.no_grad()
def _share_of_first(
    experts: _Experts,
    start_NK: Tensor,
    inputs_NC: Tensor,
    rows: _AllRows,
    shares: tuple[float, ...],
) -> float:
    added_SENK = experts.added(inputs_NC)
    kept_SN = _kept(rows)
    losses = torch.zeros(len(shares))
    for half in (1, 2):
        weight_NK = _weights(rows, ~kept_SN[half])
        known_K = _weights(rows, kept_SN[half]).any(dim=0)
        weight_NK = weight_NK * known_K  # of a class that it did not learn, it knows nothing
        for place, share in enumerate(shares):
            logits = start_NK + share * added_SENK[half, 0] + (1 - share) * added_SENK[half, 1]
            losses[place] -= (weight_NK * functional.log_softmax(logits, dim=1)).sum()
    if not losses.any():
        return shares[1]
    return shares[int(losses.argmin())]


_SHARES = ((0.0, 0.25, 0.5), (0.5, 0.75, 1.0))
"""Of the expert that sees all, where the network knows none of the classes, and where some.

Without that, few strokes mislead: they lie where one of the experts was wrong.
"""


def _kept(rows: _AllRows) -> Tensor:
    """Return which rows are learned from: all, those of one half of the groups, and the other.

    Groups are images, since what is true of an image's strokes may be true of that image
    alone; where only one has strokes, they are its strokes, every other one of each class.
    """
    groups, group_N = torch.unique(rows.image_N, return_inverse=True)
    even_G = torch.arange(len(groups)) % 2 == 0
    if len(groups) == 1:
        label_N = rows.shares_NK.argmax(dim=1)
        groups, group_N = torch.unique(rows.stroke_N, return_inverse=True)
        label_G = torch.zeros(len(groups), dtype=torch.long).scatter_(0, group_N, label_N)
        even_G = torch.zeros(len(groups), dtype=torch.bool)
        for label in label_G.unique():
            even_G[(label_G == label).nonzero().flatten()[::2]] = True
    even_N = even_G[group_N]
    return torch.stack([torch.ones_like(even_N), even_N, ~even_N])


def _joined(images: Sequence[PixelRows]) -> _AllRows:
    """Return the rows of all images, every n-th so that there are not too many."""
    labeled = -(-sum(len(image.area_N) for image in images) // _MOST_ROWS) or 1
    sampled = -(-sum(len(image.sampled_MF) for image in images) // _MOST_SAMPLES) or 1
    parts = [image.every(labeled, sampled) for image in images]
    joined = (
        torch.cat(tensors) for tensors in zip(*(vars(p).values() for p in parts), strict=True)
    )
    image_N = torch.repeat_interleave(torch.tensor([len(p.area_N) for p in parts]))
    return _AllRows(*joined, image_N)


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


def _weights(rows: PixelRows, kept_N: Tensor) -> Tensor:
    """Weigh each class of some rows alike; the weights sum to 1, or to 0 if there are none."""
    mass_NK = rows.shares_NK * (rows.area_N * kept_N).unsqueeze(1)
    total_K = mass_NK.sum(dim=0)
    return mass_NK / total_K.clamp_min(1e-9) / max(1, int((total_K > 0).sum()))


def _enlarged(grid: Tensor, size: torch.Size) -> Tensor:
    while grid.shape[2] < size[0]:
        grid = functional.interpolate(grid, scale_factor=2, mode="bilinear")
    return grid
