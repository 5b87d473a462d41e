"""One model of several that went on from the same weights.

The mean of such weights is often better than each of them, and costs no more to use
(Wortsman et al., Model soups, ICML 2022).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch

from mdlstm_core.checkpoint import Checkpoint, checkpoint_of
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.errors import InputError
from mdlstm_core.training.calibration import calibrate, prefer_classes
from mdlstm_core.training.evaluation import evaluate
from mdlstm_core.training.measurements import KEPT


@torch.no_grad()
def averaged(models: Sequence[Checkpoint]) -> Checkpoint:
    """Return the model whose weights are the mean of some models' weights.

    Args:
        models: of one configuration, with the same classes in one order.

    Returns:
        the mean, described as the first one, without figures: it was not measured.

    Raises:
        InputError: there is none, or they differ in configuration or classes.
    """
    if not models:
        raise InputError("There is no model to take the mean of.")
    first, *others = models
    for number, other in enumerate(others, 2):
        if other.config != first.config or other.classes != first.classes:
            raise InputError(
                f"Model number {number} has another configuration, or other classes, than the "
                "first one; only models that went on from the same weights have a mean."
            )
    weights = {
        name: torch.stack([model.weights[name] for model in models]).mean(dim=0)
        for name in first.weights
    }
    return dataclasses.replace(first, weights=weights, metrics={})


def fitted_to(
    checkpoint: Checkpoint,
    dataset: LabeledFolder,
    preferred: Mapping[str, float],
    on_image: Callable[[int], None] = lambda _done: None,
) -> Checkpoint:
    """Return a model with preferred classes, calibrated and measured on a dataset.

    Args:
        checkpoint: the model; its classes are the dataset's, in the same order.
        dataset: images that it has not learned from.
        preferred: what is added to the logits of some classes, by their names.
        on_image: called with the number of images measured.

    Raises:
        InputError: the classes differ, a preferred one is none of them, or an image cannot
            be read.
    """
    names = [c.name for c in checkpoint.classes]
    if names != [c.name for c in dataset.classes]:
        raise InputError(
            f"The model labels {', '.join(names)}; {dataset.root} has other classes, or "
            "another order."
        )
    if foreign := sorted(preferred.keys() - set(names)):
        raise InputError(f"The model has no class {foreign[0]!r}; it has {', '.join(names)}.")
    network = checkpoint.network()
    prefer_classes(network, [preferred.get(name, 0.0) for name in names])
    temperature = calibrate(network, dataset)
    figures = evaluate(network, dataset, on_image)
    metrics = {key: figures[key] for key in KEPT} | {"temperature": temperature}
    return checkpoint_of(network, dataclasses.replace(checkpoint, metrics=metrics))
