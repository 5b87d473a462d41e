"""Training from scratch: reproducible, resumable, and what it leaves behind."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.config import NetworkConfig
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.errors import InputError
from mdlstm_core.network import ByeonNetwork
from mdlstm_core.training import measurements
from mdlstm_core.training.evaluation import evaluate
from mdlstm_core.training.options import TrainingOptions
from mdlstm_core.training.sources import Source
from mdlstm_core.training.state import load_state
from mdlstm_core.training.trainer import Trainer

OPTIONS = TrainingOptions(epochs=3, batch=2, view=(18, 22))


@pytest.fixture(params=["tiny_config", "scene_config"])
def config(request: pytest.FixtureRequest) -> NetworkConfig:
    """Both architectures; scene has dropout, whose draws must be resumed too."""
    found: NetworkConfig = request.getfixturevalue(request.param)
    return found


def source_of(dataset: Path, out: Path) -> Source:
    train, validation = (LabeledFolder(dataset, dataset / f"{n}.txt") for n in ("train", "val"))
    return Source(train, validation, out)


@pytest.fixture
def make_trainer(tiny_dataset: Path, tmp_path: Path) -> Callable[..., Trainer]:
    def make(config: NetworkConfig, name: str = "model", **options: Any) -> Trainer:
        return Trainer(
            config,
            [source_of(tiny_dataset, tmp_path / f"{name}.safetensors")],
            dataclasses.replace(OPTIONS, **options),
            torch.device("cpu"),
        )

    return make


def assert_same_files(first: Path, second: Path) -> None:
    ones, others = load_file(first), load_file(second)
    assert ones.keys() == others.keys()
    assert all(torch.equal(value, others[key]) for key, value in ones.items())


def test_run_leaves_checkpoint_log_and_state(
    make_trainer: Callable[..., Trainer], config: NetworkConfig, tmp_path: Path
) -> None:
    lines: list[dict[str, Any]] = []

    best = make_trainer(config).run(lines.append)

    checkpoint = load_checkpoint(tmp_path / "model.safetensors")
    log = [
        json.loads(t)
        for t in (tmp_path / "model.safetensors.log.jsonl").read_text().split("\n")
        if t
    ]
    state = load_state(tmp_path / "model.safetensors.state")
    assert checkpoint.config == config
    assert [c.name for c in checkpoint.classes] == ["sky", "grass", "road"]
    assert checkpoint.data == "dataset: none"
    assert checkpoint.metrics["pixel_accuracy"] == best == state.best[0]
    assert best == max(line["pixel_accuracy"] for line in log)
    assert state.epoch == 3
    assert [line["epoch"] for line in log] == [1, 2, 3]
    assert log == [line for line in lines if "step" not in line]
    assert [line["step"] for line in lines if "step" in line] == [1, 1, 1]
    assert not list(tmp_path.glob("*.part"))


def test_training_learns(make_trainer: Callable[..., Trainer], tiny_config: NetworkConfig) -> None:
    lines: list[dict[str, Any]] = []
    make_trainer(tiny_config, epochs=50, learning_rate=2e-2, validations=1).run(lines.append)

    losses = [line["loss"] for line in lines if "step" in line]

    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_same_seed_gives_the_same_weights(
    make_trainer: Callable[..., Trainer], config: NetworkConfig, tmp_path: Path
) -> None:
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        make_trainer(config, name, seed=seed).run()

    first, again, other = (tmp_path / f"{n}.safetensors.state" for n in ("first", "again", "other"))
    assert_same_files(first, again)
    assert_same_files(first.with_suffix(""), again.with_suffix(""))
    with pytest.raises(AssertionError):
        assert_same_files(first, other)


@pytest.mark.parametrize("epoch", [1, 2])
def test_resumed_run_equals_an_uninterrupted_one(
    make_trainer: Callable[..., Trainer],
    config: NetworkConfig,
    tmp_path: Path,
    epoch: int,
    stop_after: Callable[[int], Any],
) -> None:
    whole = make_trainer(config, "whole").run()
    with pytest.raises(KeyboardInterrupt):
        make_trainer(config, "parts").run(stop_after(epoch))
    resumed = make_trainer(config, "parts")
    resumed.resume()

    assert resumed.run() == whole
    for suffix in ("", ".state"):
        assert_same_files(*(tmp_path / f"{n}.safetensors{suffix}" for n in ("parts", "whole")))
    log = (tmp_path / "parts.safetensors.log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [1, 2, 3]


def test_ctrl_c_keeps_the_best_checkpoint(
    make_trainer: Callable[..., Trainer], tiny_config: NetworkConfig, tmp_path: Path
) -> None:
    def stop(line: dict[str, Any]) -> None:
        if line["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_trainer(tiny_config).run(stop)

    assert load_checkpoint(tmp_path / "model.safetensors").metrics["epoch"] == 1
    assert load_state(tmp_path / "model.safetensors.state").epoch == 1
    assert not list(tmp_path.glob("*.part"))


def test_a_worse_epoch_does_not_replace_the_best(
    make_trainer: Callable[..., Trainer],
    tiny_config: NetworkConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accuracies = iter([0.5, 0.9, 0.7, 0.9])

    def scripted(*arguments: Any, **options: Any) -> dict[str, Any]:
        return evaluate(*arguments, **options) | {"pixel_accuracy": next(accuracies)}

    monkeypatch.setattr(measurements, "evaluate", scripted)

    assert make_trainer(tiny_config).run() == 0.9
    assert load_checkpoint(tmp_path / "model.safetensors").metrics["epoch"] == 2
    assert load_state(tmp_path / "model.safetensors.state").best == [0.9]


def test_finished_run_is_left_as_it_is(
    make_trainer: Callable[..., Trainer], tiny_config: NetworkConfig, tmp_path: Path
) -> None:
    best = make_trainer(tiny_config).run()
    before = (tmp_path / "model.safetensors").read_bytes()
    finished = make_trainer(tiny_config)
    finished.resume()

    assert finished.run() == best
    assert (tmp_path / "model.safetensors").read_bytes() == before


def test_loss_that_is_not_finite_is_refused(
    make_trainer: Callable[..., Trainer], tiny_config: NetworkConfig
) -> None:
    with pytest.raises(InputError, match="loss is not finite in epoch 1"):
        make_trainer(tiny_config, batch=1, learning_rate=float("inf")).run()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "GPU has too little free memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
    ],
)
def test_too_little_memory_is_said_and_can_be_mended(
    make_trainer: Callable[..., Trainer],
    tiny_config: NetworkConfig,
    monkeypatch: pytest.MonkeyPatch,
    error: RuntimeError,
    said: str,
) -> None:
    def short(*_: object) -> None:
        raise error

    monkeypatch.setattr(ByeonNetwork, "features", short)
    with pytest.raises(InputError, match=f"{said}; train with a smaller batch"):
        make_trainer(tiny_config).run()


def test_other_settings_cannot_be_resumed(
    make_trainer: Callable[..., Trainer], tiny_config: NetworkConfig
) -> None:
    make_trainer(tiny_config, epochs=1).run()

    with pytest.raises(InputError, match="other settings: epochs 1, not 2, seed 0, not 5"):
        make_trainer(tiny_config, epochs=2, seed=5).resume()


@pytest.mark.parametrize("length", [0, 7, 0.5, -1])
def test_truncated_state_cannot_be_resumed(
    make_trainer: Callable[..., Trainer],
    tiny_config: NetworkConfig,
    tmp_path: Path,
    length: float,
) -> None:
    path = tmp_path / "model.safetensors.state"
    with pytest.raises(InputError, match="missing or truncated"):
        make_trainer(tiny_config).resume()
    make_trainer(tiny_config, epochs=1).run()
    content = path.read_bytes()
    path.write_bytes(content[: int(length * len(content)) if 0 < length < 1 else int(length)])

    with pytest.raises(InputError, match="missing or truncated"):
        make_trainer(tiny_config, epochs=1).resume()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "is not the state of a training run"),
        ({"format": "mdlstm-labeler training state 2"}, "its description is damaged"),
    ],
)
def test_foreign_state_cannot_be_resumed(
    make_trainer: Callable[..., Trainer],
    tiny_config: NetworkConfig,
    tmp_path: Path,
    metadata: dict[str, str] | None,
    message: str,
) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors.state", metadata)

    with pytest.raises(InputError, match=message):
        make_trainer(tiny_config).resume()


def test_classes_to_learn_and_to_measure_must_agree(tiny_dataset: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_dataset, other)
    text = (other / "classes.json").read_text()
    (other / "classes.json").write_text(text.replace("road", "street"))

    with pytest.raises(InputError, match="differ from those to measure on"):
        Source(LabeledFolder(tiny_dataset), LabeledFolder(other), tmp_path / "model.safetensors")


def test_second_dataset_gets_a_head_and_a_checkpoint_of_its_own(
    tiny_dataset: Path, tmp_path: Path, tiny_config: NetworkConfig
) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_dataset, other)
    text = (other / "classes.json").read_text()
    (other / "classes.json").write_text(text.replace("road", "street"))
    outs = [tmp_path / "first.safetensors", tmp_path / "second.safetensors"]
    pairs = zip((tiny_dataset, other), outs, strict=True)
    sources = [source_of(folder, out) for folder, out in pairs]
    options = dataclasses.replace(OPTIONS, epochs=1)

    Trainer(tiny_config, sources, options, torch.device("cpu")).run()

    first, second = (load_checkpoint(out) for out in outs)
    assert [c.name for c in first.classes] == ["sky", "grass", "road"]
    assert [c.name for c in second.classes] == ["sky", "grass", "street"]
    same = [key for key, value in first.weights.items() if torch.equal(value, second.weights[key])]
    assert set(first.weights) - set(same) == {"projections.1.weight", "projections.1.bias"}
    log = (tmp_path / "first.safetensors.log.jsonl").read_text().splitlines()
    assert "pixel_accuracy other" in json.loads(log[-1])


def test_folder_in_place_of_the_checkpoint_is_refused_at_once(
    make_trainer: Callable[..., Trainer], tiny_config: NetworkConfig, tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").mkdir()

    with pytest.raises(InputError, match="is a folder"):
        make_trainer(tiny_config)


def test_set_smaller_than_a_batch_is_repeated(
    make_trainer: Callable[..., Trainer], tiny_config: NetworkConfig
) -> None:
    assert make_trainer(tiny_config, epochs=1, batch=7).run() >= 0


def test_damaged_image_ends_the_run_in_a_sentence(
    make_trainer: Callable[..., Trainer], tiny_config: NetworkConfig, tiny_dataset: Path
) -> None:
    broken = make_trainer(tiny_config, batch=3)
    path = tiny_dataset / "images" / "scene_1.png"
    path.write_bytes(path.read_bytes()[:900])

    with pytest.raises(InputError, match=r"scene_1\.png is damaged or truncated"):
        broken.run()


def test_what_cannot_be_read_is_said_before_the_first_step(
    make_trainer: Callable[..., Trainer],
    tiny_config: NetworkConfig,
    tiny_dataset: Path,
    tmp_path: Path,
) -> None:
    trainer = make_trainer(tiny_config, balance=0.5)
    image = tiny_dataset / "images" / "scene_1.png"
    image.write_bytes(image.read_bytes()[:900])
    labels = tiny_dataset / "labels" / "scene_3.png"  # to measure on
    Image.new("L", (40, 30), 9).save(labels)
    lines: list[dict[str, Any]] = []

    with pytest.raises(InputError, match="2 of 4 images cannot be used") as caught:
        trainer.run(lines.append)

    assert f"{image} is damaged or truncated" in str(caught.value)
    assert f"{labels} has the label 9" in str(caught.value)
    assert lines == []
    assert list(tmp_path.glob("model*")) == []


def test_run_starts_from_the_weights_of_another(
    make_trainer: Callable[..., Trainer],
    tiny_config: NetworkConfig,
    scene_config: NetworkConfig,
    tmp_path: Path,
) -> None:
    make_trainer(tiny_config, "first").run()
    state = tmp_path / "first.safetensors.state"
    second = make_trainer(tiny_config, "second", seed=5, epochs=1, learning_rate=1e-12)

    second.start_from(str(state))
    second.run()

    before, after = load_state(state).average, load_state(tmp_path / "second.safetensors.state")
    for name, value in after.network.items():
        torch.testing.assert_close(value, before[name], atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="of other sizes or classes"):
        make_trainer(scene_config, "third").start_from(str(state))


def test_run_starts_from_a_model_by_the_names_of_its_classes(
    make_trainer: Callable[..., Trainer],
    tiny_config: NetworkConfig,
    scene_config: NetworkConfig,
    tiny_dataset: Path,
    tmp_path: Path,
) -> None:
    make_trainer(tiny_config, "first").run()
    model = load_checkpoint(tmp_path / "first.safetensors")
    (tiny_dataset / "classes.json").write_text(
        json.dumps({"classes": ["road", "bush", "sky", "grass"]})
    )
    rows = [2, None, 0, 1]
    rate = 1e-12
    second = make_trainer(tiny_config, "second", seed=5, epochs=1, learning_rate=rate)
    fresh = make_trainer(tiny_config, "fresh", seed=5, epochs=1, learning_rate=rate)

    second.start_from(str(tmp_path / "first.safetensors"))
    for trainer in (second, fresh):
        trainer.run()

    begun, drawn = (load_state(tmp_path / f"{n}.safetensors.state") for n in ("second", "fresh"))
    assert set(model.weights) == set(begun.network)
    for name, value in begun.network.items():
        before = model.weights[name]
        if before.shape != value.shape:
            fresh_rows = drawn.network[name]
            chosen = [fresh_rows[i] if r is None else before[r] for i, r in enumerate(rows)]
            before = torch.stack(chosen)
        torch.testing.assert_close(value, before, atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="of other sizes or classes"):
        make_trainer(scene_config, "third").start_from(str(tmp_path / "first.safetensors"))
