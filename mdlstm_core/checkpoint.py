"""Checkpoints: one safetensors file, its description as JSON in the header.

safetensors, because a model file comes from strangers and a pickle runs code.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from mdlstm_core.config import LabelClass, NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.files import write_whole
from mdlstm_core.network import LabelingNetwork, build_network, with_classes
from resources import model_path

FORMAT = "mdlstm-labeler checkpoint 1"


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and what it is.

    Attributes:
        config: what the network is made of.
        classes: name and colour of each class, in the order of the logits.
        weights: the network's state, on the CPU.
        data: which images it was trained on, and their terms.
        metrics: figures, and how they were measured.
    """

    config: NetworkConfig
    classes: tuple[LabelClass, ...]
    weights: dict[str, Tensor]
    data: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that classes and network belong together."""
        if len(self.classes) != self.config.classes:
            raise InputError(
                f"The model has {self.config.classes} outputs but names "
                f"{len(self.classes)} classes."
            )

    def looking_at(self, pixels: int | None) -> Checkpoint:
        """Return this model with another working area (see `NetworkConfig`); None keeps it.

        More pixels show finer things and take longer; what the network knows by its size
        in pixels, it may no longer know.

        Raises:
            InputError: the area is out of its range.
        """
        if pixels is None:
            return self
        config = dataclasses.replace(self.config, working_pixels=pixels)
        return dataclasses.replace(self, config=config)

    def with_scales(self, scales: Sequence[float]) -> Checkpoint:
        """Return this model, which looks at images at these sizes (see `NetworkConfig`).

        Raises:
            InputError: there is none, or one is out of its range.
        """
        config = dataclasses.replace(self.config, scales=tuple(scales))
        return dataclasses.replace(self, config=config)

    def network(self) -> LabelingNetwork:
        """Build the network with these weights, ready to predict.

        Raises:
            InputError: the weights do not fit the configuration, or the model labels volumes.
        """
        try:
            network = build_network(self.config)
            network.load_state_dict(self.weights)
        except InputError:
            raise
        # torch refuses a size that cannot be built with any of the three.
        except (RuntimeError, TypeError, ValueError) as error:
            raise InputError(
                f"The model's weights do not fit its configuration ({self.config.preset})."
            ) from error
        return network.eval()


def checkpoint_of(network: nn.Module, like: Checkpoint) -> Checkpoint:
    """Return a copy of a network's present weights, described as `like` is."""
    weights = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
    return dataclasses.replace(like, weights=weights)


def with_outputs(
    checkpoint: Checkpoint, sources: Sequence[int | None], classes: Sequence[LabelClass]
) -> Checkpoint:
    """Return a copy of a model with other classes.

    Args:
        checkpoint: the model.
        sources: for each class the one of the model that it continues, None for a new one,
            which starts so unlikely that it is nowhere the best (see `network.with_classes`).
        classes: their names and colours.

    Raises:
        InputError: as `Checkpoint.network`.
    """
    network = with_classes(checkpoint.network(), sources)
    weights = {k: v.detach().clone() for k, v in network.state_dict().items()}
    return dataclasses.replace(
        checkpoint, config=network.config, classes=tuple(classes), weights=weights
    )


def checkpoint_to_bytes(checkpoint: Checkpoint) -> bytes:
    """Return the checkpoint as the bytes of its file."""
    metadata = {
        "format": FORMAT,
        "config": json.dumps(checkpoint.config.to_json()),
        "classes": json.dumps([dataclasses.asdict(c) for c in checkpoint.classes]),
        "data": checkpoint.data,
        "metrics": json.dumps(checkpoint.metrics),
    }
    return save({k: v.contiguous() for k, v in checkpoint.weights.items()}, metadata)


def save_checkpoint(checkpoint: Checkpoint, path: Path | str) -> None:
    """Write a checkpoint; a file that stood there stays whole until the new one is.

    Raises:
        InputError: the file cannot be written.
    """
    write_whole(Path(path), checkpoint_to_bytes(checkpoint))


def load_checkpoint(name_or_path: str | Path) -> Checkpoint:
    """Load a checkpoint by the name of a shipped model or from a file.

    Raises:
        InputError: there is none, or it is damaged or of another kind.
    """
    path = model_path(str(name_or_path)) or Path(name_or_path)
    if not path.is_file():
        raise InputError(
            f"There is no model {name_or_path}: give a shipped model's name or a file."
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"The model {path} cannot be read: {error.strerror}.") from error
    return checkpoint_from_bytes(content, str(path))


def checkpoint_from_bytes(content: bytes, name: str = "The stored model") -> Checkpoint:
    """Read what `checkpoint_to_bytes` returned; `name` stands for it in errors.

    Raises:
        InputError: the bytes are truncated or of another kind, or weights are no numbers.
    """
    try:
        weights = load(content)
    except SafetensorError as error:
        raise InputError(f"{name} is truncated or is not a model file.") from error
    # safetensors checked the header, but hands out its metadata only for files.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = header.get("__metadata__", {})
    if metadata.get("format") != FORMAT:
        raise InputError(f"{name} is a safetensors file, but not one of a labeling model.")
    if not all(weight.isfinite().all() for weight in weights.values()):
        raise InputError(f"{name} is damaged: some of its weights are no finite numbers.")
    try:
        return Checkpoint(
            config=NetworkConfig.from_json(json.loads(metadata["config"])),
            classes=tuple(_class_from_json(c) for c in json.loads(metadata["classes"])),
            weights=weights,
            data=metadata.get("data", ""),
            metrics=dict(json.loads(metadata["metrics"])),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise InputError(f"{name} has a damaged description: {reason}.") from error


def _class_from_json(values: dict[str, Any]) -> LabelClass:
    red, green, blue = (int(value) for value in values["color"])
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise ValueError(f"the colour {values['color']} is not of 0 to 255")
    return LabelClass(str(values["name"]), (red, green, blue))
