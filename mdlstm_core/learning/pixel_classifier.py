"""A small classifier of pixels on what a frozen network and local filters say of them.

A network that was trained on photographs knows what a car's place in a street is, but not
the look of a micrograph; filters of the neighbourhood know that and nothing else. The
classifier takes both: the network's own logits, a linear map of all features, one hidden
layer, since a class may be of several colours, and trees for new classes. Everything but its
inputs is learned anew at each stroke, from the same start, so that taking a stroke back takes
its effect back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mdlstm_core.kernels.threads import one_thread
from mdlstm_core.learning.experts import ClassifierOptions, mix, share_of_first, solve
from mdlstm_core.learning.grain import weight_of_grain, without_grain
from mdlstm_core.learning.local_features import Filters
from mdlstm_core.learning.rows import AllRows, PixelRows, row_weights, with_one
from mdlstm_core.learning.surroundings import weigh_surroundings
from mdlstm_core.learning.trees import Trees, grow

_MOST_ROWS, _MOST_SAMPLES = 1500, 1500
"""Of all images together: with more, a fit takes longer than a person waits."""

_PIXELS = 1 << 13
"""That are labeled together: what lies between takes no memory of the whole image's size."""

_COMPONENTS = 48
"""Directions of the network's features in which images differ most; the others are noise
to a classifier that has seen a handful of strokes."""

_TEMPERATURES = 0.35, 0.6
"""Of a classifier's logits, where the network knows none of the painted classes, and all.

Weights that are held to zero, half of the network's own logits and the mean of experts and trees
say too little: of membranes of which 85 % were right they were 67 % sure. The strokes themselves
cannot tell how much too little, since corrections lie where the classifier was wrong.
"""


class PixelClassifier:
    """Gives logits of pixels; made by `fit`.

    Args:
        temperature: that all logits are divided by at the end.
        deep_MF: of the features, weights of the C components and of the K logits of the
            network's own, M = C + K.
        deep_bias_M: what is added.
        maps_JI: of the components and the local features, I = C + G, weights of the classes and
            the hidden units, J = K + hidden.
        bias_J: what is added.
        out_KU: from the hidden units, the last of the J, to the K classes, the first.
        trees: that count beside these, None if there are none.
    """

    def __init__(
        self,
        temperature: float,
        deep_MF: Tensor,
        deep_bias_M: Tensor,
        maps_JI: Tensor,
        bias_J: Tensor,
        out_KU: Tensor,
        trees: Trees | None,
    ) -> None:
        self._temperature = temperature
        self._deep_MF, self._deep_bias_M = deep_MF, deep_bias_M
        self._maps_JI, self._bias_J, self._out_KU = maps_JI, bias_J, out_KU
        self._trees = trees

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
        size = int(local_GHW.shape[1]), int(local_GHW.shape[2])
        classes = len(self._out_KU)
        components = len(self._deep_MF) - classes
        deep_MHW = at_pixels(self._parts(features), working, size)
        deep_MN = deep_MHW.flatten(1)
        deep_CN, logits_KN = deep_MN[:components], deep_MN[components:]
        local_GN = local_GHW.flatten(1)
        for first in range(0, local_GN.shape[1], _PIXELS):
            some = slice(first, first + _PIXELS)
            inputs_IN = torch.cat([deep_CN[:, some], local_GN[:, some]])
            sum_JN = torch.addmm(self._bias_J[:, None], self._maps_JI, inputs_IN)
            logits_KN[:, some] += sum_JN[:classes].addmm_(self._out_KU, sum_JN[classes:].relu_())
        logits_KHW = logits_KN.unflatten(1, size)
        if self._trees is not None:
            sure_KHW = logits_KHW.softmax(dim=0)
            blended_KHW = self._trees.blend(sure_KHW, deep_MHW[:components], local_GHW)
            logits_KHW = blended_KHW.clamp_(1e-9).log_()
        return logits_KHW.div_(self._temperature)

    def _parts(self, features: tuple[Tensor, ...]) -> list[Tensor]:
        """Return each level's share of the linear maps: they and enlarging can change places."""
        parts, first = [], 0
        for feature in features:
            count = feature.shape[1]
            weight = self._deep_MF[:, first : first + count]
            bias = self._deep_bias_M if first == 0 else None  # of a pixel's sum, once
            parts.append(functional.conv2d(feature.float(), weight[..., None, None], bias))
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
    # A little more, so that rounding leaves no row out: the grid may reach over the border.
    scale = [(1 + 1e-6) * stride * own / seen for own, seen in zip(size, working, strict=True)]
    full = functional.interpolate(total, scale_factor=scale, mode="bilinear")
    return full[0, :, : size[0], : size[1]]


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


