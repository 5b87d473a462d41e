"""`mdlstm train`, from the command to the files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.training.state import load_state
from mdlstm_core.training.trainer import Trainer

Mdlstm = Callable[..., Any]
PAPER = ("--preset", "byeon2015-5x5", "--epochs", 2, "--batch", 2, "--device", "cpu")


def test_training_leaves_a_usable_checkpoint(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "models" / "paper.safetensors"

    result = mdlstm("train", tiny_dataset, "--out", out, *PAPER)

    assert result.code == 0
    last = result.out.splitlines()[-1]
    assert last.startswith(f"{out}: ")
    assert last.endswith("pixel accuracy on the validation images")
    names = {path.name for path in out.parent.iterdir()}
    beside = ("curves.png", "log.jsonl", "run.json", "state")
    assert names == {out.name, *(f"{out.name}.{ending}" for ending in beside)}
    log = (out.parent / f"{out.name}.log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [1, 2]
    options = ("--list", tiny_dataset / "val.txt", "--model", out, "--json")
    figures = json.loads(mdlstm("evaluate", tiny_dataset, *options).out)
    assert f"{figures['pixel_accuracy']:.4f}" in last


def test_ctrl_c_keeps_the_best_and_resume_goes_on(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    assert mdlstm("train", tiny_dataset, "--out", whole, *PAPER).code == 0
    run = Trainer.run

    def interrupted(self: Trainer, on_step: Callable[[dict[str, Any]], None]) -> float:
        def stop(line: dict[str, Any]) -> None:
            on_step(line)
            if "step" not in line:
                raise KeyboardInterrupt

        return run(self, stop)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run", interrupted)
        stopped = mdlstm("train", tiny_dataset, "--out", parts, *PAPER)
    assert stopped.code == 130
    assert f"the best checkpoint so far is {parts}. Go on with --resume" in stopped.err
    assert len(stopped.err.strip().splitlines()) == 1
    assert load_checkpoint(parts).metrics["epoch"] == 1

    assert mdlstm("train", tiny_dataset, "--out", parts, *PAPER, "--resume").code == 0
    resumed, uninterrupted = load_checkpoint(parts), load_checkpoint(whole)
    for key, value in uninterrupted.weights.items():
        assert torch.equal(resumed.weights[key], value), key


def test_a_new_run_keeps_what_an_earlier_one_left(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model.safetensors"
    assert mdlstm("train", tiny_dataset, "--out", out, *PAPER).code == 0
    earlier = out.read_bytes()
    assert mdlstm("train", tiny_dataset, "--out", out, *PAPER, "--seed", 5).code == 0
    assert out.with_name(f"{out.name}.previous").read_bytes() == earlier
    assert out.read_bytes() != earlier


def test_bad_input_is_refused(assert_refused: Mdlstm, tiny_dataset: Path, tmp_path: Path) -> None:
    def refused(dataset: Path, out: Path, *options: object, naming: object) -> None:
        assert_refused("train", dataset, "--out", out, *PAPER, *options, naming=naming)

    out = tmp_path / "out" / "model.safetensors"
    refused(tmp_path / "missing", out, naming=tmp_path / "missing")
    refused(tiny_dataset, out, "--train-list", tmp_path / "missing.txt", naming="missing.txt")
    refused(tiny_dataset, tiny_dataset / "classes.json" / "model", naming="classes.json")
    refused(tiny_dataset, tiny_dataset, naming="is a folder")
    refused(tiny_dataset, out, "--seed", -1, naming="seed -1")
    refused(tiny_dataset, out, "--resume", naming=f"{out}.state")
    (tiny_dataset / "labels" / "scene_0.png").unlink()
    refused(tiny_dataset, out, naming="scene_0.png")

    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("wrong", [("--epochs", "0"), ("--batch", "x"), ("--preset", "abacus")])
def test_wrong_option_is_explained(
    mdlstm: Mdlstm,
    capsys: pytest.CaptureFixture[str],
    tiny_dataset: Path,
    tmp_path: Path,
    wrong: tuple[str, str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        mdlstm("train", tiny_dataset, "--out", tmp_path / "m", *PAPER, *wrong)

    assert caught.value.code == 2
    assert f"argument {wrong[0]}: " in capsys.readouterr().err


def test_a_quick_run_at_fewer_pixels_starts_a_whole_one(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path
) -> None:
    quick, whole = tmp_path / "quick.safetensors", tmp_path / "whole.safetensors"

    options = ("--pixels", 1000, "--prefer-rare", 0.5)
    assert mdlstm("train", tiny_dataset, "--out", quick, *PAPER, *options).code == 0
    start = ("--start-from", f"{quick}.state", "--learning-rate", 1e-9)
    assert mdlstm("train", tiny_dataset, "--out", whole, *PAPER, *start).code == 0

    begun, ended = (load_state(Path(f"{path}.state")).average for path in (quick, whole))
    for name, weight in begun.items():
        torch.testing.assert_close(weight, ended[name], atol=1e-6, rtol=0)
    looked_at = [load_checkpoint(path).config.working_pixels for path in (quick, whole)]
    assert looked_at == [1000, 120_000]


def test_how_a_prediction_looks_can_be_chosen(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path
) -> None:
    plain, looking = tmp_path / "plain.safetensors", tmp_path / "looking.safetensors"

    assert mdlstm("train", tiny_dataset, "--out", plain, *PAPER).code == 0
    looks = ("--scales", 1, 1.5, "--mirrored")
    assert mdlstm("train", tiny_dataset, "--out", looking, *PAPER, *looks).code == 0

    configs = [load_checkpoint(path).config for path in (plain, looking)]
    assert [(c.scales, c.mirrored) for c in configs] == [((1.0,), False), ((1.0, 1.5), True)]
    # It learns the same: looks only change how a model is used.
    averages = [load_state(Path(f"{path}.state")).average for path in (plain, looking)]
    for name, weight in averages[0].items():
        torch.testing.assert_close(weight, averages[1][name], atol=0, rtol=0)
