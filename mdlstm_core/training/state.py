"""The state of a training run on disk, from which it resumes: safetensors, no pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mdlstm_core.errors import InputError
from mdlstm_core.files import write_whole

FORMAT = "mdlstm-labeler training state 2"


@dataclass
class TrainingState:
    """Everything that a run needs to go on after `epoch` epochs.

    Attributes:
        network: the network's state.
        average: the moving average of its weights.
        optimizer: the optimiser's tensors, each named `NUMBER.KEY`.
        epoch: epochs done.
        best: each source's best validation accuracy so far, -1 before the first.
        settings: what the run was started with (see `settings`); resuming asks for the same.
    """

    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    epoch: int
    best: list[float]
    settings: dict[str, Any]


def save_state(state: TrainingState, path: Path) -> None:
    """Write the state; what stood there stays whole until the new one is.

    Raises:
        InputError: the file cannot be written.
    """
    groups = {"network": state.network, "average": state.average, "optimizer": state.optimizer}
    tensors = {
        f"{group}/{key}": value.detach().cpu().contiguous()
        for group, values in groups.items()
        for key, value in values.items()
    }
    metadata = {
        "format": FORMAT,
        "epoch": str(state.epoch),
        "best": json.dumps(state.best),
        "settings": json.dumps(state.settings, sort_keys=True),
    }
    write_whole(path, save(tensors, metadata))


def load_state(path: Path) -> TrainingState:
    """Read what `save_state` wrote.

    Raises:
        InputError: the file is missing, truncated or of another kind.
    """
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            for name in file.keys():  # noqa: SIM118
                group, _, key = name.partition("/")
                groups.setdefault(group, {})[key] = file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be resumed from: it is missing or truncated.") from error
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path} is not the state of a training run.")
    try:
        return TrainingState(
            **groups,
            epoch=int(metadata["epoch"]),
            best=[float(value) for value in json.loads(metadata["best"])],
            settings=dict(json.loads(metadata["settings"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} cannot be resumed from: its description is damaged.") from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's tensors by `NUMBER.KEY`."""
    return {
        f"{number}.{key}": value
        for number, values in optimizer.state_dict()["state"].items()
        for key, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimiser back what `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
