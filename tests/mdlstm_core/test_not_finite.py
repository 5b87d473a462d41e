"""Weights that give no finite numbers are said to the user in a sentence, wherever they show."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mdlstm_core.config import GATES, NetworkConfig
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.errors import InputError
from mdlstm_core.learning.fine_tuning import LearningOptions, fine_tune
from mdlstm_core.learning.lessons import CorrectedImage
from mdlstm_core.prediction import predict
from mdlstm_core.training.options import TrainingOptions
from mdlstm_core.training.sources import Source
from mdlstm_core.training.state import load_state
from mdlstm_core.training.trainer import Trainer


@pytest.fixture
def broken(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """A model whose first 2D-LSTM hands NaN to the second."""
    checkpoint = make_checkpoint()
    checkpoint.weights["sweeps.0.bias"].fill_(torch.nan)
    return checkpoint


def source_of(dataset: Path, out: Path) -> Source:
    train, validation = (LabeledFolder(dataset, dataset / f"{n}.txt") for n in ("train", "val"))
    return Source(train, validation, out)


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
    options = TrainingOptions(epochs=4, batch=1, view=(20, 24), learning_rate=float("inf"))
    source = source_of(tiny_dataset, tmp_path / "model.safetensors")
    trainer = Trainer(tiny_config, [source], options, torch.device("cpu"))

    with pytest.raises(InputError, match="The loss is not finite"):
        trainer.run()


def overflow_after(trainer: Trainer, epoch: int) -> Callable[[dict[str, Any]], None]:
    """Return a callback after which gradients overflow, once an epoch is kept; losses do not."""

    def watch(line: dict[str, Any]) -> None:
        if "step" not in line and line["epoch"] == epoch:
            for parameter in trainer._network.parameters():
                parameter.register_hook(lambda gradient: gradient * float("inf"))

    return watch


def test_training_whose_gradient_overflows_keeps_what_it_had(
    tiny_config: NetworkConfig, tiny_dataset: Path, tmp_path: Path
) -> None:
    # One step an epoch: no later one shows what an overflowing gradient has done.
    options = TrainingOptions(epochs=4, batch=3, view=(20, 24))
    out = tmp_path / "model.safetensors"
    source = source_of(tiny_dataset, out)
    trainer = Trainer(tiny_config, [source], options, torch.device("cpu"))

    with pytest.raises(InputError, match="The loss is not finite in epoch 3"):
        trainer.run(overflow_after(trainer, 2))

    state = load_state(tmp_path / "model.safetensors.state")
    assert state.epoch == 2
    for tensors in (state.network, state.average, state.optimizer, load_checkpoint(out).weights):
        assert all(tensor.isfinite().all() for tensor in tensors.values())
    resumed = Trainer(tiny_config, [source], options, torch.device("cpu"))
    resumed.resume()
    resumed.run()
    assert load_state(tmp_path / "model.safetensors.state").epoch == 4


def test_weights_that_are_not_finite_are_not_written(
    tiny_config: NetworkConfig, tiny_dataset: Path, tmp_path: Path
) -> None:
    # The only step of the epoch: its loss is that of the weights before.
    options = TrainingOptions(epochs=4, batch=3, view=(20, 24), learning_rate=float("inf"))
    source = source_of(tiny_dataset, tmp_path / "model.safetensors")
    trainer = Trainer(tiny_config, [source], options, torch.device("cpu"))

    with pytest.raises(InputError, match="The weights are not finite after epoch 1"):
        trainer.run()

    assert not source.out.exists()
    assert not (tmp_path / "model.safetensors.state").exists()


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
    options = TrainingOptions(epochs=1, batch=1, view=(20, 24), learning_rate=1e-9)
    source = source_of(tiny_dataset, tmp_path / "model.safetensors")
    trainer = Trainer(config, [source], options, torch.device("cpu"))
    trainer.start_from(str(tmp_path / "start.safetensors"))

    with pytest.raises(InputError, match=r"After epoch 1 a whole image .* smaller images"):
        trainer.run()
