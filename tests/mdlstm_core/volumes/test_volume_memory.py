"""What volumes do when the GPU's memory does not suffice."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import numpy as np
import pytest

from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.config import LabelClass
from mdlstm_core.memory import ON_CPU, SMALLER_PARTS
from mdlstm_core.presets import preset
from mdlstm_core.volumes.prediction import VolumePrediction, predict_volume
from mdlstm_core.volumes.training import LabeledVolume, VolumeOptions, train_volume

CLASSES = (LabelClass("dark", (0, 0, 0)), LabelClass("light", (255, 255, 255)))
TILE = (3, 12, 20)
HALF = (3, 8, 14)


@pytest.fixture
def cube() -> LabeledVolume:
    volume = np.random.default_rng(0).integers(0, 256, (4, 25, 30, 1), dtype=np.uint8)
    return LabeledVolume(volume, (volume[..., 0] > 128).astype(np.uint8))


def trained(cube: LabeledVolume, options: VolumeOptions, **calls: Any) -> Checkpoint:
    small = dataclasses.replace(preset("pyramid", 2), lstm_units=(3, 4), feedforward_units=(5,))
    return train_volume([cube], CLASSES, options, small, **calls)


@pytest.fixture
def model(cube: LabeledVolume) -> Checkpoint:
    return trained(cube, VolumeOptions(steps=1))


def assert_same(found: VolumePrediction, expected: VolumePrediction) -> None:
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.confidence, expected.confidence)


@pytest.mark.parametrize("fitting", [0, 2])
def test_a_volume_is_labeled_in_smaller_tiles(
    model: Checkpoint,
    cube: LabeledVolume,
    short_memory: Any,
    fitting: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = predict_volume(model, cube.volume, tile=HALF)
    assert expected.notice == ""
    tiles = list(short_memory.seen)
    short_memory.seen.clear()
    short_memory.fails = [False] * fitting + [True]

    with caplog.at_level(logging.INFO):
        found = predict_volume(model, cube.volume, tile=TILE)

    assert_same(found, expected)
    assert found.notice == SMALLER_PARTS
    assert short_memory.seen == [TILE] * (fitting + 1) + tiles
    (record,) = caplog.records
    assert record.getMessage() == SMALLER_PARTS
    assert "OutOfMemoryError: CUDA out of memory. Tried to allocate" in caplog.text


def test_a_volume_is_labeled_on_the_cpu_after_smaller_tiles(
    model: Checkpoint, cube: LabeledVolume, short_memory: Any
) -> None:
    expected = predict_volume(model, cube.volume, tile=TILE)
    short_memory.seen.clear()
    short_memory.fails = [True, True]

    found = predict_volume(model, cube.volume, tile=TILE)

    assert_same(found, expected)
    assert found.notice == ON_CPU
    assert short_memory.seen[:3] == [TILE, HALF, TILE]
    assert set(short_memory.seen[3:]) == {TILE}


def test_a_volume_smaller_than_a_tile_is_cut_too(
    model: Checkpoint, cube: LabeledVolume, short_memory: Any
) -> None:
    short_memory.fails = [True]

    found = predict_volume(model, cube.volume)

    assert found.labels.shape == (4, 25, 30)
    assert short_memory.seen[0] == (4, 25, 30)
    assert set(short_memory.seen[1:]) == {(4, 18, 21)}


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize(
    ("fails", "notices", "size"),
    [([True], [SMALLER_PARTS], HALF), ([True, True], [SMALLER_PARTS, ON_CPU], TILE)],
    ids=["smaller", "cpu"],
)
def test_learning_goes_on_with_smaller_crops_and_then_on_the_cpu(
    cube: LabeledVolume,
    short_memory: Any,
    before: int,
    fails: list[bool],
    notices: list[str],
    size: tuple[int, int, int],
) -> None:
    options = VolumeOptions(steps=6, crop=TILE, turn=False)
    short_memory.fails = [False] * before + fails
    steps: list[tuple[int, float]] = []
    said: list[tuple[int, str]] = []

    trained(
        cube,
        options,
        on_progress=lambda *step: steps.append(step),
        on_notice=lambda notice: said.append((len(steps), notice)),
    )

    assert [step for step, _ in steps] == [1, 2, 3, 4, 5, 6]
    assert said == [(before, notice) for notice in notices]
    assert short_memory.seen[: before + 1] == [TILE] * (before + 1)
    assert short_memory.seen[before + len(fails) :] == [size] * (6 - before)
    assert len(short_memory.seen) == 6 + len(fails)


def test_learning_keeps_what_it_had_learned(cube: LabeledVolume, short_memory: Any) -> None:
    options = VolumeOptions(steps=40, crop=(4, 25, 30), turn=False, learning_rate=0.05)
    losses: list[float] = []
    short_memory.fails = [False] * 35 + [True, True]

    trained(cube, options, on_progress=lambda _step, loss: losses.append(loss))

    assert max(losses[35:]) < 0.9 * losses[0]
    assert max(losses[35:]) < 1.1 * losses[34]
