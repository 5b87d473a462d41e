"""Making a network's probabilities mean what they say (Guo et al., ICML 2017).

Rare classes may be preferred first. Then one temperature divides all logits. Since the
logits are linear in the last layers, these layers take both in: a calibrated network
computes nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.memory import Attempt, first_that_fits
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.prediction import device_of, looks, on_device

_PIXELS_AN_IMAGE = 2000
_TEMPERATURES = np.geomspace(0.25, 4.0, 81)


@torch.no_grad()
def calibrate(
    network: LabelingNetwork,
    dataset: LabeledFolder,
    on_notice: Callable[[str], None] = lambda _notice: None,
) -> float:
    """Scale a network's logits so that a dataset's labels are most likely.

    Args:
        network: changed in place; its most probable classes stay.
        dataset: images that the network has not learned from.
        on_notice: called with the notice of each image, empty if it was looked at as usual.

    Returns:
        the temperature, 0.25 to 4: below 1, the network was too unsure.

    Raises:
        InputError: an image cannot be read.
    """
    network.eval()
    samples = [_sample(network, dataset, index, on_notice) for index in range(len(dataset))]
    logits = torch.cat([sample[0] for sample in samples])
    labels = torch.cat([sample[1] for sample in samples])
    if not len(labels):
        return 1.0
    losses = [_loss(logits / t, labels) for t in _TEMPERATURES]
    temperature = float(_TEMPERATURES[int(np.argmin(losses))])
    for layer in network.class_layers:
        layer.weight.div_(temperature)
        if layer.bias is not None:
            layer.bias.div_(temperature)
    return temperature


@torch.no_grad()
def prefer_rare_classes(network: LabelingNetwork, shares: Sequence[float], strength: float) -> None:
    """Add -strength·log(share) to each class's logit (Menon et al., ICLR 2021, section 4.1).

    Args:
        network: changed in place.
        shares: of the training pixels, one a class; a class without any counts as one of
            a millionth.
        strength: 0 changes nothing, 1 makes all classes equally likely beforehand.
    """
    prefer_classes(network, (-strength * torch.tensor(shares).clamp_min(1e-6).log()).tolist())


@torch.no_grad()
def prefer_classes(network: LabelingNetwork, added: Sequence[float]) -> None:
    """Add a number to each class's logit, less the mean of all: only differences count.

    Args:
        network: changed in place.
        added: one number a class.
    """
    bias = network.class_layers[0].bias
    assert bias is not None
    added_K = torch.tensor(added)
    bias.add_((added_K - added_K.mean()).to(bias))


def _loss(logits_NLK: Tensor, labels_N: Tensor) -> float:
    probabilities = logits_NLK.softmax(dim=2).mean(dim=1)
    return functional.nll_loss(probabilities.clamp_min(1e-12).log(), labels_N).item()


def _sample(
    network: LabelingNetwork,
    dataset: LabeledFolder,
    index: int,
    on_notice: Callable[[str], None],
) -> tuple[Tensor, Tensor]:
    """Return logits N×L×K and labels N of some labeled pixels of an image, always the same."""
    image, truth = dataset.load(index)

    def look(attempt: Attempt) -> tuple[Tensor, str]:
        logits_LKHW = looks(on_device(network, attempt.device), image)
        return logits_LKHW.float().cpu(), attempt.notice

    # A temperature must not depend on how much of the GPU's memory is free.
    logits_LKHW, notice = first_that_fits(device_of(network), look, smaller=None)
    on_notice(notice)
    rows, columns = np.nonzero(truth != IGNORE_INDEX)
    count = min(_PIXELS_AN_IMAGE, len(rows))
    chosen = np.random.default_rng(index).choice(len(rows), count, replace=False)
    rows, columns = rows[chosen], columns[chosen]
    y = torch.from_numpy(rows * logits_LKHW.shape[2] // truth.shape[0])
    x = torch.from_numpy(columns * logits_LKHW.shape[3] // truth.shape[1])
    labels = torch.from_numpy(truth[rows, columns].astype(np.int64))
    return logits_LKHW[:, :, y, x].permute(2, 0, 1), labels
