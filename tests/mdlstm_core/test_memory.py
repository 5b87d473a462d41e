"""What is done when memory does not suffice, by networks that run out of it."""

from __future__ import annotations

import dataclasses
import logging
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.insight.gates import gate_map
from mdlstm_core.insight.queries import GateQuery
from mdlstm_core.insight.recording import record
from mdlstm_core.learning.fine_tuning import (
    LearningOptions,
    LearningProgress,
    fine_tune,
)
from mdlstm_core.learning.lessons import CorrectedImage
from mdlstm_core.memory import COARSER, IN_PIECES, ON_CPU, Attempt, first_that_fits
from mdlstm_core.prediction import Prediction, on_device, predict
from mdlstm_core.predictor import Predictor
from mdlstm_core.training.options import TrainingOptions
from mdlstm_core.training.sources import Source
from mdlstm_core.training.trainer import Trainer

CPU = torch.device("cpu")
QUERY = GateQuery(layer=1, direction=2, gate="input", unit=0)


@pytest.fixture
def large_photo() -> NDArray[np.uint8]:
    """An image with more pixels than the tiny network's working area of 6000."""
    return np.random.default_rng(4).integers(0, 256, (90, 120, 3), dtype=np.uint8)


@pytest.fixture
def coarse(tiny_checkpoint: Checkpoint) -> Checkpoint:
    """The same model with half the working area."""
    config = tiny_checkpoint.config
    halved = dataclasses.replace(config, working_pixels=config.working_pixels // 2)
    return dataclasses.replace(tiny_checkpoint, config=halved)


def assert_same_prediction(found: Prediction, expected: Prediction) -> None:
    np.testing.assert_array_equal(found.label_map, expected.label_map)
    np.testing.assert_array_equal(found.confidence, expected.confidence)


def test_usual_prediction_has_no_notice(
    tiny_checkpoint: Checkpoint, large_photo: NDArray[np.uint8], short_memory: Any
) -> None:
    assert predict(tiny_checkpoint.network(), large_photo).notice == ""
    assert len(short_memory.seen) == 1


def test_prediction_takes_a_coarser_look(
    tiny_checkpoint: Checkpoint,
    coarse: Checkpoint,
    large_photo: NDArray[np.uint8],
    short_memory: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = predict(coarse.network(), large_photo)
    short_memory.fails = [True]

    with caplog.at_level(logging.INFO):
        found = predict(tiny_checkpoint.network(), large_photo)

    assert_same_prediction(found, expected)
    assert found.notice == COARSER
    (record,) = caplog.records
    assert record.getMessage() == COARSER
    assert caplog.text.count("OutOfMemoryError: CUDA out of memory. Tried to allocate") == 1
    assert "Traceback" in caplog.text


def test_prediction_goes_to_the_cpu_after_one_coarser_look(
    tiny_checkpoint: Checkpoint, large_photo: NDArray[np.uint8], short_memory: Any
) -> None:
    network = tiny_checkpoint.network()
    expected = predict(network, large_photo)
    whole = short_memory.seen.pop()
    short_memory.fails = [True, True]

    found = predict(network, large_photo)

    assert_same_prediction(found, expected)
    assert found.notice == ON_CPU
    assert short_memory.seen[0] == short_memory.seen[2] == whole
    area = np.prod(short_memory.seen[1]) / np.prod(whole)
    assert area == pytest.approx(0.5, rel=0.05)


def test_exact_prediction_goes_to_the_cpu_at_once(
    tiny_checkpoint: Checkpoint, large_photo: NDArray[np.uint8], short_memory: Any
) -> None:
    predictor = Predictor(tiny_checkpoint, "cpu")
    expected = predictor.predict(large_photo)
    short_memory.fails = [True]

    found = predictor.predict(large_photo, exact=True)

    assert_same_prediction(found, expected)
    assert found.notice == ON_CPU
    assert len(set(short_memory.seen)) == 1


def test_small_image_is_looked_at_more_coarsely_too(
    tiny_checkpoint: Checkpoint, photo: NDArray[np.uint8], short_memory: Any
) -> None:
    short_memory.fails = [True]

    found = predict(tiny_checkpoint.network(), photo)

    assert found.label_map.shape == photo.shape[:2]
    assert short_memory.seen == [(23, 31), (16, 22)]


@pytest.mark.parametrize(("fails", "notice"), [([True], COARSER), ([True, True], ON_CPU)])
def test_gates(
    tiny_checkpoint: Checkpoint,
    coarse: Checkpoint,
    large_photo: NDArray[np.uint8],
    short_memory: Any,
    fails: list[bool],
    notice: str,
) -> None:
    like = coarse if notice == COARSER else tiny_checkpoint
    expected = gate_map(record(like.network(), large_photo), QUERY)
    short_memory.fails = list(fails)

    found = gate_map(record(tiny_checkpoint.network(), large_photo), QUERY)

    np.testing.assert_array_equal(found.values, expected.values)
    assert found.cell_pixels == expected.cell_pixels
    assert found.notice == notice


def learned(
    checkpoint: Checkpoint,
    image: NDArray[np.uint8],
    on_progress: Callable[[LearningProgress], None] = lambda _progress: None,
) -> Checkpoint:
    corrections = np.full(image.shape[:2], 255, np.uint8)
    corrections[10:40, 20:50] = 1

    def corrected() -> Any:
        yield CorrectedImage(image, corrections)

    options = LearningOptions(steps=4, seconds=600)
    stop = threading.Event()
    return fine_tune(checkpoint, corrected, options, CPU, on_progress, stop).checkpoint


@pytest.mark.parametrize("fails", [[True], [True, True]], ids=["coarser", "cpu"])
@pytest.mark.parametrize("before_step", [0, 3])
def test_learning_begins_anew(
    tiny_checkpoint: Checkpoint,
    coarse: Checkpoint,
    large_photo: NDArray[np.uint8],
    short_memory: Any,
    fails: list[bool],
    before_step: int,
) -> None:
    like, notice = (coarse, COARSER) if len(fails) == 1 else (tiny_checkpoint, ON_CPU)
    expected = learned(like, large_photo)
    steps: list[LearningProgress] = []

    def on_progress(progress: LearningProgress) -> None:
        steps.append(progress)
        if len(steps) == before_step:
            short_memory.fails = list(fails)

    if not before_step:
        short_memory.fails = list(fails)
    found = learned(tiny_checkpoint, large_photo, on_progress)

    assert not all(torch.equal(found.weights[k], v) for k, v in tiny_checkpoint.weights.items())
    assert all(torch.equal(found.weights[k], v) for k, v in expected.weights.items())
    assert found.config == tiny_checkpoint.config
    assert [(p.step, p.notice) for p in steps] == [
        *((step + 1, "") for step in range(before_step)),
        *((step + 1, notice) for step in range(4)),
    ]


@pytest.mark.parametrize("most", [2, 1])
@pytest.mark.parametrize("config", ["tiny_config", "scene_config"])
def test_training_goes_on_in_smaller_pieces(
    config: str,
    most: int,
    request: pytest.FixtureRequest,
    tiny_dataset: Path,
    tmp_path: Path,
    short_memory: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    drawn = dataclasses.replace(request.getfixturevalue(config), dropout=0.0)
    folders = (LabeledFolder(tiny_dataset, tiny_dataset / f"{n}.txt") for n in ("train", "val"))
    source = Source(*folders, tmp_path / "model.safetensors")
    options = TrainingOptions(epochs=3, batch=3, view=(18, 22))
    lines: list[dict[str, Any]] = []
    notices: list[str] = []

    def losses() -> list[float]:
        lines.clear()
        trainer = Trainer(drawn, [source], options, CPU)
        trainer.run(lines.append, on_notice=notices.append)
        return [line["loss"] for line in lines if "step" in line]

    expected = losses()
    assert not any(notices)
    short_memory.most = most

    with caplog.at_level(logging.INFO):
        assert losses() == pytest.approx(expected, rel=1e-4)

    assert [notice for notice in notices if notice] == [IN_PIECES]
    # Three images at once, then two, then one; no later step tries more.
    assert [record.getMessage() for record in caplog.records] == [IN_PIECES] * (3 - most)
    assert "OutOfMemoryError: CUDA out of memory. Tried to allocate" in caplog.text


def test_training_ends_where_one_image_does_not_fit(
    mdlstm: Callable[..., Any], tiny_dataset: Path, tmp_path: Path, short_memory: Any
) -> None:
    short_memory.most = 0
    arguments = ("--preset", "byeon2015-5x5", "--epochs", 1, "--batch", 2, "--device", "cpu")

    result = mdlstm("train", tiny_dataset, "--out", tmp_path / "model.safetensors", *arguments)

    assert result.code == 2
    assert result.err == (
        "mdlstm: The GPU has too little free memory; train with a smaller batch or smaller "
        "images (--pixels).\n"
    )
    assert len(short_memory.seen) == 2


def test_model_that_does_not_fit_stays_on_the_cpu(
    tiny_checkpoint: Checkpoint, large_photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Predictor(tiny_checkpoint, "cpu")
    move, moves = torch.nn.Module.to, []

    def move_once_in_vain(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
        moves.append(device)
        if len(moves) == 1:
            raise torch.OutOfMemoryError
        return move(module, device)

    monkeypatch.setattr(torch.nn.Module, "to", move_once_in_vain)
    found = Predictor(tiny_checkpoint, "cpu")

    assert (expected.notice, found.notice) == ("", ON_CPU)
    assert found.device == (CPU, "the GPU has too little free memory")
    assert_same_prediction(found.predict(large_photo), expected.predict(large_photo))
    assert found.predict(large_photo).notice == ""


def test_copy_on_another_device_is_the_same_network(tiny_checkpoint: Checkpoint) -> None:
    network = tiny_checkpoint.network().train()
    drawn = torch.get_rng_state()

    copied = on_device(network, torch.device("meta"))

    assert on_device(network, CPU) is network
    assert torch.equal(torch.get_rng_state(), drawn)
    assert copied.config == network.config
    assert copied.training
    shapes = {name: weight.shape for name, weight in network.named_parameters()}
    assert {name: weight.shape for name, weight in copied.named_parameters()} == shapes
    assert {weight.device.type for weight in copied.parameters()} == {"meta"}
    assert {weight.device.type for weight in network.parameters()} == {"cpu"}


def test_memory_of_an_attempt_is_free_before_the_next() -> None:
    taken: list[weakref.ref[torch.Tensor]] = []

    def work(attempt: Attempt) -> bool:
        assert all(tensor() is None for tensor in taken)
        tensor = torch.ones(3)
        taken.append(weakref.ref(tensor))
        if attempt.notice != ON_CPU:
            raise torch.OutOfMemoryError
        return True

    assert first_that_fits(CPU, work)
    assert len(taken) == 3


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: out of memory\nCompile with ..."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
    ],
    ids=["CUDA", "cuBLAS", "cuDNN", "Triton"],
)
def test_errors_beside_torchs_own(error: RuntimeError) -> None:
    def work(attempt: Attempt) -> float:
        if not attempt.notice:
            raise error
        return attempt.share

    assert first_that_fits(CPU, work) == 0.5


def test_other_errors_are_not_tried_again() -> None:
    attempts: list[Attempt] = []

    def work(attempt: Attempt) -> None:
        attempts.append(attempt)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        first_that_fits(CPU, work)
    assert len(attempts) == 1


def too_large_for_opencv() -> None:
    # Larger than any address space: what OpenCV says does not depend on the machine.
    with pytest.raises(cv2.error) as error:
        cv2.resize(np.zeros((1, 1, 4)), (2**31 - 1, 2**31 - 1))
    raise error.value


@pytest.mark.parametrize(
    "allocate",
    [lambda: torch.empty(10**15), lambda: np.empty(10**15), too_large_for_opencv],
    ids=["torch", "numpy", "OpenCV"],
)
@pytest.mark.parametrize("fails", [[True], [True, True, True]])
def test_too_little_memory_of_the_computer(
    tiny_checkpoint: Checkpoint,
    photo: NDArray[np.uint8],
    short_memory: Any,
    allocate: Callable[[], object],
    fails: list[bool],
) -> None:
    def fail() -> object:
        if short_memory.fails:
            raise torch.OutOfMemoryError
        return allocate()

    short_memory.fail, short_memory.fails = fail, list(fails)

    with pytest.raises(MemoryError):
        predict(tiny_checkpoint.network(), photo)
    assert short_memory.fails == []
