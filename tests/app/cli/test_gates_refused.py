"""What `mdlstm gates` refuses: in one sentence, and before anything is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.checkpoint import Checkpoint, save_checkpoint
from mdlstm_core.config import NetworkConfig


@pytest.fixture
def photo_file(photo: NDArray[np.uint8], tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "gates"


@pytest.mark.parametrize(
    ("options", "naming"),
    [
        (("--layer", 3), "2D-LSTM layers 1 to 2, no layer 3"),
        (("--layer", 0), "no layer 0"),
        (("--reduce", "unit", 4), "units 1 to 3, no unit 4"),
        (("--layer", 2, 1, "--reduce", "unit", 3), "Layer 1 has units 1 to 2, no unit 3"),
        (("--layer", 1, "--contact-sheet", "--reduce", "unit", 3), "no unit 3"),
        (("--compare", "scene", "--reduce", "pca"), "each model's own"),
        (("--reduce", "unit", 0), "--reduce: expected mean, unit N, strongest X,Y or pca"),
        (("--reduce", "unit"), "given unit"),
        (("--reduce", "median"), "given median"),
        (("--reduce", "strongest", "5"), "--reduce strongest: expected X,Y"),
        (("--reduce", "strongest", "31,0"), "lies outside the image: it has columns 0 to 30"),
        (("--at", "31,0"), "lies outside the image"),
        (("--at", "1;2"), "--at: expected X,Y"),
        (("--at", "1,2", "--class", "sea"), "labels sky, grass, road, not sea"),
        (("--class", "sky"), "name the pixel with --at"),
        (("--compare", "none.safetensors"), "no model none.safetensors"),
        (("--pixels", 10), "1,000 to 16,000,000 pixels"),
        (("--diagonal", 0), "Layer 2 has diagonals 1 to 27 over this image, no diagonal 0."),
        (("--diagonal", 28), "no diagonal 28"),
        (("--layer", 2, 1, "--diagonal", 28), "no diagonal 28"),
        (("--diagonal", 3, "--compare", "other.safetensors"), "leave --compare out"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(
    assert_refused: Callable[..., None],
    photo_file: Path,
    checkpoint_file: Path,
    out: Path,
    options: tuple[object, ...],
    naming: str,
) -> None:
    few = ("--direction", "top-left", "--gate", "cell")
    assert_refused(
        "gates", photo_file, "--out", out, "--model", checkpoint_file, *few, *options, naming=naming
    )
    assert not out.exists()


def test_model_without_2d_lstm_layers_is_refused(
    assert_refused: Callable[..., None],
    make_checkpoint: Callable[..., Checkpoint],
    scene_config: NetworkConfig,
    photo_file: Path,
    tmp_path: Path,
    out: Path,
) -> None:
    model = tmp_path / "convolutions.safetensors"
    save_checkpoint(make_checkpoint(dataclasses.replace(scene_config, recurrent=False)), model)

    assert_refused("gates", photo_file, "--out", out, "--model", model, naming="no 2D-LSTM layers")
    assert not out.exists()


def test_recording_that_would_not_fit_is_refused(
    assert_refused: Callable[..., None],
    photo_file: Path,
    checkpoint_file: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mdlstm_core.host_memory.host_memory", lambda: (10_000, 10_000))

    assert_refused(
        "gates", photo_file, "--out", out, "--model", checkpoint_file, naming="31×23 pixels needs"
    )
    assert not out.exists()


def test_gradient_that_would_not_fit_is_refused_before_anything_is_written(
    assert_refused: Callable[..., None],
    photo_file: Path,
    checkpoint_file: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mdlstm_core.insight.context.gradient_bytes", lambda *_: 1 << 60)

    options = ("--out", out, "--model", checkpoint_file, "--at", "3,4")
    assert_refused("gates", photo_file, *options, naming="The gradient over an image of 31×23")
    assert not out.exists()


def test_missing_image_is_refused(
    assert_refused: Callable[..., None], checkpoint_file: Path, tmp_path: Path, out: Path
) -> None:
    missing = tmp_path / "none.png"
    assert_refused("gates", missing, "--out", out, "--model", checkpoint_file, naming=missing)
