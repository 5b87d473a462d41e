"""The networks: from an image to the logits of every pixel.

Axes: B batch, H and W pixels, h and w output cells, R and C cells of the 2D-LSTM's grid,
D direction, F feature, K class. Images are float, 0 to 1, RGB.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.layers import MDLSTM, NeighborhoodLayer


class LabelingNetwork(nn.Module):
    """What all networks share.

    Attributes:
        config: what the network is made of.
        output_stride: pixels a side of one cell of the logits.
        sweeps: the 2D-LSTM layers, first to last.
        sweep_strides: pixels a side of one cell of each layer's grid.
    """

    interpolation = "bilinear"

    def __init__(self, config: NetworkConfig, output_stride: int) -> None:
        super().__init__()
        self.config = config
        self.output_stride = output_stride
        self.sweeps: Sequence[MDLSTM]
        self.sweep_strides: tuple[int, ...]

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Return logits B×K×h×w, h = ⌈H / output_stride⌉ after padding to the window."""
        return self.classify(self.features(image_B3HW))

    def features(self, image_B3HW: Tensor) -> tuple[Tensor, ...]:
        """Return what goes into each of the class layers, B×F×r×c, at its own stride."""
        raise NotImplementedError

    def classify(self, features: tuple[Tensor, ...]) -> Tensor:
        """Return the logits of features: each through its class layer, enlarged, added up."""
        layers = zip(self.class_layers, features, strict=True)
        return self.join_logits([layer(feature) for layer, feature in layers])

    @property
    def class_layers(self) -> tuple[nn.Linear | nn.Conv2d, ...]:
        """The layers whose outputs `join_logits` adds up; the last 2D-LSTM's comes first."""
        raise NotImplementedError

    @property
    def late_layers(self) -> tuple[nn.Module, ...]:
        """The layers from the last 2D-LSTM on: where what was seen becomes classes."""
        raise NotImplementedError

    def join_logits(self, parts_BKhw: Sequence[Tensor]) -> Tensor:
        """Return the logits: what the class layers put out, enlarged to one grid and added."""
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
        self.sweep_strides = (config.window,) * len(config.lstm_units)
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

    @property
    def class_layers(self) -> tuple[nn.Linear | nn.Conv2d, ...]:
        """See `LabelingNetwork.class_layers`."""
        last = self.projections[-1]
        assert isinstance(last, nn.Linear)
        return (last,)

    @property
    def late_layers(self) -> tuple[nn.Module, ...]:
        """See `LabelingNetwork.late_layers`."""
        return self.sweeps[-1], self.projections[-1]

    def join_logits(self, parts_BKhw: Sequence[Tensor]) -> Tensor:
        """See `LabelingNetwork.join_logits`; there is one part only."""
        (logits,) = parts_BKhw
        return logits

    def features(self, image_B3HW: Tensor) -> tuple[Tensor, ...]:
        """See `LabelingNetwork.features`."""
        window = self.config.window
        windows = functional.pixel_unshuffle(self.pad(image_B3HW) * 2 - 1, window)
        features_BRCF = windows.permute(0, 2, 3, 1)
        for sweep, projection in zip(self.sweeps, self.projections, strict=True):
            features_BRCF = sweep(features_BRCF).sum(0)
            if projection is not self.projections[-1]:
                features_BRCF = projection(features_BRCF).tanh()
        return (features_BRCF.permute(0, 3, 1, 2),)

    def classify(self, features: tuple[Tensor, ...]) -> Tensor:
        """See `LabelingNetwork.classify`."""
        (hidden_BFRC,) = features
        logits: Tensor = self.projections[-1](hidden_BFRC.permute(0, 2, 3, 1))
        return logits.permute(0, 3, 1, 2)


