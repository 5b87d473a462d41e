"""Two experts that learn a person's strokes, and how much each of them counts.

One sees what a network says of a pixel and what its neighbourhood looks like, the other the
neighbourhood alone. Each is a linear map and a hidden layer, added to the network's logits.
They learn three times at once: from all strokes, and from each half of them, for the other
half says which one to trust.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mdlstm_core.learning.rows import AllRows, halves, lessons_and_tests, row_weights


@dataclass(frozen=True)
class ClassifierOptions:
    """How to fit.

    Attributes:
        hidden: units of each expert's hidden layer.
        hold: how strongly the weights of both experts are held to zero, and with them what is
            found to what the network says.
        hold_first: how strongly at first, since the first strokes lie where things are plain.
        few: up to so many strokes, or a few more; then less, soon as above.
        trust: how much of the network's own logits counts, 0 to 1.
        steps: of Adam.
        learning_rate: of its first half; then it falls to zero.
    """

    hidden: int = 24
    hold: float = 0.1
    hold_first: float = 0.5
    few: int = 20
    trust: float = 0.5
    steps: int = 45
    learning_rate: float = 0.03


@dataclass(frozen=True)
class Experts:
    """Experts E, learned from different strokes S: from one half, from all, from the other half.

    Attributes:
        maps_SEJD: from the inputs, with a 1 at their end, to the K classes and, after these,
            to the hidden units.
        out_SEKU: from the hidden units to the classes.
    """

    maps_SEJD: Tensor
    out_SEKU: Tensor

    def of(self, strokes: slice) -> Experts:
        """Return those that learned from some of S; they share memory with these."""
        return Experts(self.maps_SEJD[strokes], self.out_SEKU[strokes])

    def added(self, inputs_DN: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each adds to the network's own logits, S×E×K×N, and its units, S×E×U×N."""
        flat = self.maps_SEJD.flatten(0, 2) @ inputs_DN
        mapped_SEJN = flat.unflatten(0, self.maps_SEJD.shape[:3])
        classes = self.out_SEKU.shape[2]
        hidden_SEUN = mapped_SEJN[:, :, classes:].relu_()
        return mapped_SEJN[:, :, :classes] + self.out_SEKU @ hidden_SEUN, hidden_SEUN


_STROKES, _EXPERTS = 3, 2
"""Axes S and E of `Experts`."""

_ALL, _HALVES = 1, (0, 2)
"""Places on axis S."""

_LEARNERS = slice(0, 2), slice(1, 3)
"""Which of axis S learn from the rows of one half, and which from the other's."""


@dataclass(frozen=True)
class _Half:
    """What is learned from the rows of one half of the strokes, by two of axis S: T.

    Attributes:
        inputs_DN: of each row, with a 1 at the end.
        start_KN: the network's own logits.
        weight_T1KN: how much each row counts for each class.
    """

    inputs_DN: Tensor
    start_KN: Tensor
    weight_T1KN: Tensor

    def add_slope(self, at: Experts, slope: Experts) -> None:
        """Add the derivatives of these rows' loss to `slope`."""
        added_TEKN, hidden_TEUN = at.added(self.inputs_DN)
        sure_TEKN = (added_TEKN + self.start_KN).softmax(dim=2)
        wrong_TEKN = sure_TEKN * self.weight_T1KN.sum(dim=2, keepdim=True) - self.weight_T1KN
        slope.out_SEKU.add_(wrong_TEKN @ hidden_TEUN.mT)
        back_TEUN = (at.out_SEKU.mT @ wrong_TEKN).mul_(hidden_TEUN > 0)
        back_TEJN = torch.cat([wrong_TEKN, back_TEUN], dim=2)
        by_map = back_TEJN.flatten(0, 2) @ self.inputs_DN.T
        slope.maps_SEJD.add_(by_map.view_as(slope.maps_SEJD))


@dataclass(frozen=True)
class _Lesson:
    """What is learned, by gradients that are spelt out: autograd would take twice as long.

    Attributes:
        halves: one half of the strokes and the other. From either, two of axis S learn, which
            stand side by side there: the half alone, and all.
        sees_E1D: which inputs an expert sees, 0 or 1.
        pull_EJD, pull_E11: how strongly the weights of `Experts` are drawn to zero.
    """

    halves: tuple[_Half, _Half]
    sees_E1D: Tensor
    pull_EJD: Tensor
    pull_E11: Tensor

    def slope(self, at: Experts, slope: Experts) -> None:
        """Write the loss's derivatives by the weights into `slope`."""
        torch.mul(self.pull_E11, at.out_SEKU, out=slope.out_SEKU)
        torch.mul(self.pull_EJD, at.maps_SEJD, out=slope.maps_SEJD)
        for half, learners in zip(self.halves, _LEARNERS, strict=True):
            half.add_slope(at.of(learners), slope.of(learners))
        slope.maps_SEJD.mul_(self.sees_E1D)


@torch.no_grad()
def solve(
    inputs_DN: Tensor,
    components: int,
    start_NK: Tensor,
    rows: AllRows,
    options: ClassifierOptions,
) -> Experts:
    """Return the experts: the first one sees all inputs, the second none of the components."""
    classes, size = start_NK.shape[1], len(inputs_DN)
    sees_E1D = torch.ones(_EXPERTS, 1, size)
    sees_E1D[1, :, :components] = 0
    lesson = _lesson(inputs_DN, sees_E1D, start_NK, rows, options)
    # One tensor of all weights: the optimizer takes as long for each, however small.
    axes = _STROKES, _EXPERTS
    shapes = (*axes, classes + options.hidden, size), (*axes, classes, options.hidden)
    weights, slope = (torch.zeros(sum(map(math.prod, shapes))) for _ in range(2))
    experts, slopes = _parts(weights, shapes), _parts(slope, shapes)
    experts.maps_SEJD[:, :, classes:] = _drawn(sees_E1D, options.hidden)
    weights.grad = slope
    optimizer = torch.optim.Adam([weights], lr=options.learning_rate)
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * min(1.0, 2 - 2 * step / options.steps)
        lesson.slope(experts, slopes)
        optimizer.step()
    return experts


