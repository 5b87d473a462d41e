"""From an image of any size to its label map, with a network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdlstm_core.errors import InputError
from mdlstm_core.kernels import NotFiniteError
from mdlstm_core.network import LabelingNetwork


@dataclass(frozen=True)
class Prediction:
    """What a network says of an image.

    Attributes:
        label_map: class index of each pixel, H×W.
        confidence: probability of that class, H×W, 0 to 255 for 0 to 1.
    """

    label_map: NDArray[np.uint8]
    confidence: NDArray[np.uint8]


def network_input(image_HW3: NDArray[np.uint8], network: LabelingNetwork) -> Tensor:
    """Return the image as the network looks at it: 1×3×H×W, 0 to 1, on its device.

    Larger images are scaled down to the network's working area; the aspect ratio stays.
    """
    height, width = image_HW3.shape[:2]
    scale = math.sqrt(network.config.working_pixels / (height * width))
    image = image_HW3
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA)
    device = next(network.parameters()).device
    # A copy: the image may be read-only, which tensors do not know.
    tensor = torch.from_numpy(np.array(image)).to(device)
    return tensor.permute(2, 0, 1).unsqueeze(0).float().div_(255)


@contextmanager
def finite_weights() -> Iterator[None]:
    """Say for the user what it means that a network's numbers are not finite.

    Raises:
        InputError: in place of `NotFiniteError`; an image's numbers are finite.
    """
    try:
        yield
    except NotFiniteError as error:
        message = "The model cannot be used: its weights give no finite numbers."
        raise InputError(message) from error


@torch.no_grad()
def predict(network: LabelingNetwork, image_HW3: NDArray[np.uint8]) -> Prediction:
    """Label every pixel of an image H×W×3 (RGB, 0 to 255) of any size.

    Raises:
        InputError: what the network gives is not a number, since its weights are not.
    """
    height, width = image_HW3.shape[:2]
    working = network_input(image_HW3, network)
    with finite_weights():
        logits = network.enlarge(network(working), *working.shape[2:])
        probabilities = logits[0].softmax(dim=0).cpu().numpy()
        if not np.isfinite(probabilities).all():
            raise NotFiniteError
    return most_probable(probabilities, height, width)


def most_probable(probabilities_Khw: NDArray[np.float32], height: int, width: int) -> Prediction:
    """Enlarge probabilities and keep each pixel's best class.

    Class by class, so that memory grows with the image and not with the classes.
    """
    best = np.full((height, width), -1.0, dtype=np.float32)
    label_map = np.zeros((height, width), dtype=np.uint8)
    for index, probability in enumerate(probabilities_Khw):
        full = probability
        if full.shape != best.shape:
            full = cv2.resize(full, (width, height), interpolation=cv2.INTER_LINEAR)
        label_map[full > best] = index
        np.maximum(best, full, out=best)
    confidence = (best * 255).clip(0, 255).round().astype(np.uint8)
    return Prediction(label_map, confidence)
