"""`mdlstm average`: the mean of models, calibrated, and what has none."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mdlstm_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mdlstm_core.config import LabelClass

Mdlstm = Callable[..., Any]


@pytest.fixture
def others(tiny_checkpoint: Checkpoint, tmp_path: Path) -> list[Path]:
    """Two models that went on from one, in different directions."""
    found = []
    for number in (1, 2):
        generator = torch.Generator().manual_seed(number)
        weights = {
            name: value + 0.1 * torch.randn(value.shape, generator=generator)
            for name, value in tiny_checkpoint.weights.items()
        }
        found.append(tmp_path / f"model_{number}.safetensors")
        save_checkpoint(dataclasses.replace(tiny_checkpoint, weights=weights), found[-1])
    return found


def test_weights_are_the_mean_and_the_model_is_measured(
    mdlstm: Mdlstm, others: list[Path], tiny_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "mean.safetensors"

    result = mdlstm("average", *others, "--out", out, "--measure-on", tiny_dataset, "--json")

    assert result.code == 0
    mean = load_checkpoint(out)
    first, second = (load_checkpoint(path).weights for path in others)
    for name, value in mean.weights.items():
        expected = (first[name] + second[name]) / 2
        # The temperature is taken into the last layer.
        if name in ("projections.1.weight", "projections.1.bias"):
            expected = expected / mean.metrics["temperature"]
        torch.testing.assert_close(value, expected)
    options = ("--list", tiny_dataset / "val.txt", "--model", out, "--json")
    figures = json.loads(mdlstm("evaluate", tiny_dataset, *options).out)
    assert json.loads(result.out)["pixel_accuracy"] == figures["pixel_accuracy"]
    assert mean.metrics["calibration_error"] == pytest.approx(figures["calibration_error"])


def test_models_that_look_at_other_sizes_have_a_mean_that_looks_at_those_given(
    mdlstm: Mdlstm, others: list[Path], tiny_dataset: Path, tmp_path: Path
) -> None:
    save_checkpoint(load_checkpoint(others[1]).with_scales([0.5, 1.5]), others[1])
    out = tmp_path / "mean.safetensors"
    options = ("--out", out, "--measure-on", tiny_dataset)
    refused = mdlstm("average", *others, *options)
    assert (refused.code, out.exists()) == (2, False)
    assert mdlstm("average", *others, *options, "--scales", 1, 2).code == 0
    mean = load_checkpoint(out)
    assert mean.config.scales == (1.0, 2.0)
    listed = ("--list", tiny_dataset / "val.txt", "--model", out, "--json")
    figures = json.loads(mdlstm("evaluate", tiny_dataset, *listed).out)
    assert mean.metrics["pixel_accuracy"] == figures["pixel_accuracy"]
    far = mdlstm("average", *others, *options, "--scales", 5)
    assert far.code == 2
    assert "scales of 0.25 to 4" in far.err


def test_a_preferred_class_is_found_more_often(
    mdlstm: Mdlstm, others: list[Path], tiny_dataset: Path, tmp_path: Path
) -> None:
    def found(*preference: str) -> tuple[int, int]:
        """Return on how many pixels each class but the first is found."""
        out = tmp_path / "mean.safetensors"
        options = ("--out", out, "--measure-on", tiny_dataset, *preference)
        assert mdlstm("average", *others, *options).code == 0
        listed = mdlstm("evaluate", tiny_dataset, "--model", out, "--json").out
        _, grass, road = torch.tensor(json.loads(listed)["confusion"]).sum(dim=0).tolist()
        return grass, road

    grass, road = found()
    both = found("--prefer", "grass=2", "--prefer", "road=2")
    assert found("--prefer", "grass=2")[0] > grass
    assert found("--prefer", "road=2")[1] > road
    assert sum(both) > grass + road


@pytest.mark.parametrize(
    "fault", ["classes", "network", "preference", "twice", "dataset", "amount"]
)
def test_what_has_no_mean_is_refused_before_anything_is_written(
    fault: str, mdlstm: Mdlstm, others: list[Path], tiny_dataset: Path, tmp_path: Path
) -> None:
    model, out = load_checkpoint(others[1]), tmp_path / "mean.safetensors"
    options = ["--out", out, "--measure-on", tiny_dataset]
    if fault == "classes":
        classes = (LabelClass("sea", (0, 0, 9)), *model.classes[1:])
        save_checkpoint(dataclasses.replace(model, classes=classes), others[1])
    elif fault == "network":
        config = dataclasses.replace(model.config, working_pixels=3_000)
        save_checkpoint(dataclasses.replace(model, config=config), others[1])
    elif fault == "preference":
        options += ["--prefer", "sea=1"]
    elif fault == "twice":
        options += ["--prefer", "sky=1", "--prefer", "sky=2"]
    elif fault == "dataset":
        description = {"classes": ["grass", "sky", "road"], "ignore_index": 255}
        (tiny_dataset / "classes.json").write_text(json.dumps(description))
    said = {
        "classes": "Model number 2 has another configuration, or other classes",
        "network": "Model number 2 has another configuration, or other classes",
        "preference": "The model has no class 'sea'; it has sky, grass, road.",
        "twice": "--prefer names a class twice",
        "dataset": "has other classes, or another order",
    }
    if fault == "amount":
        with pytest.raises(SystemExit, match="2"):
            mdlstm("average", *others, *options, "--prefer", "sky=much")
    else:
        result = mdlstm("average", *others, *options)
        assert result.code == 2
        assert said[fault] in result.err
    assert not out.exists()