class SceneNetwork(LabelingNetwork):
    """Ours: 2D-LSTM layers on a pyramid of grids, and a path for fine structure.

    Convolutions lead from the image to a grid of 16-pixel cells. There, residual 2D-LSTM
    layers carry context over the whole image in few steps, each followed by a residual
    convolution; the last 2D-LSTM layer joins it with the features of 8-pixel cells. The
    fine path leads back to cells of 2 pixels, so that poles and membranes survive.

    The logits are linear in the hidden states of the last 2D-LSTM layer, so that they
    split exactly into a contribution of each direction and unit, plus that of the fine
    path, which sees everything before the last layer.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, output_stride=2)
        at_2, at_4, at_8, at_16 = config.channels
        units, classes, dropout = config.lstm_units, config.classes, config.dropout
        self.sweep_strides = (*(16 for _ in units[:-1]), 8)
        self.stem_2 = _convolution(3, at_2, size=5, stride=2)
        self.stem_4 = nn.Sequential(_convolution(at_2, at_4, stride=2), _convolution(at_4, at_4))
        self.stem_8 = nn.Sequential(_convolution(at_4, at_8, stride=2), _Local(at_8))
        self.stem_16 = _convolution(at_8, at_16, stride=2)
        self.position = nn.Linear(2, at_16)
        inputs = (*(at_16 for _ in units[:-1]), at_8)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in inputs)
        self.sweeps = nn.ModuleList(  # type: ignore[assignment]
            MDLSTM(size, unit, config.forget_scale)
            if config.recurrent
            else NeighborhoodLayer(size, unit)
            for size, unit in zip(inputs, units, strict=True)
        )
        self.projections = nn.ModuleList(nn.Linear(4 * unit, at_16) for unit in units[:-1])
        self.locals = nn.ModuleList(_Local(at_16) for _ in units[:-1])
        self.dropout = nn.Dropout2d(dropout)
        self.join = nn.Sequential(nn.Conv2d(at_16, at_8, 1), _Enlarge())
        self.local_8 = _Local(at_8)
        self.context = nn.Conv2d(4 * units[-1], classes, 1)
        self.to_4 = nn.Sequential(nn.Conv2d(at_8, at_4, 1), _Enlarge())
        self.fine_4 = _convolution(2 * at_4, at_4)
        self.logits_4 = nn.Conv2d(at_4, classes, 1)
        self.to_2 = nn.Sequential(nn.Conv2d(at_4, at_2, 1), _Enlarge())
        self.fine_2 = _convolution(2 * at_2, at_2)
        self.logits_2 = nn.Conv2d(at_2, classes, 1)
        self.enlarge_logits = _Enlarge()

    @property
    def class_layers(self) -> tuple[nn.Linear | nn.Conv2d, ...]:
        """See `LabelingNetwork.class_layers`."""
        return self.context, self.logits_4, self.logits_2

    @property
    def late_layers(self) -> tuple[nn.Module, ...]:
        """See `LabelingNetwork.late_layers`; what joins the grids for it, and the fine path."""
        joined = self.join, self.local_8, self.norms[-1], self.sweeps[-1]
        return *joined, self.to_4, self.fine_4, self.to_2, self.fine_2, *self.class_layers

    def join_logits(self, parts_BKhw: Sequence[Tensor]) -> Tensor:
        """See `LabelingNetwork.join_logits`; the parts are of cells of 8, 4 and 2 pixels."""
        at_8, at_4, at_2 = parts_BKhw
        logits: Tensor = self.enlarge_logits(self.enlarge_logits(at_8) + at_4) + at_2
        return logits

    def features(self, image_B3HW: Tensor) -> tuple[Tensor, ...]:
        """See `LabelingNetwork.features`."""
        stride_2 = self.stem_2((self.pad(image_B3HW) - 0.45) * 4)
        stride_4 = self.stem_4(stride_2)
        stride_8 = self.stem_8(stride_4)
        coarse = self.stem_16(stride_8).float()
        coarse = coarse + self.position(_coordinates(coarse)).permute(0, 3, 1, 2)
        for index, (projection, local) in enumerate(
            zip(self.projections, self.locals, strict=True)
        ):
            directions = self._sweep(index, coarse).permute(0, 2, 3, 1)
            coarse = coarse + self.dropout(projection(directions).permute(0, 3, 1, 2))
            coarse = local(coarse)
        joined = self.local_8(stride_8 + self.join(coarse))
        hidden_8 = self.dropout(self._sweep(len(self.projections), joined))
        fine_4 = self.dropout(self.fine_4(torch.cat([stride_4, self.to_4(joined)], dim=1)))
        fine_2 = self.fine_2(torch.cat([stride_2, self.to_2(fine_4)], dim=1))
        return hidden_8, fine_4, fine_2

    def _sweep(self, index: int, grid_BFRC: Tensor) -> Tensor:
        """Return the hidden states of layer `index`, the directions one after the other."""
        normed = self.norms[index](grid_BFRC.float().permute(0, 2, 3, 1))
        hidden_DBRCH = self.sweeps[index](normed)
        return hidden_DBRCH.permute(1, 0, 4, 2, 3).flatten(1, 2)


class _Local(nn.Module):
    """A residual convolution that looks at the neighbouring cells."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, features)
        self.convolution = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, grid_BFRC: Tensor) -> Tensor:
        """Return the grid with what its neighbourhood adds."""
        added: Tensor = self.convolution(functional.relu(self.norm(grid_BFRC)))
        return grid_BFRC + added


