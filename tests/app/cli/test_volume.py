"""`mdlstm volume`: stacks in, models and stacks out, and what is refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.memory import ON_CPU, SMALLER_PARTS

Mdlstm = Callable[..., Any]


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).integers(0, 256, (3, 9, 8), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", values, photometric="minisblack")
    return tmp_path / "stack.tif"


@pytest.fixture
def labels(stack: Path) -> Path:
    path = stack.with_name("labels.tif")
    tifffile.imwrite(
        path, (tifffile.imread(stack) > 128).astype(np.uint8), photometric="minisblack"
    )
    return path


@pytest.fixture
def model(mdlstm: Mdlstm, stack: Path, labels: Path) -> Path:
    path = stack.with_name("model.safetensors")
    arguments = ("--labels", labels, "--out", path, "--steps", 2, "--classes", "dark", "light")
    result = mdlstm("volume", "train", stack, *arguments)
    assert result.code == 0, result.err
    assert result.out.startswith(f"{path}: 2 steps")
    return path


def test_trained_model_labels_a_stack(mdlstm: Mdlstm, stack: Path, model: Path) -> None:
    out = stack.with_name("predicted.tif")

    result = mdlstm("volume", "predict", stack, "--model", model, "--out", out, "--json")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["out"] == str(out)

    predicted = tifffile.imread(out)
    assert predicted.shape == (3, 9, 8)
    assert predicted.dtype == np.uint8
    assert predicted.max() <= 1
    assert [c.name for c in load_checkpoint(model).classes] == ["dark", "light"]


def test_a_training_that_the_clock_cut_off_says_so(
    mdlstm: Mdlstm, stack: Path, labels: Path, tmp_path: Path
) -> None:
    arguments = ("--labels", labels, "--out", tmp_path / "m.safetensors", "--minutes", 1e-9)

    result = mdlstm("volume", "train", stack, *arguments)

    assert result.code == 0
    assert "mdlstm: The time was up after 1 of 2000 steps" in result.err
    assert "give more --minutes, or fewer --steps.\n" in result.err


def test_too_little_memory_of_the_gpu_is_said(
    mdlstm: Mdlstm, stack: Path, labels: Path, model: Path, short_memory: Any
) -> None:
    out = stack.with_name("predicted.tif")
    train = ("--labels", labels, "--out", stack.with_name("m.safetensors"), "--steps", 2)
    short_memory.fails = [True, True]
    trained = mdlstm("volume", "train", stack, *train)
    short_memory.fails = [True]
    predicted = mdlstm("volume", "predict", stack, "--model", model, "--out", out)

    assert trained.out.startswith(f"{stack.with_name('m.safetensors')}: 2 steps")
    assert (trained.code, trained.err) == (0, f"mdlstm: {SMALLER_PARTS}\nmdlstm: {ON_CPU}\n")
    assert (predicted.code, predicted.err) == (0, f"mdlstm: {SMALLER_PARTS}\n")
    assert tifffile.imread(out).shape == (3, 9, 8)


def test_model_of_volumes_is_refused_for_images(
    assert_refused: Mdlstm, model: Path, stack: Path, tmp_path: Path
) -> None:
    arguments = ("predict", stack, "--model", model, "--out", tmp_path / "out")
    assert_refused(*arguments, naming="labels volumes, not images")


def test_model_of_images_is_refused_for_volumes(
    assert_refused: Mdlstm, checkpoint_file: Path, stack: Path, tmp_path: Path
) -> None:
    arguments = ("volume", "predict", stack, "--model", checkpoint_file, "--out", tmp_path / "o")
    assert_refused(*arguments, naming="labels images, not volumes")


def test_the_stack_is_never_overwritten(
    assert_refused: Mdlstm, stack: Path, checkpoint_file: Path
) -> None:
    before = stack.read_bytes()

    arguments = ("volume", "predict", stack, "--model", checkpoint_file, "--out", stack)
    assert_refused(*arguments, naming=stack)

    assert stack.read_bytes() == before


def test_sentences_name_the_file(
    assert_refused: Mdlstm, stack: Path, labels: Path, model: Path
) -> None:
    train = ("volume", "train", stack, "--labels", labels, "--out", stack.with_name("m"))
    predict = ("volume", "predict", stack, "--model", model, "--out", stack.with_name("o.tif"))
    few = ("--classes", "alone")
    assert_refused(
        *train,
        *few,
        naming=f"In {labels} there is a class 1, but there are 1 (0 to 0); name more classes, or "
        "give these voxels 255.",
    )
    tifffile.imwrite(stack, np.zeros((3, 9, 8, 3), np.uint8), photometric="rgb")
    assert_refused(*predict, naming=f"{stack} cannot be labeled: the model reads volumes of 1")
    tifffile.imwrite(stack, np.zeros((2, 9, 8), np.uint8), photometric="minisblack")
    assert_refused(
        *train, naming=f"{stack} of 2×9×8 voxels has labels of 3×9×8 ({labels}); they must"
    )
    tifffile.imwrite(stack, np.full((3, 9, 8), np.nan, np.float32), photometric="minisblack")
    for command in (train, predict):
        assert_refused(*command, naming=f"{stack} has values that are not finite numbers")


def test_two_classes_of_one_name_are_refused(
    assert_refused: Mdlstm, stack: Path, labels: Path
) -> None:
    train = ("volume", "train", stack, "--labels", labels, "--out", stack.with_name("m"))

    assert_refused(*train, "--classes", "a", "a", naming="--classes names 'a' twice")


@pytest.mark.parametrize("place", ["stack.tif", "labels.tif", "."])
def test_a_checkpoint_takes_the_place_of_nothing_else(
    assert_refused: Mdlstm, stack: Path, labels: Path, place: str
) -> None:
    before = stack.read_bytes(), labels.read_bytes()
    out = stack.with_name(place) if place != "." else stack.parent

    assert_refused("volume", "train", stack, "--labels", labels, "--out", out, naming=out)

    assert (stack.read_bytes(), labels.read_bytes()) == before


@pytest.mark.parametrize("kind", ["sizes", "one class", "other shape", "missing", "names"])
def test_stacks_that_do_not_fit_are_refused(
    assert_refused: Mdlstm, stack: Path, labels: Path, kind: str
) -> None:
    more, naming = [], str(labels)
    if kind == "sizes":
        with tifffile.TiffWriter(labels) as file:
            file.write(np.zeros((9, 8), dtype=np.uint8))
            file.write(np.zeros((9, 7), dtype=np.uint8))
    elif kind == "one class":
        tifffile.imwrite(labels, np.zeros((3, 9, 8), dtype=np.uint8), photometric="minisblack")
    elif kind == "other shape":
        tifffile.imwrite(labels, np.eye(9, 8, dtype=np.uint8), photometric="minisblack")
        naming = "3×9×8 voxels has labels of 1×9×8"
    elif kind == "missing":
        labels.unlink()
    else:
        more, naming = ["--classes", "alone"], "a class 1, but there are 1"
    out = stack.with_name("m.safetensors")

    arguments = ("volume", "train", stack, "--labels", labels, "--out", out, *more)
    assert_refused(*arguments, naming=naming)

    assert not out.exists()
