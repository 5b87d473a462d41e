"""Image labeling with the 2D-LSTM: networks, kernels, training and learning, without a window.

The public names are loaded when they are first used, so that importing the package costs
nothing: most of them need torch. docs/api.md shows them at work.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and editors; `_HOMES` is what counts at run time
    from mdlstm_core.api import label_source as label_source
    from mdlstm_core.api import load_model as load_model
    from mdlstm_core.api import read_dataset as read_dataset
    from mdlstm_core.api import train as train
    from mdlstm_core.api import write_dataset as write_dataset
    from mdlstm_core.checkpoint import Checkpoint as Checkpoint
    from mdlstm_core.checkpoint import load_checkpoint as load_checkpoint
    from mdlstm_core.checkpoint import save_checkpoint as save_checkpoint
    from mdlstm_core.config import IGNORE_INDEX as IGNORE_INDEX
    from mdlstm_core.config import LabelClass as LabelClass
    from mdlstm_core.data.images import read_image as read_image
    from mdlstm_core.errors import InputError as InputError
    from mdlstm_core.insight.queries import ContextQuery as ContextQuery
    from mdlstm_core.insight.queries import GateQuery as GateQuery
    from mdlstm_core.insight.queries import Pixel as Pixel
    from mdlstm_core.learning.fine_tuning import LearningOptions as LearningOptions
    from mdlstm_core.learning.lessons import CorrectedImage as CorrectedImage
    from mdlstm_core.learning.texture import TextureOptions as TextureOptions
    from mdlstm_core.learning.texture import segment_texture as segment_texture
    from mdlstm_core.predictor import Predictor as Predictor
    from mdlstm_core.training.options import TrainingOptions as TrainingOptions
    from mdlstm_core.volumes.prediction import predict_volume as predict_volume
    from mdlstm_core.volumes.training import LabeledVolume as LabeledVolume
    from mdlstm_core.volumes.training import VolumeOptions as VolumeOptions
    from mdlstm_core.volumes.training import train_volume as train_volume

__version__ = "0.1.0"

_HOMES = {
    "Checkpoint": "checkpoint",
    "ContextQuery": "insight.queries",
    "CorrectedImage": "learning.lessons",
    "GateQuery": "insight.queries",
    "IGNORE_INDEX": "config",
    "InputError": "errors",
    "LabelClass": "config",
    "LabeledVolume": "volumes.training",
    "LearningOptions": "learning.fine_tuning",
    "Pixel": "insight.queries",
    "Predictor": "predictor",
    "TextureOptions": "learning.texture",
    "TrainingOptions": "training.options",
    "VolumeOptions": "volumes.training",
    "label_source": "api",
    "load_checkpoint": "checkpoint",
    "load_model": "api",
    "predict_volume": "volumes.prediction",
    "read_dataset": "api",
    "read_image": "data.images",
    "save_checkpoint": "checkpoint",
    "segment_texture": "learning.texture",
    "train": "api",
    "train_volume": "volumes.training",
    "write_dataset": "api",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names, for those who look around."""
    return [*__all__, "__version__"]
