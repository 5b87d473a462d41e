"""Image labeling with the 2D-LSTM: networks, kernels, training and learning, without a window.

The public names are loaded when they are first used, so that importing the package costs
nothing: most of them need torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Checkpoint": "checkpoint",
    "CorrectedImage": "learning.lessons",
    "GateQuery": "insight.gates",
    "IGNORE_INDEX": "config",
    "InputError": "errors",
    "LabelClass": "config",
    "LabeledFolder": "data.dataset",
    "LabeledVolume": "volumes.training",
    "LearningOptions": "learning.fine_tuning",
    "Predictor": "predictor",
    "TextureOptions": "learning.texture",
    "VolumeOptions": "volumes.training",
    "load_checkpoint": "checkpoint",
    "predict_volume": "volumes.prediction",
    "read_image": "data.images",
    "save_checkpoint": "checkpoint",
    "segment_texture": "learning.texture",
    "train_volume": "volumes.training",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
