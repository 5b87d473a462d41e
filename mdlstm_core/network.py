"""The networks: from an image to the logits of every pixel.

Axes: B batch, H and W pixels, h and w output cells, R and C cells of the 2D-LSTM's grid,
D direction, F feature, K class. Images are float, 0 to 1, RGB.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.layers import MDLSTM


class LabelingNetwork(nn.Module):
    """What all networks share.

    Attributes:
        config: what the network is made of.
        output_stride: pixels a side of one cell of the logits.
        sweeps: the 2D-LSTM layers, first to last.
    """

    interpolation = "bilinear"

    def __init__(self, config: NetworkConfig, output_stride: int) -> None:
        super().__init__()
        self.config = config
        self.output_stride = output_stride
        self.sweeps: Sequence[MDLSTM]

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Return logits B×K×h×w, h = ⌈H / output_stride⌉ after padding to the window."""
        raise NotImplementedError

    def pad(self, image_B3HW: Tensor) -> Tensor:
        """Repeat the image's last row and column until the window divides its size."""
        height, width = image_B3HW.shape[2:]
        window = self.config.window
        padding = (0, -width % window, 0, -height % window)
        return functional.pad(image_B3HW, padding, mode="replicate") if any(padding) else image_B3HW

    def enlarge(self, logits_BKhw: Tensor, height: int, width: int) -> Tensor:
        """Enlarge logits to the size of the image that they were computed from."""
        full = functional.interpolate(
            logits_BKhw,
            scale_factor=self.output_stride,
            mode=self.interpolation,
            align_corners=False,
        )
        return full[:, :, :height, :width]


class ByeonNetwork(LabelingNetwork):
    """Byeon et al., CVPR 2015, section 3: windows, then 2D-LSTM and feedforward layers.

    The four directions are summed before each feedforward layer, which gives the
    published 172,570 (5×5) and 155,368 (3×3) weights with eight classes. Its output at
    the resolution of the windows is enlarged by cubic interpolation.
    """

    interpolation = "bicubic"

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, output_stride=config.window)
        sizes_in = (3 * config.window**2, *config.feedforward_units)
        self.sweeps = nn.ModuleList(  # type: ignore[assignment]
            MDLSTM(inputs, units, config.forget_scale)
            for inputs, units in zip(sizes_in, config.lstm_units, strict=True)
        )
        sizes_out = (*config.feedforward_units, config.classes)
        self.projections = nn.ModuleList(
            nn.Linear(units, outputs)
            for units, outputs in zip(config.lstm_units, sizes_out, strict=True)
        )

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """See `LabelingNetwork.forward`."""
        window = self.config.window
        windows = functional.pixel_unshuffle(self.pad(image_B3HW) * 2 - 1, window)
        features_BRCF = windows.permute(0, 2, 3, 1)
        for sweep, projection in zip(self.sweeps, self.projections, strict=True):
            features_BRCF = projection(sweep(features_BRCF).sum(0))
            if projection is not self.projections[-1]:
                features_BRCF = features_BRCF.tanh()
        return features_BRCF.permute(0, 3, 1, 2)


class SceneNetwork(LabelingNetwork):
    """Ours: an overlapping stem, residual 2D-LSTM layers, and a path for fine structure.

    The logits are linear in the hidden states of the last 2D-LSTM layer, so that they
    split exactly into a contribution of each direction and unit, plus that of the fine
    path, which joins features at stride 4 with the context of the layers before the last.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, output_stride=4)
        first, second, features = config.channels
        self.stem_2 = _convolution(3, first, size=5, stride=2)
        self.stem_4 = nn.Sequential(
            _convolution(first, second, stride=2), _convolution(second, second)
        )
        self.stem_8 = _convolution(second, features, stride=2)
        self.position = nn.Linear(2, features)
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in config.lstm_units)
        self.sweeps = nn.ModuleList(  # type: ignore[assignment]
            MDLSTM(features, units, config.forget_scale) for units in config.lstm_units
        )
        self.projections = nn.ModuleList(
            nn.Linear(4 * units, features) for units in config.lstm_units[:-1]
        )
        self.dropout = nn.Dropout(config.dropout)
        self.context = nn.Linear(4 * config.lstm_units[-1], config.classes)
        self.to_fine = nn.Conv2d(features, second, 1)
        self.fine = nn.Sequential(
            _convolution(2 * second, second),
            nn.Dropout(config.dropout),
            nn.Conv2d(second, config.classes, 1),
        )

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """See `LabelingNetwork.forward`."""
        stride_4 = self.stem_4(self.stem_2((self.pad(image_B3HW) - 0.45) * 4))
        grid_BRCF = self.stem_8(stride_4).permute(0, 2, 3, 1)
        grid_BRCF = grid_BRCF + self.position(_coordinates(grid_BRCF))
        for index, projection in enumerate(self.projections):
            directions = self._sweep(index, grid_BRCF)
            grid_BRCF = grid_BRCF + self.dropout(projection(directions))
        directions = self.dropout(self._sweep(len(self.projections), grid_BRCF))
        context_BKRC = self.context(directions).permute(0, 3, 1, 2)
        around = functional.interpolate(
            self.to_fine(grid_BRCF.permute(0, 3, 1, 2)), scale_factor=2, mode="bilinear"
        )
        fine: Tensor = self.fine(torch.cat([stride_4, around], dim=1))
        return fine + functional.interpolate(context_BKRC, scale_factor=2, mode="bilinear")

    def _sweep(self, index: int, grid_BRCF: Tensor) -> Tensor:
        """Return the hidden states of layer `index`, the directions side by side."""
        hidden_DBRCH = self.sweeps[index](self.norms[index](grid_BRCF))
        return hidden_DBRCH.permute(1, 2, 3, 0, 4).flatten(3)


def _convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution with group norm, which needs no statistics of a batch, and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False),
        nn.GroupNorm(8, outputs),
        nn.ReLU(inplace=True),
    )


def _coordinates(grid_BRCF: Tensor) -> Tensor:
    """Return each cell's row and column, -1 to 1 over the grid: 1×R×C×2."""
    rows, columns = (
        torch.linspace(-1, 1, 2 * size + 1, device=grid_BRCF.device, dtype=grid_BRCF.dtype)[1::2]
        for size in grid_BRCF.shape[1:3]
    )
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).unsqueeze(0)


def build_network(config: NetworkConfig) -> LabelingNetwork:
    """Return a network with freshly drawn weights.

    Raises:
        InputError: the configuration is that of a network for volumes.
    """
    if config.architecture == "pyramid":
        raise InputError("This model labels volumes, not images: use `mdlstm volume predict`.")
    return ByeonNetwork(config) if config.architecture == "byeon2015" else SceneNetwork(config)
