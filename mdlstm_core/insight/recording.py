"""What a network computes over one image, kept so that questions are answered at once.

Kept are the inputs of the 2D-LSTM layers and not their states: those follow within some
milliseconds, so that no more of them is ever held than the map being drawn asks for.

Axes: R and C cells of a layer's grid, I input feature, D direction, H hidden unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mdlstm_core.config import DIRECTIONS, STATES
from mdlstm_core.errors import InputError
from mdlstm_core.host_memory import check_fits
from mdlstm_core.insight.look import explained_look
from mdlstm_core.insight.queries import Pixel
from mdlstm_core.kernels import MDLSTMStates, NotFiniteError
from mdlstm_core.memory import Attempt, first_that_fits
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.prediction import (
    device_of,
    finite_weights,
    network_input,
    on_device,
    working_size,
)

_COPIES = 2
"""How often a layer's states are held at most: as the sweep leaves them, and as a grid."""


@dataclass(frozen=True)
class Recording:
    """A network's way over one image, kept on the CPU.

    Attributes:
        network: the network, on the CPU.
        image_size: height and width of the image.
        working_size: height and width at which the network looked at it.
        inputs: of each 2D-LSTM layer that was asked for, 1×R×C×I.
        fine: inputs of the class layers after the first (see `LabelingNetwork.class_layers`),
            each 1×F×h×w; None if they were not asked for.
        notice: why it was not made as usual, for the user; empty if it was.
    """

    network: LabelingNetwork
    image_size: tuple[int, int]
    working_size: tuple[int, int]
    inputs: dict[int, Tensor]
    fine: tuple[Tensor, ...] | None
    notice: str = ""

    @property
    def layers(self) -> tuple[int, ...]:
        """The 2D-LSTM layers that were recorded, from 0."""
        return tuple(sorted(self.inputs))

    @torch.no_grad()
    def states(self, layer: int) -> MDLSTMStates:
        """Return all gates, cell and hidden states of a recorded layer, each D×1×R×C×H.

        Raises:
            InputError: there is no such layer, or it was not recorded.
        """
        check_layer(layer, self.network)
        if layer not in self.inputs:
            raise InputError(f"Layer {layer + 1} was not recorded; record it first.")
        return self.network.sweeps[layer].states(self.inputs[layer])

    @cached_property
    @torch.no_grad()
    def last_hidden(self) -> Tensor:
        """Hidden states of the last layer, D×R×C×H, computed when first asked for."""
        last = len(self.network.sweeps) - 1
        return self.network.sweeps[last](self.inputs[last])[:, 0]

    def cell_pixels(self, layer: int) -> tuple[float, float]:
        """Return height and width of a cell of a layer's grid in pixels of the image."""
        stride = self.network.sweep_strides[layer]
        (height, width), (working_height, working_width) = self.image_size, self.working_size
        return stride * height / working_height, stride * width / working_width


def record(
    network: LabelingNetwork,
    image_HW3: NDArray[np.uint8],
    layers: Sequence[int] | None = None,
    *,
    logits: bool = True,
) -> Recording:
    """Run a network over an image and keep what answers questions about it.

    It takes the look that is explained (see `insight.look`). One smaller than a window is padded
    as any other; the notice says so.

    Args:
        network: the model.
        image_HW3: the image, RGB, 0 to 255.
        layers: 2D-LSTM layers to look into, from 0; None for all.
        logits: also keep what splits logits (see `insight.contributions`), which asks for
            the last layer.

    Raises:
        InputError: the network has no 2D-LSTM layers or not those, what is asked for would
            not fit into the memory, or the weights give no finite numbers.
        MemoryError: the computer's own memory does not suffice.
    """
    check_recurrent(network)
    count = len(network.sweeps)
    asked = set(range(count) if layers is None else layers) | ({count - 1} if logits else set())
    for layer in asked:
        check_layer(layer, network)
    size = explained_size(image_HW3, network)
    what = f"Recording the gates of an image of {size[1]}×{size[0]} pixels"
    check_fits(recording_bytes(network, size, asked, logits=logits), what)
    return first_that_fits(
        device_of(network),
        lambda attempt: _record(network, image_HW3, asked, attempt, logits=logits),
    )


