"""Rows of labeled pixels that Live learns from: how much each counts, and how they are halved.

N: labeled pixels, M: pixels all over the images; F: features of the network, G: local ones, D: all
inputs of a classifier and a 1; K: classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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


def halves(rows: AllRows) -> Tensor:
    """Return which rows are of one half of the groups, and which of the other: 2×N.

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
    return torch.stack([even_N, ~even_N])


def row_weights(rows: PixelRows, kept_N: Tensor | None = None) -> Tensor:
    """Return how much each row counts for each class, N×K; all together sum to 1, or to 0.

    A class counts as the root of its area.

    Between counting pixels, which forgets a thin structure, and counting classes alike, which
    finds it everywhere.

    Args:
        rows: labeled pixels.
        kept_N: which of them count, all if None.
    """
    area_N = rows.area_N if kept_N is None else rows.area_N * kept_N
    mass_NK = rows.shares_NK * area_N.unsqueeze(1)
    total_K = mass_NK.sum(dim=0)
    root_K = total_K.sqrt()
    return mass_NK / total_K.clamp_min(1e-9) * (root_K / root_K.sum().clamp_min(1e-9))


def lessons_and_tests(rows: AllRows) -> list[tuple[Tensor, Tensor]]:
    """Return how much rows count, N×K, to learn from each half and to test with the other one.

    Of a class that was not learned nothing is tested.
    """
    halves_2N = halves(rows)
    lessons = [row_weights(rows, kept_N) for kept_N in halves_2N]
    tests = [row_weights(rows, ~kept_N) for kept_N in halves_2N]
    pairs = zip(lessons, tests, strict=True)
    return [(lesson_NK, test_NK * lesson_NK.any(dim=0)) for lesson_NK, test_NK in pairs]


def with_one(inputs_NC: Tensor) -> Tensor:
    """Return the inputs of each row with a 1 at their end, D×N."""
    return torch.cat([inputs_NC, inputs_NC.new_ones(len(inputs_NC), 1)], dim=1).T.contiguous()
