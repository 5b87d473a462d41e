"""`mdlstm evaluate`: its figures, and what it refuses in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mdlstm_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.memory import ON_CPU
from mdlstm_core.predictor import Predictor

Mdlstm = Callable[..., Any]


def test_json_has_the_figures(mdlstm: Mdlstm, tiny_dataset: Path, checkpoint_file: Path) -> None:
    result = mdlstm("evaluate", tiny_dataset, "--model", checkpoint_file, "--json")

    figures = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert figures.keys() == {
        "pixel_accuracy",
        "class_accuracy",
        "mean_iou",
        "per_class",
        "confusion",
        "images",
        "seconds_per_image",
        "calibration_error",
    }
    predictor, dataset = Predictor(load_checkpoint(checkpoint_file)), LabeledFolder(tiny_dataset)
    samples = [dataset.load(index) for index in range(len(dataset))]
    truth = np.concatenate([s.labels.ravel() for s in samples])
    found = np.concatenate([predictor.predict(s.image).label_map.ravel() for s in samples])
    known = truth != 255
    assert figures["pixel_accuracy"] == pytest.approx((truth == found)[known].mean())
    for index, name in enumerate(("sky", "grass", "road")):
        accuracy = (found == index)[truth == index].mean()
        assert figures["per_class"][name]["accuracy"] == pytest.approx(accuracy)
    assert np.sum(figures["confusion"]) == known.sum()
    assert figures["images"] == 4


def test_list_chooses_the_images(mdlstm: Mdlstm, tiny_dataset: Path, checkpoint_file: Path) -> None:
    options = ("--list", tiny_dataset / "val.txt", "--model", checkpoint_file, "--json")

    assert json.loads(mdlstm("evaluate", tiny_dataset, *options).out)["images"] == 1


def test_table_is_readable(mdlstm: Mdlstm, tiny_dataset: Path, checkpoint_file: Path) -> None:
    Image.new("L", (40, 30), 0).save(tiny_dataset / "labels" / "scene_3.png")
    options = ("--list", tiny_dataset / "val.txt", "--model", checkpoint_file)

    lines = mdlstm("evaluate", tiny_dataset, *options).out.splitlines()

    assert [line.split()[0] for line in lines[:4]] == ["class", "sky", "grass", "road"]
    assert lines[2].split() == ["grass", "-", "-"], "a class that does not occur has no figure"
    assert lines[1].split()[1] == lines[4].split()[3] == lines[5].split()[2]
    assert lines[6].startswith("calibration error ")
    assert lines[7].startswith("1 images, ")


def test_classes_in_another_order_are_matched_by_name(
    mdlstm: Mdlstm,
    tiny_dataset: Path,
    checkpoint_file: Path,
    make_checkpoint: Callable[..., Checkpoint],
    tmp_path: Path,
) -> None:
    other = tmp_path / "other.safetensors"
    save_checkpoint(make_checkpoint(names=("road", "sky", "grass")), other)

    straight, turned = (
        json.loads(mdlstm("evaluate", tiny_dataset, "--model", model, "--json").out)
        for model in (checkpoint_file, other)
    )

    # Output 0 of the same network is the dataset's class 2 now, 1 is 0, and 2 is 1.
    confusion = np.array(turned["confusion"])
    np.testing.assert_array_equal(confusion[:, [2, 0, 1]], straight["confusion"])


def test_figures_do_not_depend_on_the_gpus_memory(
    mdlstm: Mdlstm, tiny_dataset: Path, checkpoint_file: Path, short_memory: Any
) -> None:
    command = ("evaluate", tiny_dataset, "--model", checkpoint_file, "--json", "--device", "cpu")
    usual = json.loads(mdlstm(*command).out)
    # The first two images do not fit, the third does, the fourth does not.
    short_memory.fails = [True, False, True, False, False, True, False]

    result = mdlstm(*command)

    figures = json.loads(result.out)
    assert figures["confusion"] == usual["confusion"]
    assert short_memory.fails == []
    assert result.err == f"mdlstm: {ON_CPU}\n" * 2


def test_too_little_memory_is_said(
    assert_refused: Mdlstm, tiny_dataset: Path, checkpoint_file: Path, short_memory: Any
) -> None:
    short_memory.fail, short_memory.fails = lambda: torch.empty(10**15), [True]

    assert_refused(
        "evaluate",
        tiny_dataset,
        "--model",
        checkpoint_file,
        code=1,
        naming="There is not enough memory",
    )


@pytest.mark.parametrize("names", [("sky", "grass", "water"), ("membrane", "cell", "other")])
def test_foreign_classes_are_refused(
    assert_refused: Mdlstm,
    tiny_dataset: Path,
    make_checkpoint: Callable[..., Checkpoint],
    tmp_path: Path,
    names: tuple[str, ...],
) -> None:
    model = tmp_path / "foreign.safetensors"
    save_checkpoint(make_checkpoint(names=names), model)

    assert_refused("evaluate", tiny_dataset, "--model", model, naming=", ".join(names))
    assert_refused("evaluate", tiny_dataset, "--model", model, naming="sky, grass, road")


def test_bad_dataset_is_refused(
    assert_refused: Mdlstm, tiny_dataset: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    def refused(dataset: Path, *options: object, naming: object) -> None:
        assert_refused("evaluate", dataset, "--model", checkpoint_file, *options, naming=naming)

    label = tiny_dataset / "labels" / "scene_1.png"
    refused(tmp_path / "missing", naming=tmp_path / "missing")
    refused(tiny_dataset, "--list", tmp_path / "missing.txt", naming="missing.txt")
    Image.new("L", (40, 30), 9).save(label)
    refused(tiny_dataset, naming="has the label 9")
    Image.new("L", (39, 30)).save(label)
    refused(tiny_dataset, naming="39×30")
    label.write_bytes(label.read_bytes()[:40])
    refused(tiny_dataset, naming=label)
    (tiny_dataset / "classes.json").write_text("")
    refused(tiny_dataset, naming="classes.json")


@pytest.mark.parametrize("end", [0, 200, -3])
def test_truncated_model_is_refused(
    assert_refused: Mdlstm, tiny_dataset: Path, checkpoint_file: Path, end: int
) -> None:
    checkpoint_file.write_bytes(checkpoint_file.read_bytes()[:end])

    assert_refused("evaluate", tiny_dataset, "--model", checkpoint_file, naming=checkpoint_file)
