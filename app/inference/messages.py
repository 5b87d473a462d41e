"""Requests to the model and its answers: frozen, with immutable arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import LabelClass


@dataclass(frozen=True)
class LoadRequest:
    """Load a model: a shipped one's name, a file, or a checkpoint's bytes."""

    model: str | Path | bytes
    device: str = "auto"


@dataclass(frozen=True)
class ModelInfo:
    """The model that serves from now on.

    Attributes:
        preset: what kind of network it is.
        classes: its classes, in the order of the label map's indices.
        layer_units: hidden units a direction, one number a 2D-LSTM layer.
        device: the device really used.
        reason: why that device.
    """

    preset: str
    classes: tuple[LabelClass, ...]
    layer_units: tuple[int, ...]
    device: str
    reason: str


@dataclass(frozen=True)
class PredictRequest:
    """Label every pixel of an image H×W×3."""

    image_path: Path
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """The model's label map and confidence (0 to 255) of an image, both H×W."""

    image_path: Path
    label_map: NDArray[np.uint8]
    confidence: NDArray[np.uint8]


@dataclass(frozen=True)
class GateRequest:
    """Show a gate of the network over an image (see `mdlstm_core.insight.gates`)."""

    image_path: Path
    image: NDArray[np.uint8]
    layer: int
    direction: int
    gate: str
    unit: int | None


@dataclass(frozen=True)
class GateAnswer:
    """A gate's values, one a cell, and the size of a cell in the image's pixels."""

    request: GateRequest
    values: NDArray[np.float32]
    cell_pixels: tuple[float, float]


@dataclass(frozen=True)
class CorrectedFile:
    """An image file and an immutable copy of its corrections H×W."""

    image_path: Path
    corrections: NDArray[np.uint8]


@dataclass(frozen=True)
class LearnRequest:
    """Learn from corrections, starting from a model; at most `seconds` long."""

    model: str | Path | bytes
    corrected: tuple[CorrectedFile, ...]
    seconds: float
    device: str = "auto"


@dataclass(frozen=True)
class Progress:
    """A step of learning: its number from 1, of how many, and the corrections' loss."""

    step: int
    steps: int
    loss: float
