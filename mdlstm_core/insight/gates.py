"""Gates of the 2D-LSTM as maps over an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mdlstm_core.config import DIRECTIONS, STATES
from mdlstm_core.errors import InputError
from mdlstm_core.memory import Attempt, first_that_fits
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.prediction import device_of, network_input, on_device


@dataclass(frozen=True)
class GateQuery:
    """Which map to show.

    Attributes:
        layer: 2D-LSTM layer, from 0.
        direction: index into `DIRECTIONS`.
        gate: one of `STATES`.
        unit: hidden unit, from 0; None for the mean over all units.
    """

    layer: int
    direction: int
    gate: str
    unit: int | None = None


@dataclass(frozen=True)
class GateMap:
    """A gate as a map.

    Attributes:
        query: what was asked for.
        values: R×C, one value a cell of the layer's grid. Sigmoid gates lie in 0 to 1,
            candidate and hidden state in -1 to 1, the cell state has no bound.
        cell_pixels: height and width of a cell in pixels of the image; the last row and
            column of cells may reach over its border.
        notice: why it was not made as usual, for the user; empty if it was.
    """

    query: GateQuery
    values: NDArray[np.float32]
    cell_pixels: tuple[float, float]
    notice: str = ""


def gate_map(network: LabelingNetwork, image_HW3: NDArray[np.uint8], query: GateQuery) -> GateMap:
    """Run the network over an image and keep only the map asked for.

    Raises:
        InputError: layer, direction, gate or unit does not exist in this network.
        MemoryError: the computer's own memory does not suffice.
    """
    _check(query, network)
    return first_that_fits(
        device_of(network),
        lambda attempt: _gate_map(on_device(network, attempt.device), image_HW3, query, attempt),
    )


@torch.no_grad()
def _gate_map(
    network: LabelingNetwork, image_HW3: NDArray[np.uint8], query: GateQuery, attempt: Attempt
) -> GateMap:
    working = network_input(image_HW3, network, attempt.share)
    sweep = network.sweeps[query.layer]
    kept: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor], _output: Tensor) -> None:
        state = getattr(sweep.states(inputs[0]), query.gate)[query.direction, 0]
        kept.append(state.mean(dim=2) if query.unit is None else state[..., query.unit])

    handle = sweep.register_forward_hook(keep)
    try:
        network(working)
    finally:
        handle.remove()
    stride = network.sweep_strides[query.layer]
    scale_y = image_HW3.shape[0] / working.shape[2]
    scale_x = image_HW3.shape[1] / working.shape[3]
    values = kept[0].float().cpu().numpy()
    return GateMap(query, values, (stride * scale_y, stride * scale_x), attempt.notice)


def _check(query: GateQuery, network: LabelingNetwork) -> None:
    if not network.config.recurrent:
        raise InputError("This model has no 2D-LSTM layers, so it has no gates to show.")
    layers = len(network.sweeps)
    if not 0 <= query.layer < layers:
        raise InputError(f"The model has 2D-LSTM layers 1 to {layers}, no layer {query.layer + 1}.")
    if not 0 <= query.direction < len(DIRECTIONS):
        raise InputError(
            f"There are {len(DIRECTIONS)} directions, no number {query.direction + 1}."
        )
    if query.gate not in STATES:
        raise InputError(f"There is no gate {query.gate!r}; choose one of {', '.join(STATES)}.")
    units = network.sweeps[query.layer].units
    if query.unit is not None and not 0 <= query.unit < units:
        raise InputError(
            f"Layer {query.layer + 1} has units 1 to {units}, no unit {query.unit + 1}."
        )
