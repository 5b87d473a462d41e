"""Why this class here: a pixel's logits, split exactly.

The class layers are linear, and so is every enlargement of what they put out, bilinear or
bicubic. A pixel's logit is therefore a weighted sum over cells of the last 2D-LSTM layer's
hidden states, one term for each direction and unit, plus what the fine path and the biases
add. The weights of the cells are found by differentiating the enlargement.

Axes: K class, D direction, H hidden unit, R and C cells, F feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlstm_core.config import DIRECTIONS
from mdlstm_core.errors import InputError
from mdlstm_core.insight.queries import Pixel
from mdlstm_core.insight.recording import Recording, check_pixel
from mdlstm_core.network import LabelingNetwork


@dataclass(frozen=True)
class Contributions:
    """The logits of a pixel of the working image, as sums.

    Attributes:
        pixel: of the image.
        working_pixel: of the image as the network looked at it, which it lies in.
        units_KDH: what each hidden unit of the last layer adds, in float64.
        fine_K: what the fine path adds; 0 for a network without one.
        bias_K: the biases of the class layers.
        notice: why it was not made as usual, for the user; empty if it was.
    """

    pixel: Pixel
    working_pixel: Pixel
    units_KDH: NDArray[np.float64]
    fine_K: NDArray[np.float64]
    bias_K: NDArray[np.float64]
    notice: str = ""

    @property
    def by_direction(self) -> NDArray[np.float64]:
        """What each direction adds to each class's logit, K×D."""
        return self.units_KDH.sum(axis=2)

    @property
    def logits(self) -> NDArray[np.float64]:
        """The logits: all contributions together, K."""
        return self.by_direction.sum(axis=1) + self.fine_K + self.bias_K


def contributions(recording: Recording, pixel: Pixel) -> Contributions:
    """Split the logits of a pixel at the network's working size; takes milliseconds.

    Raises:
        InputError: the pixel lies outside the image, or the recording has no logits.
    """
    check_pixel(pixel, recording.image_size)
    if recording.fine is None:
        raise InputError("The logits were not recorded; record them first.")
    network = recording.network
    working_pixel = pixel.moved(recording.image_size, recording.working_size)
    hidden_DRCH = recording.last_hidden
    sizes = [hidden_DRCH.shape[1:3], *(part.shape[2:] for part in recording.fine)]
    cells, *fine_cells = _cell_weights(network, sizes, recording.working_size, working_pixel)
    first, *others = network.class_layers
    units_KDH = _hidden_weights(network) * torch.einsum("rc,drch->dh", cells, hidden_DRCH.double())
    fine_K = torch.zeros(network.config.classes, dtype=torch.float64)
    for layer, part, weights in zip(others, recording.fine, fine_cells, strict=True):
        fine_K += _matrix(layer) @ torch.einsum("rc,frc->f", weights, part[0].double())
    biases = [layer.bias.double() for layer in (first, *others) if layer.bias is not None]
    bias_K = torch.stack([*biases, torch.zeros_like(fine_K)]).sum(0)
    return Contributions(
        pixel,
        working_pixel,
        units_KDH.detach().numpy(),
        fine_K.detach().numpy(),
        bias_K.detach().numpy(),
        recording.notice,
    )


def _cell_weights(
    network: LabelingNetwork,
    sizes: list[torch.Size],
    working_size: tuple[int, int],
    pixel: Pixel,
) -> list[Tensor]:
    """Return what each cell of each class layer's grid counts for a pixel, R×C each.

    The enlargement treats all classes alike, so one stands for them.
    """
    parts = [torch.zeros(1, 1, *size, dtype=torch.float64, requires_grad=True) for size in sizes]
    with torch.enable_grad():
        enlarged = network.enlarge(network.join_logits(parts), *working_size)
    found = torch.autograd.grad(enlarged[0, 0, pixel.y, pixel.x], parts)
    return [weights[0, 0] for weights in found]


def _hidden_weights(network: LabelingNetwork) -> Tensor:
    """Return what each hidden unit of the last layer counts for each class, K×D×H.

    Where the directions are added up before the class layer, they share its weights.
    """
    units = network.sweeps[-1].units
    weights_KDH = _matrix(network.class_layers[0]).unflatten(1, (-1, units))
    return weights_KDH.expand(-1, len(DIRECTIONS), -1)


def _matrix(layer: torch.nn.Linear | torch.nn.Conv2d) -> Tensor:
    """Return the weights of a class layer as a matrix K×F."""
    return layer.weight.detach().double().flatten(1)
