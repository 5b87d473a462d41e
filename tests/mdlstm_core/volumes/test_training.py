"""Learning and labeling whole volumes."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from mdlstm_core.checkpoint import (
    Checkpoint,
    checkpoint_from_bytes,
    checkpoint_of,
    checkpoint_to_bytes,
)
from mdlstm_core.config import LabelClass, NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.presets import preset
from mdlstm_core.volumes import training
from mdlstm_core.volumes.prediction import predict_volume
from mdlstm_core.volumes.pyramid_network import PyramidNetwork, pyramid_of
from mdlstm_core.volumes.stacks import volume_input
from mdlstm_core.volumes.training import LabeledVolume, VolumeOptions, train_volume

CLASSES = (LabelClass("dark", (0, 0, 0)), LabelClass("light", (255, 255, 255)))


@pytest.fixture
def small() -> NetworkConfig:
    return dataclasses.replace(preset("pyramid", 2), lstm_units=(3, 4), feedforward_units=(5,))


@pytest.fixture
def cube() -> LabeledVolume:
    generator = np.random.default_rng(0)
    volume = generator.integers(0, 256, (4, 9, 10, 1), dtype=np.uint8)
    return LabeledVolume(volume, (volume[..., 0] > 128).astype(np.uint8))


def first_slice_decides(generator: np.random.Generator) -> LabeledVolume:
    """Patches in the first slice, noise in all others; their column has the patch's class."""
    labels = generator.integers(0, 2, (2, 2)).repeat(3, axis=0).repeat(3, axis=1)
    volume = generator.normal(0.0, 0.3, (4, 6, 6))
    volume[0] += 4.0 * labels - 2.0
    return LabeledVolume(volume[..., np.newaxis], np.stack([labels] * 4).astype(np.uint8))


def test_network_learns_what_only_another_slice_shows() -> None:
    generator = np.random.default_rng(0)
    samples = [first_slice_decides(generator) for _ in range(20)]
    held_out = [first_slice_decides(generator) for _ in range(8)]
    options = VolumeOptions(steps=50, crop=(4, 6, 6), turn=False, learning_rate=0.1)
    config = dataclasses.replace(preset("pyramid", 2), lstm_units=(4,), feedforward_units=())

    checkpoint = train_volume(samples, CLASSES, options, config)

    right = [
        predict_volume(checkpoint, sample.volume).labels[1:] == sample.labels[1:]
        for sample in held_out
    ]
    assert np.mean(right) > 0.9
    # Without the first slice nothing is left to know it from.
    blind = [
        predict_volume(checkpoint, sample.volume[1:]).labels == sample.labels[1:]
        for sample in held_out
    ]
    assert np.mean(blind) < 0.7


def test_voxels_without_a_label_teach_nothing(cube: LabeledVolume, small: NetworkConfig) -> None:
    unlabeled = cube.labels.copy()
    unlabeled[:, 4:] = 255
    lie = unlabeled.copy()
    lie[:, 4:] = 1 - cube.labels[:, 4:]
    options = VolumeOptions(steps=3, crop=(4, 9, 10))

    def weights(labels: NDArray[np.uint8]) -> Sequence[torch.Tensor]:
        sample = LabeledVolume(cube.volume, labels)
        return list(train_volume([sample], CLASSES, options, small).weights.values())

    first, again, other = (weights(labels) for labels in (unlabeled, unlabeled.copy(), lie))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert all(tensor.isfinite().all() for tensor in first)


def test_checkpoint_keeps_the_network(cube: LabeledVolume, small: NetworkConfig) -> None:
    steps: list[int] = []
    checkpoint = train_volume(
        [cube],
        CLASSES,
        VolumeOptions(steps=2),
        small,
        on_progress=lambda step, _loss: steps.append(step),
    )

    again = checkpoint_from_bytes(checkpoint_to_bytes(checkpoint))

    assert steps == [1, 2]
    assert again.config == checkpoint.config
    before, after = (predict_volume(model, cube.volume) for model in (checkpoint, again))
    np.testing.assert_array_equal(before.labels, after.labels)
    np.testing.assert_array_equal(before.confidence, after.confidence)
    assert before.labels.shape == cube.labels.shape


def test_training_ends_when_told(cube: LabeledVolume, small: NetworkConfig) -> None:
    stop, steps = threading.Event(), []

    def told(step: int, _loss: float) -> None:
        steps.append(step)
        if step == 2:
            stop.set()

    train_volume([cube], CLASSES, VolumeOptions(), small, on_progress=told, stop=stop)

    assert steps == [1, 2]


