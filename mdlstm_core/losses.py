"""Losses on label maps in which most pixels may have no label."""

from __future__ import annotations

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
    height, width = labels_BHW.shape[1:]
    padded = functional.pad(
        labels_BHW, (0, -width % stride, 0, -height % stride), value=IGNORE_INDEX
    )
    labeled = padded != IGNORE_INDEX
    one_hot = functional.one_hot(padded.where(labeled, classes).long(), classes + 1)
    shares = functional.avg_pool2d(one_hot[..., :classes].permute(0, 3, 1, 2).float(), stride)
    area = shares.sum(dim=1)
    return shares / area.clamp_min(1e-9).unsqueeze(1), area


def soft_cross_entropy(logits_BKhw: Tensor, shares_BKhw: Tensor, weight_Bhw: Tensor) -> Tensor:
    """Return the cross-entropy against class shares, averaged with the cells' weights.

    Zero, with a gradient of zero, where all weights are zero.
    """
    log_probability = functional.log_softmax(logits_BKhw.float(), dim=1)
    entropy_Bhw = -(shares_BKhw * log_probability).sum(dim=1)
    return (entropy_Bhw * weight_Bhw).sum() / weight_Bhw.sum().clamp_min(1e-9)
