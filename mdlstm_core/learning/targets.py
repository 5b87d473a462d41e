"""What a person's labels say of a network's output cells."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.losses import pool_shares
from mdlstm_core.network import LabelingNetwork


class OutputLabels:
    """Which of a network's outputs stand for one label: those of classes that were merged.

    A label is as probable as its outputs together, and said where one of them is. Labels are
    counted from 0, in the order of the outputs that they are called by.

    Args:
        labels: of each output, K of them; any numbers, of which some may be alike.

    Attributes:
        outputs: the output that each label is called by, L of them: its last one.
    """

    def __init__(self, labels: Sequence[int]) -> None:
        last = {label: output for output, label in enumerate(labels)}
        self.outputs = tuple(sorted(last.values()))
        self._label_K = [self.outputs.index(last[label]) for label in labels]

    def __len__(self) -> int:
        return len(self.outputs)

    def logits(self, logits_BKhw: Tensor) -> Tensor:
        """Return logits B×L×h×w whose softmax is the sum of the outputs' probabilities.

        Args:
            logits_BKhw: of the outputs; or B×K.
        """
        if len(self) == len(self._label_K):
            return logits_BKhw
        return torch.stack(
            [
                logits_BKhw[:, self._outputs_of(label)].logsumexp(dim=1)
                for label in range(len(self))
            ],
            dim=1,
        )

    def known(self, known_K: Tensor) -> Tensor:
        """Return for each label whether the network knows one of its outputs at least."""
        return torch.stack([known_K[self._outputs_of(label)].any() for label in range(len(self))])

    def label_map(self, said_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the labels of outputs; `IGNORE_INDEX` stays."""
        table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
        table[: len(self._label_K)] = self._label_K
        return table[said_HW]

    def _outputs_of(self, label: int) -> list[int]:
        return [output for output, own in enumerate(self._label_K) if own == label]


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
