"""Configuration of networks, free of torch, so that the window can read it at once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from mdlstm_core.errors import InputError

IGNORE_INDEX = 255
"""Label of a pixel without a label; it carries no loss and no score."""

LEARNING_SECONDS = 17
"""That Learn may take unless a person says otherwise: labeling anew is done by 20."""

DEFAULT_MODEL = "scene"
"""The shipped model that serves unless another one is asked for."""

DEVICE_NAMES = ("auto", "cpu", "cuda")
"""Where a model can be asked to run; auto is the GPU if there is one."""

MAX_CLASSES = 255
"""Label maps are 8-bit and 255 is the ignore index."""

DIRECTIONS = ("top-left", "top-right", "bottom-left", "bottom-right")
"""The corners that the four sweeps start from, in the order of every direction axis."""

GATES = ("output", "input", "forget_row", "forget_column", "candidate")
"""The five gate blocks in the order of every gate axis.

The four sigmoids lie together, and so do the four blocks whose gradient comes through
the cell state: each group is one elementwise operation on a contiguous slice.
"""

STATES = (*GATES, "cell", "hidden")
"""Everything of a layer that can be shown as a map."""

SIGMOID_GATES = ("input", "forget_row", "forget_column", "output")
"""The gates of values 0 to 1, which can saturate, in the order of an account of them."""

Architecture = Literal["byeon2015", "scene", "pyramid"]


@dataclass(frozen=True)
class LabelClass:
    """A class a pixel can have: its name and its colour (red, green, blue, 0 to 255)."""

    name: str
    color: tuple[int, int, int]


def check_pixels(pixels: int) -> int:
    """Return a working area, in pixels, if it can be one.

    Raises:
        InputError: it cannot.
    """
    if not 1_000 <= pixels <= 16_000_000:
        raise InputError(
            f"A network looks at images of 1,000 to 16,000,000 pixels, not {pixels:,}."
        )
    return pixels


@dataclass(frozen=True)
class NetworkConfig:
    """What a network is made of; stored in every checkpoint.

    Attributes:
        preset: name of the preset it came from.
        architecture: "byeon2015" (windows, alternating 2D-LSTM and feedforward layers)
            or "scene" (2D-LSTM layers on a pyramid of grids, fine path), which label images,
            or "pyramid" (alternating PyraMiD-LSTM and feedforward layers), which labels
            volumes.
        classes: number of classes, 1 to 255.
        window: pixels a side of the coarsest cell; images are padded to a multiple of it.
        lstm_units: hidden units a direction, one number a 2D-LSTM layer.
        feedforward_units: sizes of the tanh layers between the 2D-LSTM layers
            (byeon2015 and pyramid, one fewer than `lstm_units`).
        channels: features at strides 2, 4, 8 and 16 (scene), or the number of channels of a
            voxel (pyramid).
        forget_scale: factor on both forget gates. 1 is the paper's cell; 0.5 makes the
            cell state a convex mixture of its predecessors, which cannot grow.
        recurrent: False puts convolutions in place of the 2D-LSTM layers (scene only): what
            a network without context over the whole image is worth.
        dropout: share of features dropped after each 2D-LSTM layer in training.
        mirrored: whether a prediction is the mean of the image's and its mirror image's.
        scales: sizes at which a prediction looks at an image, 1 for that of
            `working_pixels`; their probabilities are averaged.
        working_pixels: images with more pixels are scaled down to this area, keeping
            their aspect ratio, before the network sees them.
        kernel_size: voxels a side of the convolutions within a plane (pyramid only), odd.
    """

    preset: str
    architecture: Architecture
    classes: int
    window: int
    lstm_units: tuple[int, ...]
    feedforward_units: tuple[int, ...] = ()
    channels: tuple[int, ...] = ()
    forget_scale: float = 1.0
    recurrent: bool = True
    dropout: float = 0.0
    mirrored: bool = False
    scales: tuple[float, ...] = (1.0,)
    working_pixels: int = 120_000
    kernel_size: int = 1

    def __post_init__(self) -> None:
        """Check what could not be built.

        Raises:
            InputError: a size is out of its range, or the layers do not alternate.
        """
        if not 1 <= self.classes <= MAX_CLASSES:
            raise InputError(f"A network has 1 to {MAX_CLASSES} classes, not {self.classes}.")
        if self.window < 1 or not self.lstm_units or min(self.lstm_units) < 1:
            raise InputError("A network needs a window and 2D-LSTM layers of at least one unit.")
        check_pixels(self.working_pixels)
        if not self.scales or not all(0.25 <= scale <= 4 for scale in self.scales):
            raise InputError("A network looks at images at one or more scales of 0.25 to 4.")
        if self.architecture == "byeon2015":
            if len(self.feedforward_units) != len(self.lstm_units) - 1 or not self.recurrent:
                raise InputError("byeon2015 has one feedforward layer between two 2D-LSTM layers.")
        elif self.architecture == "scene":
            if len(self.channels) != 4 or self.window != 16 or len(self.lstm_units) < 2:
                raise InputError(
                    "scene has four channel counts, a window of 16 pixels and at least two "
                    "2D-LSTM layers."
                )
        elif self.architecture == "pyramid":
            if len(self.feedforward_units) != len(self.lstm_units) - 1:
                raise InputError("pyramid has one feedforward layer between two PyraMiD-LSTM's.")
            if len(self.channels) != 1 or self.kernel_size < 1 or self.kernel_size % 2 == 0:
                raise InputError("pyramid has one channel count and a kernel of odd size.")
        else:
            raise InputError(f"Unknown architecture {self.architecture!r}.")

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> NetworkConfig:
        """Build a configuration from what `to_json` returned.

        Raises:
            InputError: a field is missing, unknown or out of range.
        """
        tuples: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        try:
            return cls(**tuples)
        except TypeError as error:
            raise InputError(f"The network configuration does not fit: {error}.") from error
