"""A small classifier of pixels on what a frozen network and local filters say of them.

A network that was trained on photographs knows what a car's place in a street is, but not
the grain of a micrograph; filters of the neighbourhood know that and nothing else. The
classifier takes both: the network's own logits, a linear map of all features, and one hidden
layer, since a class may be of several colours. Everything but its inputs is learned anew at
each stroke, from the same start, so that taking a stroke back takes its effect back.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mdlstm_core.kernels.threads import one_thread
from mdlstm_core.learning.experts import (
    AllRows,
    ClassifierOptions,
    PixelRows,
    mix,
    solve,
    with_one,
)

_MOST_ROWS, _MOST_SAMPLES = 1500, 1500
"""Of all images together: with more, a fit takes longer than a person waits."""

_COMPONENTS = 48
"""Directions of the network's features in which images differ most; the others are noise
to a classifier that has seen a handful of strokes."""


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
        flat_JN = sum_JHW.flatten(1).addmm_(self._local_JG, local_GHW.flatten(1))
        classes = len(self._out_KU)
        logits = torch.addmm(flat_JN[:classes], self._out_KU, flat_JN[classes:].relu_())
        return logits.unflatten(1, size)

    def _parts(self, features: tuple[Tensor, ...]) -> list[Tensor]:
        """Return each level's share of the linear maps: they and enlarging can change places."""
        parts, first = [], 0
        for feature in features:
            count = feature.shape[1]
            weight = self._deep_JF[:, first : first + count]
            bias = self._bias_J if first == 0 else None  # of a pixel's sum, once
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
def fit(images: Sequence[PixelRows], old_KF: Tensor, options: ClassifierOptions) -> PixelClassifier:
    """Return a classifier that fits the labeled pixels of some images.

    Args:
        images: what to learn; a class counts as the root of its area.
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
    inputs_DN = with_one(inputs_NC)
    experts = solve(inputs_DN, components, start_NK, rows, options)
    maps_JD, out_KU = mix(experts, start_NK, inputs_DN, rows)
    deep_JF = maps_JD[:, :components] @ basis_FC.T
    local_JG = maps_JD[:, components:-1] / local_scale_G
    bias_J = maps_JD[:, -1] - deep_JF @ mean_F - local_JG @ local_mean_G
    deep_JF[:classes] += old_KF[:, :-1]
    bias_J[:classes] += old_KF[:, -1]
    return PixelClassifier(deep_JF, local_JG, bias_J, out_KU)


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
