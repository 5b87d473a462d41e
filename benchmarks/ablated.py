"""What stands in place of parts of `scene` and of its training in `benchmarks.ablations`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from mdlstm_core.config import NetworkConfig
from mdlstm_core.data.augmentation import random_view
from mdlstm_core.data.dataset import LabeledImage
from mdlstm_core.layers import NeighborhoodLayer
from mdlstm_core.network import SceneNetwork

_DROPPED = 0.1
"""Share of the neighbourhood layers that are left out, an image and a layer."""


class CoarseGridOnly(SceneNetwork):
    """A convolution in place of the 2D-LSTM on cells of 8 pixels."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.sweeps[-1] = NeighborhoodLayer(config.channels[2], config.lstm_units[-1])  # type: ignore[index]


class FineGridOnly(SceneNetwork):
    """Convolutions in place of the 2D-LSTM layers on cells of 16 pixels."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        for index, units in enumerate(config.lstm_units[:-1]):
            self.sweeps[index] = NeighborhoodLayer(config.channels[3], units)  # type: ignore[index]


class WithoutFinePath(SceneNetwork):
    """Nothing but the last 2D-LSTM, on cells of 8 pixels, says what a pixel is.

    The weights of the fine path stay as they were drawn.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        for name in ("to_4", "fine_4", "logits_4", "to_2", "fine_2", "logits_2"):
            getattr(self, name).requires_grad_(False)

    @property
    def class_layers(self) -> tuple[nn.Linear | nn.Conv2d, ...]:
        """The layer of the last 2D-LSTM."""
        return (self.context,)

    def features(self, image_B3HW: Tensor) -> tuple[Tensor, ...]:
        """Return the hidden states of the last 2D-LSTM alone."""
        return super().features(image_B3HW)[:1]

    def join_logits(self, parts_BKhw: Sequence[Tensor]) -> Tensor:
        """Enlarge the only part to cells of 2 pixels."""
        logits: Tensor = self.enlarge_logits(self.enlarge_logits(parts_BKhw[0]))
        return logits


class _Dropped(nn.Module):
    """A residual layer that in training adds nothing now and then (Huang et al., ECCV 2016)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, grid_BFRC: Tensor) -> Tensor:
        """Return the grid with what the layer adds, or as it is."""
        added: Tensor = self.layer(grid_BFRC) - grid_BFRC
        if self.training:
            kept = torch.rand(len(added), 1, 1, 1, device=added.device) >= _DROPPED
            added = added * kept / (1 - _DROPPED)
        return grid_BFRC + added


class DroppedLocals(SceneNetwork):
    """Stochastic depth in the neighbourhood layers between the 2D-LSTM layers."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.locals = nn.ModuleList(_Dropped(layer) for layer in self.locals)


def colors_as_they_are(image_HW3: NDArray[np.uint8], generator: Generator) -> NDArray[np.uint8]:
    """Return the view's colours unchanged."""
    return image_HW3


def mixed_view(
    sample: LabeledImage, height: int, width: int, generator: Generator, zoom: float = 1.0
) -> LabeledImage:
    """Return a view with a rectangle of another view of the same image in every second one.

    The rectangle has a quarter of the view's area (CutMix, Yun et al., ICCV 2019).
    """
    view = random_view(sample, height, width, generator, zoom)
    if generator.random() < 0.5:
        other = random_view(sample, height, width, generator, zoom)
        row, column = generator.integers(height // 2 + 1), generator.integers(width // 2 + 1)
        place = slice(row, row + height // 2), slice(column, column + width // 2)
        view.image[place], view.labels[place] = other.image[place], other.labels[place]
    return view