def _parts(flat: Tensor, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> Experts:
    """Return a flat tensor's two parts, which share its memory."""
    first = math.prod(shapes[0])
    return Experts(flat[:first].view(shapes[0]), flat[first:].view(shapes[1]))


def _drawn(sees_E1D: Tensor, units: int) -> Tensor:
    """Return the maps to the hidden units before learning: E×U×D."""
    # A generator of its own: the same strokes give the same answer.
    generator = torch.Generator().manual_seed(0)
    count = sees_E1D.shape[2] - 1
    drawn_EUC = torch.randn(_EXPERTS, units, count, generator=generator)
    drawn_EUC *= 1.5 / (sees_E1D.sum(dim=2, keepdim=True) - 1).sqrt()
    biases_EU = 0.5 * torch.randn(_EXPERTS, units, generator=generator)
    return torch.cat([drawn_EUC, biases_EU.unsqueeze(2)], dim=2) * sees_E1D


def _lesson(
    inputs_DN: Tensor,
    sees_E1D: Tensor,
    start_NK: Tensor,
    rows: AllRows,
    options: ClassifierOptions,
) -> _Lesson:
    one_N, other_N = halves(rows)
    learned = one_N, one_N | other_N, other_N
    weight_SNK = _smoothed(torch.stack([row_weights(rows, kept_N) for kept_N in learned]))

    def half(kept_N: Tensor, learners: slice) -> _Half:
        weight_T1KN = weight_SNK[learners, kept_N].mT.unsqueeze(1).contiguous()
        return _Half(inputs_DN[:, kept_N], start_NK[kept_N].T.contiguous(), weight_T1KN)

    # Twice, as the derivative of a square is; less of drawn weights, and none of biases.
    pull_E11 = 2 * _hold(rows, options)[:, None, None]
    pull_EJD = pull_E11.repeat(1, start_NK.shape[1] + options.hidden, len(inputs_DN))
    pull_EJD[:, start_NK.shape[1] :] *= 0.1
    pull_EJD[..., -1] = 0
    both = half(one_N, _LEARNERS[0]), half(other_N, _LEARNERS[1])
    return _Lesson(both, sees_E1D, pull_EJD, pull_E11)


def _hold(rows: AllRows, options: ClassifierOptions) -> Tensor:
    """Return how strongly each expert is held."""
    strokes = torch.unique(torch.stack([rows.image_N, rows.stroke_N]), dim=1).shape[1]
    plain = options.few / strokes
    # The second expert must soon tell apart what the first strokes did not show.
    return torch.tensor([plain, plain**6]).clamp(options.hold, options.hold_first)


def _smoothed(weight_SNK: Tensor) -> Tensor:
    """Give a little of each row's weight to the other classes that were painted.

    Nobody is quite sure, and numbers of no size at all take the processor long.
    """
    painted_S1K = weight_SNK.sum(dim=1, keepdim=True) > 0
    even = painted_S1K / painted_S1K.sum(dim=2, keepdim=True).clamp_min(1)
    return 0.98 * weight_SNK + 0.02 * weight_SNK.sum(dim=2, keepdim=True) * even


def mix(experts: Experts, share: float) -> tuple[Tensor, Tensor]:
    """Return linear maps J×D of a mixture, and the units' weights K×U.

    Args:
        experts: what is mixed.
        share: of the first one, 0 to 1.
    """
    parts_E11 = torch.tensor([share, 1 - share])[:, None, None]
    maps_EJD, out_EKU = experts.maps_SEJD[_ALL], experts.out_SEKU[_ALL]
    classes = out_EKU.shape[1]
    direct_KD = (parts_E11 * maps_EJD[:, :classes]).sum(dim=0)
    hidden_UD = maps_EJD[:, classes:].flatten(0, 1)
    out_KU = (parts_E11 * out_EKU).transpose(0, 1).flatten(1)
    return torch.cat([direct_KD, hidden_UD]), out_KU


@torch.no_grad()
def share_of_first(
    experts: Experts, start_NK: Tensor, inputs_DN: Tensor, rows: AllRows, is_known: bool
) -> float:
    """Return how much the first expert should count, 0 to 1.

    With this share, the strokes of each half have the highest probability by what was learned
    from the other half.

    Args:
        experts: what was learned.
        start_NK: the network's own logits.
        inputs_DN: what the experts see of each row.
        rows: the strokes.
        is_known: whether the network knows any of the classes.
    """
    shares = _SHARES[is_known]
    losses = torch.zeros(len(shares))
    for half, (_, weight_NK) in zip(_HALVES, lessons_and_tests(rows), strict=True):
        first_NK, second_NK = experts.of(slice(half, half + 1)).added(inputs_DN)[0][0].mT
        for place, share in enumerate(shares):
            logits = start_NK + share * first_NK + (1 - share) * second_NK
            losses[place] -= (weight_NK * functional.log_softmax(logits, dim=1)).sum()
    if not losses.any():
        return shares[1]
    return shares[int(losses.argmin())]


_SHARES = ((0.5, 0.75), (0.5, 0.75, 1.0))
"""Of the expert that sees all, where the network knows none of the classes, and where some.

Never less than half, and not alone where the classes are new: few strokes mislead, for they lie
where one of the experts was wrong.
"""