def test_the_clock_changes_no_step_but_may_end_training(
    cube: LabeledVolume, small: NetworkConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = VolumeOptions(steps=4, seconds=600)
    whole = train_volume([cube], CLASSES, options, small).weights

    # Each look at it finds two thirds of the rest gone.
    times = iter(np.cumsum([0.0, 400, 130, 40, 10]).tolist())
    monkeypatch.setattr(training.time, "monotonic", lambda: next(times))
    slow = train_volume([cube], CLASSES, options, small).weights

    assert all(torch.equal(slow[name], value) for name, value in whole.items())
    times, steps = iter([0.0, 599.0, 600.0]), []
    train_volume([cube], CLASSES, options, small, on_progress=lambda step, _: steps.append(step))
    assert steps == [1, 2]


def test_a_gradient_that_overflows_is_not_learned_from(
    cube: LabeledVolume, small: NetworkConfig
) -> None:
    def overflow(module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        if isinstance(module, PyramidNetwork):
            output.register_hook(lambda gradient: gradient * torch.inf)

    handle = register_module_forward_hook(overflow)
    try:
        with pytest.raises(InputError, match="not finite in step 1; train with another seed"):
            train_volume([cube], CLASSES, VolumeOptions(steps=1), small)
    finally:
        handle.remove()


@pytest.fixture
def untrained(cube: LabeledVolume, small: NetworkConfig) -> Checkpoint:
    return train_volume([cube], CLASSES, VolumeOptions(steps=1), small)


def test_one_tile_gives_what_the_network_gives(cube: LabeledVolume, untrained: Checkpoint) -> None:
    predicted = predict_volume(untrained, cube.volume)

    with torch.no_grad():
        logits = pyramid_of(untrained)(volume_input(cube.volume))[0]
    confidence, labels = logits.softmax(dim=0).max(dim=0)
    np.testing.assert_array_equal(predicted.labels, labels)
    np.testing.assert_allclose(predicted.confidence, confidence * 255, atol=0.51)


def test_tiles_cover_the_volume_and_are_averaged(
    untrained: Checkpoint, small: NetworkConfig
) -> None:
    # Nothing travels: each voxel is labeled by itself, in whichever tiles it lies.
    config = dataclasses.replace(small, kernel_size=1)
    torch.manual_seed(0)
    network = PyramidNetwork(config)
    with torch.no_grad():
        for sweep in network.sweeps:
            sweep.recurrent_weight.zero_()
            sweep.bias[:, sweep.units : 2 * sweep.units] = -1e9
    checkpoint = checkpoint_of(network, untrained)
    checkpoint = dataclasses.replace(checkpoint, config=config)
    volume = np.random.default_rng(1).normal(size=(7, 20, 21, 1))

    whole = predict_volume(checkpoint, volume)
    tiled = predict_volume(checkpoint, volume, tile=(4, 8, 9))

    np.testing.assert_array_equal(tiled.labels, whole.labels)
    np.testing.assert_allclose(tiled.confidence, whole.confidence.astype(int), atol=1)
    assert len(np.unique(whole.labels)) == 2


def test_channels_are_read_side_by_side(small: NetworkConfig) -> None:
    volume = np.random.default_rng(2).normal(size=(2, 5, 6, 3))
    labels = np.zeros((2, 5, 6), dtype=np.uint8)

    checkpoint = train_volume(
        [LabeledVolume(volume, labels)], CLASSES, VolumeOptions(steps=1), small
    )

    assert checkpoint.config.channels == (3,)
    assert predict_volume(checkpoint, volume).labels.shape == (2, 5, 6)
    with pytest.raises(InputError, match=r"of 3 channels, this one has 1\."):
        predict_volume(checkpoint, volume[..., :1])


@pytest.mark.parametrize(
    ("volume", "labels", "said"),
    [
        (np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), r"slices×rows×columns×channels"),
        (np.zeros((2, 3, 4, 1)), np.zeros((2, 3, 5)), r"2×3×4 voxels has labels of 2×3×5"),
        (np.zeros((2, 3, 4, 1)), np.full((2, 3, 4), 255), "nothing to learn from"),
        (np.zeros((2, 3, 4, 1)), np.full((2, 3, 4), 2), "a class 2, but there are 2"),
        (np.full((2, 3, 4, 1), np.nan), np.zeros((2, 3, 4)), "not finite"),
        (np.zeros((0, 3, 4, 1)), np.zeros((0, 3, 4)), "slices×rows"),
    ],
)
def test_bad_volumes_are_refused(
    volume: NDArray[np.float64], labels: NDArray[np.float64], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        train_volume([LabeledVolume(volume, labels.astype(np.uint8))], CLASSES)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"crop": (1, 0, 1)}, {"seconds": 0}, {"seed": -1}])
def test_bad_options_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must be positive"):
        VolumeOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_learning_rates_are_refused(rate: float) -> None:
    with pytest.raises(InputError, match="learning rate must be positive"):
        VolumeOptions(learning_rate=rate)


def test_models_of_images_and_volumes_are_told_apart(
    tiny_checkpoint: Checkpoint, untrained: Checkpoint, cube: LabeledVolume
) -> None:
    with pytest.raises(InputError, match="labels images, not volumes"):
        predict_volume(tiny_checkpoint, cube.volume)
    with pytest.raises(InputError, match="labels volumes, not images"):
        untrained.network()


def test_broken_weights_are_refused(untrained: Checkpoint, cube: LabeledVolume) -> None:
    nan = {name: torch.full_like(value, torch.nan) for name, value in untrained.weights.items()}
    with pytest.raises(InputError, match="no finite numbers"):
        predict_volume(dataclasses.replace(untrained, weights=nan), cube.volume)
    with pytest.raises(InputError, match="do not fit"):
        predict_volume(dataclasses.replace(untrained, weights={}), cube.volume)
