"""Going on with a run: with the same data only, and what is said of others."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mdlstm_core.checkpoint import load_checkpoint
from mdlstm_core.config import NetworkConfig
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.errors import InputError
from mdlstm_core.training import trainer as trainer_module
from mdlstm_core.training.options import TrainingOptions
from mdlstm_core.training.run_files import RunFiles
from mdlstm_core.training.sources import Source
from mdlstm_core.training.state import load_state, save_state
from mdlstm_core.training.trainer import Trainer

OPTIONS = TrainingOptions(epochs=2, batch=2, view=(18, 22))
MakeTrainer = Callable[..., Trainer]
StopAfter = Callable[[int], Callable[[dict[str, Any]], None]]


@pytest.fixture
def make_trainer(tiny_dataset: Path, tmp_path: Path, tiny_config: NetworkConfig) -> MakeTrainer:
    """Return a function that opens the dataset as it lies there now, for one checkpoint."""

    def make(
        root: Path = tiny_dataset,
        out: str = "model.safetensors",
        also: bool = False,
        **same: str,
    ) -> Trainer:
        train, validation = (LabeledFolder(root, root / f"{n}.txt") for n in ("train", "val"))
        sources = [Source(train, validation, tmp_path / out)]
        if also:
            sources.append(Source(train, validation, tmp_path / "other.safetensors", same))
        return Trainer(tiny_config, sources, OPTIONS, torch.device("cpu"))

    return make


@pytest.fixture
def state(make_trainer: MakeTrainer, tmp_path: Path, stop_after: StopAfter) -> Path:
    """The state of a run of two epochs that was stopped after the first."""
    with pytest.raises(KeyboardInterrupt):
        make_trainer().run(stop_after(1))
    return tmp_path / "model.safetensors.state"


def rename_class(root: Path) -> None:
    text = (root / "classes.json").read_text()
    (root / "classes.json").write_text(text.replace("road", "street"))


def add_class(root: Path) -> None:
    (root / "classes.json").write_text(json.dumps({"classes": ["sky", "grass", "road", "sea"]}))


def other_images(root: Path) -> None:
    (root / "train.txt").write_text("scene_0\nscene_1\nscene_3\n")


def fewer_images(root: Path) -> None:
    (root / "train.txt").write_text("scene_2\n")


def other_order(root: Path) -> None:
    (root / "train.txt").write_text("scene_2\nscene_1\nscene_0\n")


def other_validation(root: Path) -> None:
    (root / "val.txt").write_text("scene_3\nscene_0\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rename_class, "class 2 of {root} was road, not street"),
        (add_class, "{root} had 3 classes, not 4"),
        (
            other_images,
            "the images of {root} to learn from differ (missing: scene_2; new: scene_3)",
        ),
        (fewer_images, "the images of {root} to learn from differ (missing: scene_0, scene_1)"),
        (other_order, "the images of {root} to learn from differ (the same in another order)"),
        (other_validation, "the images of {root} to measure on differ (new: scene_0)"),
    ],
)
def test_other_data_cannot_be_resumed(
    make_trainer: MakeTrainer,
    tiny_dataset: Path,
    state: Path,
    change: Callable[[Path], None],
    said: str,
) -> None:
    change(tiny_dataset)
    told = said.format(root=tiny_dataset)

    with pytest.raises(InputError) as caught:
        make_trainer().resume()

    assert str(caught.value) == (
        f"{state} was started with other data: {told}; give it what it had, or begin a new run "
        f"from its weights with --start-from {state}."
    )


def test_what_is_said_of_many_images_stays_short(
    make_trainer: MakeTrainer, tiny_dataset: Path, state: Path
) -> None:
    stems = [f"copy_{number}" for number in range(9)]
    for stem in stems:
        for folder in ("images", "labels"):
            shutil.copy(
                tiny_dataset / folder / "scene_0.png", tiny_dataset / folder / f"{stem}.png"
            )
    (tiny_dataset / "train.txt").write_text("\n".join(stems))

    with pytest.raises(InputError, match=r"new: copy_0, copy_1, copy_2 and 6 more\)"):
        make_trainer().resume()


def test_other_heads_cannot_be_resumed(
    make_trainer: MakeTrainer, tiny_dataset: Path, state: Path, stop_after: StopAfter
) -> None:
    with pytest.raises(InputError, match="the number of datasets was 1, not 2"):
        make_trainer(also=True).resume()
    with pytest.raises(KeyboardInterrupt):
        make_trainer(also=True, road="grass").run(stop_after(1))
    with pytest.raises(InputError, match=r"--same was road=grass, not nothing"):
        make_trainer(also=True).resume()


def test_a_dataset_that_moved_is_the_same(
    make_trainer: MakeTrainer, tiny_dataset: Path, state: Path
) -> None:
    moved = tiny_dataset.rename(tiny_dataset.with_name("moved"))

    trainer = make_trainer(moved)
    trainer.resume()
    trainer.run()

    assert load_state(state).epoch == 2


def test_state_of_an_earlier_version_goes_on(
    make_trainer: MakeTrainer, tiny_dataset: Path, state: Path
) -> None:
    written = load_state(state)
    del written.settings["data"]
    save_state(written, state)

    trainer = make_trainer()
    trainer.resume()
    assert trainer.epochs_done == 1
    fewer_images(tiny_dataset)
    with pytest.raises(InputError, match=r"other settings: images \[3\], not \[1\]"):
        make_trainer().resume()


def epochs_logged(state: Path) -> list[int]:
    lines = state.with_suffix(".log.jsonl").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in lines]


def test_a_torn_line_of_the_log_is_dropped(make_trainer: MakeTrainer, state: Path) -> None:
    with state.with_suffix(".log.jsonl").open("a") as log:
        log.write('{"epoch": 2, "lo')

    trainer = make_trainer()
    trainer.resume()
    trainer.run()

    assert epochs_logged(state) == [1, 2]


@pytest.mark.parametrize("lost", ["save_state", "log"])
def test_a_kill_while_an_epoch_is_kept_leaves_every_epoch_in_the_log_once(
    make_trainer: MakeTrainer, state: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    place = trainer_module if lost == "save_state" else RunFiles
    trainer = make_trainer()
    trainer.resume()
    with monkeypatch.context() as patch:
        patch.setattr(place, lost, killed)
        with pytest.raises(KeyboardInterrupt):
            trainer.run()
    assert trainer.epochs_done == load_state(state).epoch == 1

    trainer = make_trainer()
    trainer.resume()
    trainer.run()

    assert epochs_logged(state) == [1, 2]


@pytest.mark.parametrize("full", ["model.safetensors", "model.safetensors.state"])
def test_a_full_disk_keeps_the_last_epoch_to_go_on_from(
    make_trainer: MakeTrainer, state: Path, tmp_path: Path, full: str
) -> None:
    kept = {path: path.read_bytes() for path in (state, state.with_suffix(""))}
    whole = make_trainer(out="whole.safetensors")
    whole.run()
    # No file may grow larger than this one less a byte: whichever comes first fails.
    room = (tmp_path / full).stat().st_size - 1
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    trainer = make_trainer()
    trainer.resume()

    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(InputError) as caught:
            trainer.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    said = str(caught.value)
    assert "cannot be written: File too large; mend that and go on with --resume." in said
    assert load_state(state).epoch == 1
    assert kept[state] == state.read_bytes()
    load_checkpoint(tmp_path / "model.safetensors")  # whole, whichever epoch's it is
    assert not list(tmp_path.glob("*.part"))
    trainer = make_trainer()
    trainer.resume()
    trainer.run()
    ones, others = (load_state(tmp_path / f"{n}.safetensors.state") for n in ("model", "whole"))
    assert all(torch.equal(others.network[name], value) for name, value in ones.network.items())
    assert epochs_logged(state) == [1, 2]