@one_thread()
def fit(
    images: Sequence[PixelRows],
    old_KF: Tensor,
    options: ClassifierOptions,
    filters: Filters,
) -> PixelClassifier:
    """Return a classifier that fits the labeled pixels of some images.

    Args:
        images: what to learn; a class counts as the root of its area.
        old_KF: the network's own weights of its features, the bias last: K×(F + 1).
        options: how.
        filters: what the local features are. Coarse ones, and grain, count as much as the
            strokes say (see `surroundings`, `grain`); the trees do not see grain.

    Raises:
        ValueError: there are no labeled pixels.
    """
    rows = _joined(images)
    if not len(rows.area_N):
        raise ValueError("images: expected labeled pixels, given none")
    seen = _seen(rows, filters)
    old_KF = options.trust * old_KF
    start_NK = rows.deep_NF @ old_KF[:, :-1].T + old_KF[:, -1]
    inputs_DN = with_one(torch.cat([seen.deep_NC, seen.local_NG], dim=1))
    components = seen.deep_NC.shape[1]
    experts = solve(inputs_DN, components, start_NK, rows, options)
    is_new_K = ~old_KF[:, :-1].any(dim=1)
    share = share_of_first(experts, start_NK, inputs_DN, rows, not is_new_K.all())
    maps_JD, out_KU = mix(experts, share)
    local_JG = maps_JD[:, components:-1] / seen.local_scale_G
    return PixelClassifier(
        _temperature(rows, is_new_K),
        torch.cat([seen.basis_FC.T, old_KF[:, :-1]]),
        torch.cat([-seen.mean_F @ seen.basis_FC, old_KF[:, -1]]),
        torch.cat([maps_JD[:, :components], local_JG], dim=1),
        maps_JD[:, -1] - local_JG @ seen.local_mean_G,
        out_KU,
        # What is 0 everywhere divides nothing.
        grow(seen.deep_NC, without_grain(rows.local_NG, filters.grain), rows, share, is_new_K),
    )


def _temperature(rows: AllRows, is_new_K: Tensor) -> float:
    """Return what the logits are to be divided by: what lies between, by the painted classes."""
    new, known = _TEMPERATURES
    share = float(row_weights(rows).sum(dim=0)[~is_new_K].sum())
    return new + (known - new) * share


class _Seen(NamedTuple):
    """What the experts see of the rows, and how it is made.

    Attributes:
        deep_NC: (the network's features - mean_F) @ basis_FC.
        local_NG: (the local features - local_mean_G) / local_scale_G.
    """

    deep_NC: Tensor
    local_NG: Tensor
    mean_F: Tensor
    basis_FC: Tensor
    local_mean_G: Tensor
    local_scale_G: Tensor


def _seen(rows: AllRows, filters: Filters) -> _Seen:
    """Scale features by what there is of them all over the images, and by what is to count."""
    basis_FC, mean_F = _components(rows.sampled_MF)
    deep_NC = (rows.deep_NF - mean_F) @ basis_FC
    mean_G = rows.sampled_MG.mean(dim=0)
    scale_G = rows.sampled_MG.std(dim=0, correction=0) + 1e-2
    local_NG = (rows.local_NG - mean_G) / scale_G
    grain = list(filters.grain)
    weight_G, weight = weigh_surroundings(
        deep_NC, without_grain(local_NG, grain), rows, filters.scales
    )
    weight_G[grain] *= weight_of_grain(local_NG, rows, grain)
    return _Seen(
        weight * deep_NC,
        weight_G * local_NG,
        mean_F,
        weight * basis_FC,
        mean_G,
        scale_G / weight_G,
    )


def _joined(images: Sequence[PixelRows]) -> AllRows:
    """Return the rows of all images, every n-th so that there are not too many."""
    labeled = -(-sum(len(image.area_N) for image in images) // _MOST_ROWS) or 1
    sampled = -(-sum(len(image.sampled_MF) for image in images) // _MOST_SAMPLES) or 1
    parts = [image.every(labeled, sampled) for image in images]
    names = vars(parts[0])
    joined = {name: torch.cat([vars(part)[name] for part in parts]) for name in names}
    image_N = torch.repeat_interleave(torch.tensor([len(p.area_N) for p in parts]))
    return AllRows(**joined, image_N=image_N)


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


def _enlarged(grid: Tensor, size: torch.Size) -> Tensor:
    while grid.shape[2] < size[0]:
        grid = functional.interpolate(grid, scale_factor=2, mode="bilinear")
    return grid
