"""Weights that give no finite numbers are said to the user in a sentence, wherever they show."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.checkpoint import Checkpoint, save_checkpoint
from mdlstm_core.config import GATES, NetworkConfig
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.errors import InputError
from mdlstm_core.learning.fine_tuning import LearningOptions, fine_tune
from mdlstm_core.learning.lessons import CorrectedImage
from mdlstm_core.prediction import predict
from mdlstm_core.training.options import TrainingOptions
from mdlstm_core.training.sources import Source
from mdlstm_core.training.trainer import Trainer


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


def test_training_whose_cells_grow_over_larger_images(
    tiny_config: NetworkConfig,
    make_checkpoint: Callable[..., Checkpoint],
    tiny_dataset: Path,
    tmp_path: Path,
) -> None:
    # Forget gates that are open: every cell adds up all before it, as many times as paths lead
    # there, and the signs of light and dark pixels meet.
    config = dataclasses.replace(tiny_config, working_pixels=40_000)
    start = make_checkpoint(config)
    gates = start.weights["sweeps.0.bias"].unflatten(1, (len(GATES), -1))
    gates.fill_(20.0)
    gates[:, GATES.index("candidate")] = 0.0
    save_checkpoint(start, tmp_path / "start.safetensors")
    generator = np.random.default_rng(0)
    large = generator.integers(0, 2, (180, 180, 1), np.uint8) * np.full(3, 255, np.uint8)
    Image.fromarray(large).save(tiny_dataset / "images" / "scene_3.png")
    Image.fromarray(np.zeros((180, 180), np.uint8)).save(tiny_dataset / "labels" / "scene_3.png")
    train, validation = (
        LabeledFolder(tiny_dataset, tiny_dataset / name) for name in ("train.txt", "val.txt")
    )
    options = TrainingOptions(epochs=1, batch=1, view=(20, 24), learning_rate=1e-9)
    source = Source(train, validation, tmp_path / "model.safetensors")
    trainer = Trainer(config, [source], options, torch.device("cpu"))
    trainer.start_from(str(tmp_path / "start.safetensors"))

    with pytest.raises(InputError, match=r"After epoch 1 a whole image .* smaller images"):
        trainer.run()