class _Enlarge(nn.Module):
    """Twice as many rows and columns, bilinear."""

    def forward(self, grid_BFRC: Tensor) -> Tensor:
        """Return the grid, enlarged."""
        return functional.interpolate(grid_BFRC, scale_factor=2, mode="bilinear")


def _convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution with group norm, which needs no statistics of a batch, and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False),
        nn.GroupNorm(8, outputs),
        nn.ReLU(inplace=True),
    )


def _coordinates(grid_BFRC: Tensor) -> Tensor:
    """Return each cell's row and column, -1 to 1 over the grid: 1×R×C×2."""
    rows, columns = (
        torch.linspace(-1, 1, 2 * size + 1, device=grid_BFRC.device)[1::2]
        for size in grid_BFRC.shape[2:]
    )
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).unsqueeze(0)


_UNLIKELY = 8.0
"""By how much the logit of a new class starts below the mean of the others."""


def build_network(config: NetworkConfig) -> LabelingNetwork:
    """Return a network with freshly drawn weights.

    Raises:
        InputError: the configuration is that of a network for volumes.
    """
    if config.architecture == "pyramid":
        raise InputError("This model labels volumes, not images: use `mdlstm volume predict`.")
    return ByeonNetwork(config) if config.architecture == "byeon2015" else SceneNetwork(config)


@torch.no_grad()
def with_classes(network: LabelingNetwork, sources: Sequence[int | None]) -> LabelingNetwork:
    """Return a copy of a network with other classes.

    Args:
        network: the network.
        sources: for each class of the copy, the class of the network whose weights it
            takes; None for a class that is new. A new class starts without weights, and so
            unlikely that it is nowhere the most probable one.
    """
    config = dataclasses.replace(network.config, classes=len(sources))
    copied = build_network(config).to(next(network.parameters()).device)
    shapes = {name: value.shape for name, value in copied.state_dict().items()}
    same = {k: v for k, v in network.state_dict().items() if v.shape == shapes[k]}
    copied.load_state_dict(same, strict=False)
    for layer, old in zip(copied.class_layers, network.class_layers, strict=True):
        for index, source in enumerate(sources):
            layer.weight[index] = 0.0 if source is None else old.weight[source]
            if layer.bias is not None and old.bias is not None:
                layer.bias[index] = old.bias.mean() if source is None else old.bias[source]
    first = copied.class_layers[0]
    if first.bias is not None:
        for index, source in enumerate(sources):
            if source is None:
                first.bias[index] -= _UNLIKELY
    return copied.eval()