def explained_size(image_HW3: NDArray[np.uint8], network: LabelingNetwork) -> tuple[int, int]:
    """Return height and width of the look at an image that is explained."""
    return working_size(*size_of(image_HW3), network, explained_look(network.config).share)


def explained_input(
    image_HW3: NDArray[np.uint8], network: LabelingNetwork, share: float = 1.0
) -> Tensor:
    """Return the look at an image that is explained, as `network_input` gives it."""
    return network_input(image_HW3, network, share * explained_look(network.config).share)


def size_of(image_HW3: NDArray[np.uint8]) -> tuple[int, int]:
    """Return height and width of an image."""
    return image_HW3.shape[0], image_HW3.shape[1]


def recording_bytes(
    network: LabelingNetwork, size: tuple[int, int], layers: set[int], *, logits: bool
) -> int:
    """Return the bytes that a recording takes, with the states of its largest layer."""
    window, number = network.config.window, 4
    height, width = (-(-side // window) * window for side in size)
    cells = {layer: height * width // network.sweep_strides[layer] ** 2 for layer in layers}
    inputs = sum(cells[i] * network.sweeps[i].input_weight.shape[1] for i in layers)
    units = len(DIRECTIONS) * len(STATES)
    states = max((cells[i] * network.sweeps[i].units * units for i in layers), default=0)
    # At most: only the last of the class layers is on the grid of the logits.
    features = sum(layer.weight.shape[1] for layer in network.class_layers[1:])
    fine = height * width // network.output_stride**2 * features if logits else 0
    return number * (inputs + _COPIES * states + fine)


@torch.no_grad()
def _record(
    network: LabelingNetwork,
    image_HW3: NDArray[np.uint8],
    layers: set[int],
    attempt: Attempt,
    *,
    logits: bool,
) -> Recording:
    placed = on_device(network, attempt.device)
    working = explained_input(image_HW3, placed, attempt.share)
    modules: list[nn.Module] = [placed.sweeps[layer] for layer in sorted(layers)]
    if logits:
        modules += placed.class_layers[1:]
    with _inputs_kept(modules) as kept, finite_weights():
        if not placed(working).isfinite().all():
            raise NotFiniteError
    found = [tensor.cpu() for tensor in kept]
    notices, window = [attempt.notice], network.config.window
    if min(working.shape[2:]) < window:
        notices.append(
            "As the network looks at it, the image is smaller than one window of "
            f"{window}×{window} pixels, so its border was repeated."
        )
    return Recording(
        network=on_device(network, torch.device("cpu")),
        image_size=size_of(image_HW3),
        working_size=(working.shape[2], working.shape[3]),
        inputs=dict(zip(sorted(layers), found, strict=False)),
        fine=tuple(found[len(layers) :]) if logits else None,
        notice=" ".join(filter(None, notices)),
    )


@contextmanager
def _inputs_kept(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Keep what each module is given, in the order of the modules."""
    kept: list[Any] = [None] * len(modules)

    def keep(index: int) -> Callable[[nn.Module, tuple[Tensor]], None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor]) -> None:
            kept[index] = inputs[0].detach()

        return hook

    handles = [
        module.register_forward_pre_hook(keep(index)) for index, module in enumerate(modules)
    ]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def check_recurrent(network: LabelingNetwork) -> None:
    """Check that there are gates.

    Raises:
        InputError: the network has no 2D-LSTM layers.
    """
    if not network.config.recurrent:
        raise InputError("This model has no 2D-LSTM layers, so it has no gates to show.")


def check_layer(layer: int, network: LabelingNetwork) -> None:
    """Check that a 2D-LSTM layer exists.

    Raises:
        InputError: it does not.
    """
    layers = len(network.sweeps)
    if not 0 <= layer < layers:
        raise InputError(f"The model has 2D-LSTM layers 1 to {layers}, no layer {layer + 1}.")


def check_pixel(pixel: Pixel, image_size: tuple[int, int]) -> None:
    """Check that a pixel lies in an image of that height and width.

    Raises:
        InputError: it does not.
    """
    height, width = image_size
    if not (0 <= pixel.x < width and 0 <= pixel.y < height):
        raise InputError(
            f"The pixel {pixel.x},{pixel.y} lies outside the image: it has columns 0 to "
            f"{width - 1} and rows 0 to {height - 1}."
        )
