"""The weights that a run begins with: another run's, or a model's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mdlstm_core.checkpoint import Checkpoint, load_checkpoint
from mdlstm_core.errors import InputError
from mdlstm_core.network import LabelingNetwork, with_classes
from mdlstm_core.training.state import load_state


def begin_with(network: LabelingNetwork, start: str, names: Sequence[str]) -> None:
    """Give a network the weights of another run, or of a model.

    Args:
        network: freshly drawn; classes that a model does not know keep these weights.
        start: a run's FILE.state (or FILE.state.previous), of the same datasets; or a model,
            by name or file.
        names: of the network's classes, in the order of its logits; for a model, of which
            they take their weights by name.

    Raises:
        InputError: it cannot be read, or its network is another one.
    """
    try:
        if start.removesuffix(".previous").endswith(".state"):
            weights = load_state(Path(start)).average
        else:
            weights = _of_model(load_checkpoint(start), network, names)
        network.load_state_dict(weights)
    except InputError:
        raise
    # Layers of other sizes, or more of them.
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{start} is of a network of other sizes or classes.") from error


@torch.no_grad()
def _of_model(
    checkpoint: Checkpoint, network: LabelingNetwork, names: Sequence[str]
) -> dict[str, Tensor]:
    known = [c.name for c in checkpoint.classes]
    rows = [known.index(name) if name in known else None for name in names]
    begun = with_classes(checkpoint.network(), rows)
    new = [index for index, row in enumerate(rows) if row is None]
    for layer, fresh in zip(begun.class_layers, network.class_layers, strict=True):
        layer.weight[new] = fresh.weight[new].to(layer.weight)
        if layer.bias is not None and fresh.bias is not None:
            layer.bias[new] = fresh.bias[new].to(layer.bias)
    return begun.state_dict()
