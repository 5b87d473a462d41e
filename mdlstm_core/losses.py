"""Losses on label maps in which most pixels may have no label."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mdlstm_core.config import IGNORE_INDEX


def class_shares(labels_BHW: Tensor, classes: int, stride: int) -> tuple[Tensor, Tensor]:
    """Return what share of each output cell's labeled pixels each class has.

    The paper's probabilistic target coding (section 3.3). A cell that reaches over the
    image's border counts the pixels inside.

    Args:
        labels_BHW: class indices, `IGNORE_INDEX` where there is none.
        classes: number of classes K.
        stride: pixels a side of a cell.

    Returns:
        shares B×K×h×w, which sum to 1 where a cell has a labeled pixel and to 0
        elsewhere; and the labeled share of each cell's area, B×h×w, 0 to 1.
    """
    batch = labels_BHW.shape[0]
    height, width = labels_BHW.shape[1:]
    padding = (0, -width % stride, 0, -height % stride)
    labels_BHW = functional.pad(labels_BHW, padding, value=IGNORE_INDEX)
    cells = labels_BHW.unflatten(2, (-1, stride)).unflatten(1, (-1, stride))
    pixels_BhwP = cells.transpose(2, 3).flatten(3).long()
    # Pixels without a label go to one class more, which is cut off again.
    index = pixels_BhwP.where(pixels_BhwP != IGNORE_INDEX, classes)
    mass = torch.zeros(batch, *index.shape[1:3], classes + 1, device=labels_BHW.device)
    mass.scatter_add_(
        3, index, torch.full((1,), 1 / stride**2, device=mass.device).expand_as(index)
    )
    shares = mass[..., :classes].permute(0, 3, 1, 2)
    area = shares.sum(dim=1)
    return shares / area.clamp_min(1e-9).unsqueeze(1), area


def pool_shares(mass_BKHW: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Pool how much of each pixel belongs to each class into cells of stride × stride.

    Args:
        mass_BKHW: 0 to 1; over the classes it sums to at most 1, and to 0 where a pixel
            has no label.
        stride: pixels a side of a cell; a cell over the border is filled up with zeros.

    Returns:
        See `class_shares`.
    """
    height, width = mass_BKHW.shape[2:]
    padded = functional.pad(mass_BKHW, (0, -width % stride, 0, -height % stride))
    pooled = functional.avg_pool2d(padded, stride)
    area = pooled.sum(dim=1)
    return pooled / area.clamp_min(1e-9).unsqueeze(1), area


def soft_cross_entropy(logits_BKhw: Tensor, shares_BKhw: Tensor, weight_Bhw: Tensor) -> Tensor:
    """Return the cross-entropy against class shares, averaged with the cells' weights.

    Zero, with a gradient of zero, where all weights are zero.
    """
    log_probability = functional.log_softmax(logits_BKhw.float(), dim=1)
    entropy_Bhw = -(shares_BKhw * log_probability).sum(dim=1)
    return (entropy_Bhw * weight_Bhw).sum() / weight_Bhw.sum().clamp_min(1e-9)


def balanced_weights(shares_BKhw: Tensor, area_Bhw: Tensor) -> Tensor:
    """Weigh cells, B×h×w, so that each class that is there counts alike, however large.

    Args:
        shares_BKhw: see `class_shares`.
        area_Bhw: the labeled share of each cell's area, 0 to 1.
    """
    mass = shares_BKhw * area_Bhw.unsqueeze(1)
    total = mass.sum(dim=(0, 2, 3), keepdim=True)
    return (mass / total.clamp_min(1e-9)).sum(dim=1)
