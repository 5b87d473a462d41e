"""What a person's labels say of a network's output cells."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mdlstm_core.losses import pool_shares
from mdlstm_core.network import LabelingNetwork


def shares_of_outputs(shares_NL: Tensor, labels: Sequence[int], outputs: Sequence[int]) -> Tensor:
    """Return shares N×K of a network's outputs, given those of labels, N×L.

    Labels that no output has are left out. Of outputs that share a label the last one gets
    its strokes.

    Args:
        shares_NL: the shares of the labels.
        labels: L of them.
        outputs: the label of each output, K of them.
    """
    place = {label: index for index, label in enumerate(outputs)}
    shares = shares_NL.new_zeros(len(shares_NL), len(outputs))
    for index, label in enumerate(labels):
        if label in place:
            shares[:, place[label]] = shares_NL[:, index]
    return shares


def cell_targets(
    corrections_HW: NDArray[np.uint8],
    labels: Sequence[int],
    image_13HW: Tensor,
    network: LabelingNetwork,
) -> tuple[Tensor, Tensor]:
    """Return class shares 1×K×h×w and labeled area 1×h×w of a network's output cells.

    Corrections are scaled to the network's working size by area and not by picking
    pixels: a thin stroke on a large photograph must not fall between them.

    Args:
        corrections_HW: the labels, at the size of the whole image.
        labels: those that count, K of them, at least one, in the order of the shares.
        image_13HW: what the network looks at.
        network: whose cells.
    """
    height, width = image_13HW.shape[2:]
    masses = label_masses(corrections_HW, labels, height, width)
    mass_1KHW = torch.from_numpy(masses).to(image_13HW.device).unsqueeze(0)
    window = network.config.window
    padded = functional.pad(mass_1KHW, (0, -width % window, 0, -height % window))
    return pool_shares(padded, network.output_stride)


def label_masses(
    corrections_HW: NDArray[np.uint8], labels: Sequence[int], height: int, width: int
) -> NDArray[np.float32]:
    """Return how much of each pixel of a reduced image has each label, K×height×width."""
    masses = [
        cv2.resize(
            (corrections_HW == label).astype(np.float32),
            (width, height),
            interpolation=cv2.INTER_AREA,
        )
        for label in labels
    ]
    return np.stack(masses)
