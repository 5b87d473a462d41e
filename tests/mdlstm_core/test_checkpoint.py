"""Checkpoints: what is written comes back, and every bad file is refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mdlstm_core.checkpoint import (
    FORMAT,
    Checkpoint,
    checkpoint_from_bytes,
    checkpoint_to_bytes,
    load_checkpoint,
    save_checkpoint,
)
from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError


@pytest.mark.parametrize("config", ["tiny_config", "scene_config"])
def test_round_trip(
    config: str,
    make_checkpoint: Callable[..., Checkpoint],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    checkpoint = make_checkpoint(request.getfixturevalue(config))
    path = tmp_path / "model.safetensors"

    save_checkpoint(checkpoint, path)
    loaded = load_checkpoint(path)

    assert (loaded.config, loaded.classes) == (checkpoint.config, checkpoint.classes)
    assert (loaded.data, loaded.metrics) == (checkpoint.data, checkpoint.metrics)
    assert loaded.weights.keys() == checkpoint.weights.keys()
    assert all(torch.equal(loaded.weights[k], v) for k, v in checkpoint.weights.items())
    assert list(tmp_path.iterdir()) == [path]


def test_loaded_network_predicts_as_the_saved_one(tiny_checkpoint: Checkpoint) -> None:
    image = torch.rand(1, 3, 9, 7)
    loaded = checkpoint_from_bytes(checkpoint_to_bytes(tiny_checkpoint)).network()

    with torch.no_grad():
        assert torch.equal(loaded(image), tiny_checkpoint.network()(image))
    assert not loaded.training


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, 0.5, -1])
def test_truncated_file_is_refused(checkpoint_file: Path, length: float) -> None:
    content = checkpoint_file.read_bytes()
    end = int(length * len(content)) if 0 < length < 1 else int(length)
    checkpoint_file.write_bytes(content[:end])

    with pytest.raises(InputError, match="is truncated or is not a model file") as caught:
        load_checkpoint(checkpoint_file)

    assert str(checkpoint_file) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"just some text, long enough for a header", b"\x80\x04]." * 9]
)
def test_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)

    with pytest.raises(InputError, match="is truncated or is not a model file"):
        load_checkpoint(path)


@pytest.mark.parametrize("name", ["nowhere.safetensors", "", "no/such/model"])
def test_missing_model_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"There is no model {name}: give"):
        load_checkpoint(name)


def test_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no model"):
        load_checkpoint(tmp_path)


def test_other_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": torch.zeros(2)}, path, metadata)
        with pytest.raises(InputError, match="not one of a labeling model"):
            load_checkpoint(path)


def rewrite(path: Path, **changes: str | None) -> None:
    """Replace parts of a checkpoint's description; None removes one."""
    with safe_open(path, framework="pt") as file:
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        description = file.metadata() | changes
    save_file(weights, path, {k: v for k, v in description.items() if v is not None})


@pytest.mark.parametrize(
    "changes",
    [
        {"config": None},
        {"classes": None},
        {"metrics": None},
        {"config": "{"},
        {"config": "[]"},
        {"config": "{}"},
        {"config": '{"window": "two"}'},
        {"classes": "3"},
        {"classes": "[1, 2, 3]"},
        {"classes": '[{"name": "sky"}]'},
        {"classes": '[{"name": "sky", "color": [1, 2]}]'},
        {"classes": '[{"name": "sky", "color": [1, 2, 256]}]'},
        {"metrics": "3"},
    ],
)
def test_damaged_description_is_refused(checkpoint_file: Path, changes: dict[str, Any]) -> None:
    rewrite(checkpoint_file, **changes)

    with pytest.raises(InputError, match="has a damaged description") as caught:
        load_checkpoint(checkpoint_file)

    assert "\n" not in str(caught.value)


def test_number_of_classes_must_fit(checkpoint_file: Path) -> None:
    two = [{"name": name, "color": [0, 0, 0]} for name in ("sky", "road")]
    rewrite(checkpoint_file, classes=json.dumps(two))

    with pytest.raises(InputError, match="3 outputs but names 2 classes"):
        load_checkpoint(checkpoint_file)


@pytest.mark.parametrize("changes", [{"window": 3}, {"lstm_units": [2, 4]}])
def test_weights_must_fit_the_configuration(
    checkpoint_file: Path, tiny_config: NetworkConfig, changes: dict[str, Any]
) -> None:
    rewrite(checkpoint_file, config=json.dumps(tiny_config.to_json() | changes))

    with pytest.raises(InputError, match="weights do not fit its configuration"):
        load_checkpoint(checkpoint_file).network()


@pytest.mark.parametrize("channels", [[3, 8, 8, 8], [8, 8, 8, -8]])
def test_configuration_that_cannot_be_built_is_refused(
    make_checkpoint: Callable[..., Checkpoint],
    scene_config: NetworkConfig,
    tmp_path: Path,
    channels: list[int],
) -> None:
    path = tmp_path / "scene.safetensors"
    save_checkpoint(make_checkpoint(scene_config), path)
    rewrite(path, config=json.dumps(scene_config.to_json() | {"channels": channels}))

    with pytest.raises(InputError, match="do not fit its configuration"):
        load_checkpoint(path).network()


def test_foreign_pickle_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.save({"format": FORMAT}, path)

    with pytest.raises(InputError, match="is not a model file"):
        load_checkpoint(path)


def test_unwritable_file_is_refused(tiny_checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(InputError, match="cannot be written"):
        save_checkpoint(tiny_checkpoint, tmp_path / "file" / "model.safetensors")
