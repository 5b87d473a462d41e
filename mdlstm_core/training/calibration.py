"""Making a network's probabilities mean what they say (Guo et al., ICML 2017).

One temperature divides all logits. Since the logits are linear in the last layers, these
layers take it in: a calibrated network computes nothing more.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.network import LabelingNetwork
from mdlstm_core.prediction import network_input

_PIXELS_AN_IMAGE = 2000
_TEMPERATURES = np.geomspace(0.25, 4.0, 81)


@torch.no_grad()
def calibrate(network: LabelingNetwork, dataset: LabeledFolder) -> float:
    """Scale a network's logits so that a dataset's labels are most likely.

    Args:
        network: changed in place; its most probable classes stay.
        dataset: images that the network has not learned from.

    Returns:
        the temperature, 0.25 to 4: below 1, the network was too unsure.

    Raises:
        InputError: an image cannot be read.
    """
    network.eval()
    samples = [_sample(network, dataset, index) for index in range(len(dataset))]
    logits = torch.cat([sample[0] for sample in samples])
    labels = torch.cat([sample[1] for sample in samples])
    if not len(labels):
        return 1.0
    losses = [functional.cross_entropy(logits / t, labels).item() for t in _TEMPERATURES]
    temperature = float(_TEMPERATURES[int(np.argmin(losses))])
    for layer in network.class_layers:
        layer.weight.div_(temperature)
        if layer.bias is not None:
            layer.bias.div_(temperature)
    return temperature


def _sample(network: LabelingNetwork, dataset: LabeledFolder, index: int) -> tuple[Tensor, Tensor]:
    """Return logits N×K and labels N of some labeled pixels of an image, always the same."""
    image, truth = dataset.load(index)
    working = network_input(image, network)
    logits_KHW = network.enlarge(network(working), *working.shape[2:])[0].float().cpu()
    rows, columns = np.nonzero(truth != IGNORE_INDEX)
    count = min(_PIXELS_AN_IMAGE, len(rows))
    chosen = np.random.default_rng(index).choice(len(rows), count, replace=False)
    rows, columns = rows[chosen], columns[chosen]
    y = rows * logits_KHW.shape[1] // truth.shape[0]
    x = columns * logits_KHW.shape[2] // truth.shape[1]
    labels = torch.from_numpy(truth[rows, columns].astype(np.int64))
    return logits_KHW[:, torch.from_numpy(y), torch.from_numpy(x)].T, labels
