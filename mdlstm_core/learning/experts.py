"""Two experts that learn a person's strokes, and how much each of them counts.

One sees what a network says of a pixel and what its neighbourhood looks like, the other the
neighbourhood alone. Each is a linear map and a hidden layer, added to the network's logits.
They learn three times at once: from all strokes, and from each half of them, for the other
half says which one to trust.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class ClassifierOptions:
    """How to fit.

    Attributes:
        hidden: units of each expert's hidden layer.
        hold: how strongly the weights of the expert that sees all features are held to zero,
            and with it to what the network says.
        hold_local: how strongly those of the expert that sees the local ones alone.
        few: up to so many strokes both are held at strength 1, for the first ones lie where
            things are plain; from then on less, soon as above.
        trust: how much of the network's own logits counts, 0 to 1.
        steps: of Adam.
        learning_rate: of its first half; then it falls to zero.
    """

    hidden: int = 24
    hold: float = 0.1
    hold_local: float = 0.01
    few: int = 20
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
        return PixelRows(
            self.deep_NF[::labeled],
            self.local_NG[::labeled],
            self.shares_NK[::labeled],
            self.area_N[::labeled],
            self.stroke_N[::labeled],
            self.sampled_MF[::sampled],
            self.sampled_MG[::sampled],
        )


@dataclass(frozen=True)
class AllRows(PixelRows):
    """The rows of all images; `image_N` is which one each labeled pixel is of."""

    image_N: Tensor


@dataclass(frozen=True)
class Experts:
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
"""Axes S and E of `Experts`."""


def solve(
    inputs_NC: Tensor,
    components: int,
    start_NK: Tensor,
    rows: AllRows,
    options: ClassifierOptions,
) -> Experts:
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
    experts = Experts(
        torch.zeros(*axes, classes, count).requires_grad_(),
        drawn.expand(_STROKES, *drawn.shape).clone().requires_grad_(),
        torch.zeros(*axes, classes).requires_grad_(),
        biases.expand(_STROKES, *biases.shape).clone().requires_grad_(),
        torch.zeros(*axes, classes, units).requires_grad_(),
    )
    weight_SNK = _smoothed(torch.stack([_weights(rows, kept) for kept in _kept(rows)]))
    hold_E = _hold(rows, options)
    parameters = list(vars(experts).values())
    optimizer = torch.optim.Adam(parameters, lr=options.learning_rate)
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * min(1.0, 2 - 2 * step / options.steps)
        seen = _seen(experts, sees_EC)
        log_SENK = functional.log_softmax(start_NK + seen.added(inputs_NC), dim=3)
        loss = -(weight_SNK.unsqueeze(1) * log_SENK).sum()
        optimizer.zero_grad()
        (loss + (hold_E * _held(seen)).sum()).backward()
        optimizer.step()
    return Experts(*(t.detach() for t in vars(_seen(experts, sees_EC)).values()))


def _hold(rows: AllRows, options: ClassifierOptions) -> Tensor:
    """Return how strongly each expert is held."""
    strokes = torch.unique(torch.stack([rows.image_N, rows.stroke_N]), dim=1).shape[1]
    plain = min(1.0, options.few / strokes)
    # The second expert must soon tell apart what the first strokes did not show.
    return torch.tensor([max(options.hold, plain), max(options.hold_local, plain**6)])


def _held(seen: Experts) -> Tensor:
    """Return how large each expert's weights are, S×E; less of it for drawn ones."""
    return (
        seen.direct_SEKC.square().sum(dim=(2, 3))
        + seen.out_SEKU.square().sum(dim=(2, 3))
        + 0.1 * seen.hidden_SEUC.square().sum(dim=(2, 3))
    )


def _smoothed(weight_SNK: Tensor) -> Tensor:
    """Give a little of each row's weight to the other classes that were painted.

    Nobody is quite sure, and numbers of no size at all take the processor long.
    """
    painted_S1K = weight_SNK.sum(dim=1, keepdim=True) > 0
    even = painted_S1K / painted_S1K.sum(dim=2, keepdim=True).clamp_min(1)
    return 0.98 * weight_SNK + 0.02 * weight_SNK.sum(dim=2, keepdim=True) * even


def _seen(experts: Experts, sees_EC: Tensor) -> Experts:
    """Return the experts without the weights of what they do not see."""
    sees_E1C = sees_EC.unsqueeze(1)
    return replace(
        experts,
        direct_SEKC=experts.direct_SEKC * sees_E1C,
        hidden_SEUC=experts.hidden_SEUC * sees_E1C,
    )


def mix(
    experts: Experts, start_NK: Tensor, inputs_NC: Tensor, rows: AllRows
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
    experts: Experts,
    start_NK: Tensor,
    inputs_NC: Tensor,
    rows: AllRows,
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


def _kept(rows: AllRows) -> Tensor:
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


def _weights(rows: PixelRows, kept_N: Tensor) -> Tensor:
    """Weigh each class of some rows by the root of its area; the weights sum to 1, or to 0.

    Between counting pixels, which forgets a thin structure, and counting classes alike, which
    finds it everywhere.
    """
    mass_NK = rows.shares_NK * (rows.area_N * kept_N).unsqueeze(1)
    total_K = mass_NK.sum(dim=0)
    root_K = total_K.sqrt()
    return mass_NK / total_K.clamp_min(1e-9) * (root_K / root_K.sum().clamp_min(1e-9))
