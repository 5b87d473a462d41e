"""Weights that give no finite numbers are said to the user in a sentence, wherever they show."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.config import NetworkConfig
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.errors import InputError
from mdlstm_core.learning.fine_tuning import LearningOptions, fine_tune
from mdlstm_core.learning.lessons import CorrectedImage
from mdlstm_core.prediction import predict
from mdlstm_core.training.sources import Source
from mdlstm_core.training.trainer import Trainer, TrainingOptions


@pytest.fixture
def broken(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """A model whose first 2D-LSTM hands NaN to the second."""
    checkpoint = make_checkpoint()
    checkpoint.weights["sweeps.0.bias"].fill_(torch.nan)
    return checkpoint


def test_segmenting(broken: Checkpoint, photo: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="weights give no finite numbers"):
        predict(broken.network(), photo)


def test_learning(broken: Checkpoint, photo: NDArray[np.uint8]) -> None:
    corrected = [CorrectedImage(photo, np.zeros(photo.shape[:2], np.uint8))]
    cpu = torch.device("cpu")

    with pytest.raises(InputError, match="weights give no finite numbers"):
        fine_tune(
            broken, lambda: corrected, LearningOptions(), cpu, lambda _: None, threading.Event()
        )


def test_learning_that_goes_astray(
    make_checkpoint: Callable[..., Checkpoint], photo: NDArray[np.uint8]
) -> None:
    corrected = [CorrectedImage(photo, np.zeros(photo.shape[:2], np.uint8))]
    options = LearningOptions(learning_rate=float("inf"))
    cpu = torch.device("cpu")

    with pytest.raises(InputError, match="Learning failed"):
        fine_tune(
            make_checkpoint(), lambda: corrected, options, cpu, lambda _: None, threading.Event()
        )


def test_training_that_goes_astray(
    tiny_config: NetworkConfig, tiny_dataset: Path, tmp_path: Path
) -> None:
    train, validation = (
        LabeledFolder(tiny_dataset, tiny_dataset / name) for name in ("train.txt", "val.txt")
    )
    options = TrainingOptions(epochs=4, batch=1, view=(20, 24), learning_rate=float("inf"))
    out = tmp_path / "model.safetensors"
    source = Source(train, validation, out)
    trainer = Trainer(tiny_config, [source], options, torch.device("cpu"))

    with pytest.raises(InputError, match="The loss is not finite"):
        trainer.run()
