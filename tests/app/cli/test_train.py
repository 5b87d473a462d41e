"""`mdlstm train`, from the command to the files."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from mdlstm_core import __version__
from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.memory import IN_PIECES
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


def test_too_little_memory_of_the_gpu_is_said_once(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path, short_memory: Any
) -> None:
    short_memory.most = 1

    result = mdlstm("train", tiny_dataset, "--out", tmp_path / "paper.safetensors", *PAPER)

    assert (result.code, result.err) == (0, f"mdlstm: {IN_PIECES}\n")


@pytest.fixture
def once_kept(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a context in which something is done to a training once its first epoch is kept."""

    @contextmanager
    def watching(do: Callable[[Trainer], None]) -> Iterator[None]:
        run = Trainer.run

        def watched(
            self: Trainer,
            on_step: Callable[[dict[str, Any]], None],
            *others: Callable[..., None],
        ) -> float:
            def watch(line: dict[str, Any]) -> None:
                on_step(line)
                if "step" not in line and line["epoch"] == 1:
                    do(self)

            return run(self, watch, *others)

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "run", watched)
            yield

    return watching


def test_ctrl_c_keeps_the_best_and_resume_goes_on(
    mdlstm: Mdlstm, once_kept: Callable[..., Any], tiny_dataset: Path, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    assert mdlstm("train", tiny_dataset, "--out", whole, *PAPER).code == 0

    def interrupt(_trainer: Trainer) -> None:
        raise KeyboardInterrupt

    with once_kept(interrupt):
        stopped = mdlstm("train", tiny_dataset, "--out", parts, *PAPER)
    assert stopped.code == 130
    assert f"the best checkpoint so far is {parts}. Go on with --resume" in stopped.err
    assert len(stopped.err.strip().splitlines()) == 1
    assert load_checkpoint(parts).metrics["epoch"] == 1

    assert mdlstm("train", tiny_dataset, "--out", parts, *PAPER, "--resume").code == 0
    resumed, uninterrupted = load_checkpoint(parts), load_checkpoint(whole)
    for key, value in uninterrupted.weights.items():
        assert torch.equal(resumed.weights[key], value), key


def overflow(trainer: Trainer) -> None:
    """Let the gradients of later steps overflow."""
    for parameter in trainer._network.parameters():
        parameter.register_hook(lambda gradient: gradient * float("inf"))


def test_what_is_said_after_a_loss_that_is_not_finite_goes_on(
    mdlstm: Mdlstm, once_kept: Callable[..., Any], tiny_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "the model.safetensors"
    arguments = ("train", tiny_dataset, "--out", out, *PAPER)
    with once_kept(overflow):
        astray = mdlstm(*arguments)

    assert astray.code == 2
    assert astray.err == (
        "mdlstm: The loss is not finite in epoch 2; the last good weights, of epoch 1, are in "
        f"{out}.state (the best checkpoint is {out}): go on from them, in place of --resume, "
        f"with --start-from '{out}.state' --learning-rate 0.001.\n"
    )
    said = shlex.split(astray.err.rstrip(".\n").rpartition(", with ")[2])
    good, best = load_state(Path(f"{out}.state")), out.read_bytes()

    with once_kept(overflow):
        assert mdlstm(*arguments, *said, "--learning-rate", 1e-9).code == 2
    for name, weight in load_state(Path(f"{out}.state")).average.items():
        torch.testing.assert_close(weight, good.average[name], atol=1e-6, rtol=0)
    assert out.with_name(f"{out.name}.previous").read_bytes() == best
    assert mdlstm(*arguments, *said).code == 0
    assert load_state(Path(f"{out}.state")).epoch == 2


def test_weights_that_a_failed_run_began_with_are_still_found(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model.safetensors"
    arguments = ("train", tiny_dataset, "--out", out, *PAPER, "--start-from")
    assert mdlstm(*arguments[:-1]).code == 0

    astray = mdlstm(*arguments, f"{out}.state", "--learning-rate", 1e30, "--batch", 1)

    assert astray.code == 2
    assert f"start again with --start-from {out}.state.previous and another seed" in astray.err
    assert mdlstm(*arguments, f"{out}.state.previous").code == 0


def test_what_is_said_of_a_bad_image_goes_on(
    mdlstm: Mdlstm, once_kept: Callable[..., Any], tiny_dataset: Path, tmp_path: Path
) -> None:
    out, image = tmp_path / "model.safetensors", tiny_dataset / "images" / "scene_1.png"
    arguments, whole = ("train", tiny_dataset, "--out", out, *PAPER), image.read_bytes()
    # A step of three views shows every image.
    arguments = (*arguments, "--batch", 3)

    with once_kept(lambda _: image.write_bytes(whole[:900])):
        damaged = mdlstm(*arguments)

    assert damaged.code == 2
    assert f"{image} is damaged or truncated" in damaged.err
    assert damaged.err.endswith(
        "; mend that and go on with --resume, or leave the image out of its list and begin a new "
        f"run from the weights of epoch 1 with --start-from {out}.state.\n"
    )
    (tiny_dataset / "fewer.txt").write_text("scene_0\nscene_2\n")
    fewer = ("--train-list", tiny_dataset / "fewer.txt")
    refused = mdlstm(*arguments, *fewer, "--resume")
    assert refused.code == 2
    assert "(missing: scene_1); give it what it had, or begin a new run" in refused.err
    image.write_bytes(whole)
    assert mdlstm(*arguments, "--resume").code == 0
    image.write_bytes(whole[:900])
    assert mdlstm(*arguments, *fewer, "--start-from", f"{out}.state").code == 0


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
    refused(tiny_dataset, Path(), naming="is a folder")
    refused(tiny_dataset, out, "--resume", naming=f"{out}.state")
    (tiny_dataset / "labels" / "scene_0.png").unlink()
    refused(tiny_dataset, out, naming="scene_0.png")

    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("second", ["model.safetensors", "../out/model.safetensors", "m.state"])
def test_two_checkpoints_in_one_file_are_refused_before_anything_is_read(
    assert_refused: Mdlstm, tmp_path: Path, second: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    first = "m" if second == "m.state" else "model.safetensors"
    also = ("--also", tmp_path / "missing", folder / second)

    arguments = ("train", tmp_path / "missing", "--out", folder / first, *PAPER, *also)
    assert_refused(*arguments, naming=f"{folder / second} would be written twice")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--epochs", "0"),
        ("--batch", "x"),
        ("--preset", "abacus"),
        ("--seed", "-1"),
        ("--seed", str(2**64)),
        ("--learning-rate", "nan"),
        ("--learning-rate", "-1"),
        ("--learning-rate", "0"),
        ("--learning-rate", "1e999"),
        ("--balance", "nan"),
        ("--balance", "1.5"),
        ("--prefer-rare", "nan"),
        ("--prefer-rare", "-0.1"),
        ("--first-share", "1"),
        ("--first-share", "nan"),
        ("--pixels", "0"),
    ],
)
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


def test_a_run_can_be_repeated_from_its_description(
    mdlstm: Mdlstm, tiny_dataset: Path, tmp_path: Path
) -> None:
    other, out, second = (tmp_path / name for name in ("other", "m.safetensors", "o.safetensors"))
    shutil.copytree(tiny_dataset, other)
    (other / "classes.json").write_text('{"classes": ["sky", "lawn", "sea"]}')
    (tiny_dataset / "mine.txt").write_text("scene_1\nscene_2\n")
    start = tmp_path / "start.safetensors"
    assert mdlstm("train", tiny_dataset, "--out", start, *PAPER).code == 0

    more = ("--also", other, second, "--same", "lawn=grass", "--start-from", start)
    lists = ("--train-list", tiny_dataset / "mine.txt")
    assert mdlstm("train", tiny_dataset, "--out", out, *PAPER, *more, *lists).code == 0

    described = json.loads(Path(f"{out}.run.json").read_text())
    assert described["datasets"] == [
        {
            "dataset": str(root),
            "train_list": str(root / train),
            "validation_list": str(root / "val.txt"),
            "out": str(checkpoint),
        }
        for root, train, checkpoint in (
            (tiny_dataset, "mine.txt", out),
            (other, "train.txt", second),
        )
    ]
    assert described["data"][0]["train"] == ["scene_1", "scene_2"]
    assert [data["same"] for data in described["data"]] == [{}, {"lawn": "grass"}]
    assert described["start_from"] == str(start)
    assert described["versions"]["mdlstm"] == __version__
    assert described["config"]["preset"] == "byeon2015-5x5"
    assert described["options"]["epochs"] == 2


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
