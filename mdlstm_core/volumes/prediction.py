"""From a volume of any size to the class of each voxel, tile by tile."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.errors import InputError
from mdlstm_core.memory import SMALLER_PARTS, Attempt, first_that_fits
from mdlstm_core.volumes.pyramid_network import PyramidNetwork, pyramid_of
from mdlstm_core.volumes.stacks import piece_size, volume_input

TILE = (32, 128, 128)
"""Slices, rows and columns that are computed at once: about 1 GB with the preset."""


@dataclass(frozen=True)
class VolumePrediction:
    """What a network says of a volume.

    Attributes:
        labels: class index of each voxel, D×H×W.
        confidence: probability of that class, D×H×W, 0 to 255 for 0 to 1.
        notice: why it was not made as usual, for the user; empty if it was.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    notice: str = ""


def predict_volume(
    checkpoint: Checkpoint,
    volume_DHWC: NDArray[np.generic],
    device: torch.device | None = None,
    tile: tuple[int, int, int] = TILE,
    name: str = "The volume",
) -> VolumePrediction:
    """Label every voxel of a volume.

    A larger volume than `tile` is labeled in tiles that overlap by a quarter; a voxel's
    probabilities are averaged, those far from a tile's border counting more. If the GPU's
    memory does not suffice, the tiles are half as large, and then computed on the CPU.

    Args:
        checkpoint: a trained model of the architecture "pyramid".
        volume_DHWC: of any number type.
        device: where to compute; the CPU unless told.
        tile: slices, rows and columns that are computed at once.
        name: of the volume, for the sentences of what cannot be used.

    Raises:
        InputError: the model labels images, the volume's shape or channels do not fit, a
            value is not finite, or the weights give none that are.
        MemoryError: the computer's own memory does not suffice.
    """
    network = pyramid_of(checkpoint)
    volume = volume_input(volume_DHWC, name)[0]
    if volume.shape[0] != checkpoint.config.channels[0]:
        raise InputError(
            f"{name} cannot be labeled: the model reads volumes of "
            f"{checkpoint.config.channels[0]} channels, this one has {volume.shape[0]}."
        )
    return first_that_fits(
        device or torch.device("cpu"),
        lambda attempt: _predict(network, volume, tile, attempt),
        SMALLER_PARTS,
    )


@torch.no_grad()
def _predict(
    network: PyramidNetwork, volume_CDHW: Tensor, tile: tuple[int, int, int], attempt: Attempt
) -> VolumePrediction:
    network.to(attempt.device)
    size = tuple(volume_CDHW.shape[1:])
    total = torch.zeros(network.config.classes, *size)
    weights = torch.zeros(size)
    for place in _tiles(size, piece_size(size, tile, attempt.share)):
        part = volume_CDHW[:, *place]
        probabilities = network(part.unsqueeze(0).to(attempt.device))[0].softmax(dim=0).cpu()
        weight = _weight(tuple(part.shape[1:]))
        total[:, *place] += probabilities * weight
        weights[place] += weight
    confidence, labels = (total / weights).max(dim=0)
    if not confidence.isfinite().all():
        raise InputError("The model cannot be used: its weights give no finite numbers.")
    return VolumePrediction(
        labels.numpy().astype(np.uint8),
        (confidence * 255).clamp(0, 255).round().numpy().astype(np.uint8),
        attempt.notice,
    )


def _tiles(size: tuple[int, ...], tile: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield the places of tiles that cover a volume and overlap by a quarter or more."""
    starts = []
    for whole, part in zip(size, tile, strict=True):
        count = 1 if whole <= part else 1 + -(-(whole - part) // max(1, part - part // 4))
        last = max(0, whole - part)
        starts.append([round(last * n / max(1, count - 1)) for n in range(count)])
    for corner in itertools.product(*starts):
        yield tuple(slice(at, at + part) for at, part in zip(corner, tile, strict=True))


def _weight(size: tuple[int, ...]) -> Tensor:
    """Return how much each voxel of a tile counts: a tent along each axis."""
    weight = torch.ones(())
    for length in size:
        place = torch.arange(length) + 0.5
        weight = weight.unsqueeze(-1) * torch.minimum(place, length - place)
    return weight
