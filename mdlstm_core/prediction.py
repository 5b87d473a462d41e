"""From an image of any size to its label map, with a network."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mdlstm_core.errors import InputError
from mdlstm_core.host_memory import check_fits
from mdlstm_core.kernels import NotFiniteError
from mdlstm_core.memory import COARSER, Attempt, first_that_fits
from mdlstm_core.network import LabelingNetwork, build_network
from mdlstm_core.upsampling import enlarged

_PIXEL_BYTES, _CLASS_BYTES = 300, 10
"""A look's memory on a CPU: of a pixel for `scene`'s layers, and of a pixel's logit, measured."""

_ALWAYS_TRIED = 1 << 30
"""Bytes that a look may need without being asked whether they are free: the usual ones."""


@dataclass(frozen=True)
class Prediction:
    """What a network says of an image.

    Attributes:
        label_map: class index of each pixel, H×W.
        confidence: probability of that class, H×W, 0 to 255 for 0 to 1.
        uncertainty: one less its margin to the second best class, H×W, 0 to 255 for 0 to 1.
        entropy: of all classes' probabilities, H×W, 0 to 255 for 0 (one is sure) to 1 (all
            are as likely); as smooth as the size allows at which the network looks.
        notice: why it was not made as usual, for the user; empty if it was.
    """

    label_map: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    uncertainty: NDArray[np.uint8]
    entropy: NDArray[np.uint8]
    notice: str = ""


def check_image(image_HW3: object) -> None:
    """Check that an argument is an image: H×W×3 of uint8.

    Raises:
        InputError: it is none; the message names it, what was expected and what was given.
    """
    given = type(image_HW3).__name__
    if isinstance(image_HW3, np.ndarray):
        shape = image_HW3.shape
        if len(shape) == 3 and shape[2] == 3 and image_HW3.size and image_HW3.dtype == np.uint8:
            return
        given = f"{shape} of {image_HW3.dtype}"
    raise InputError(
        f"image_HW3: expected height × width × 3 of uint8, neither side zero, given {given}."
    )


def device_of(network: LabelingNetwork) -> torch.device:
    """Return the device that the network's weights are on."""
    return next(network.parameters()).device


def on_device(network: LabelingNetwork, device: torch.device) -> LabelingNetwork:
    """Return the network if it is on the device, else a copy that is.

    Moving it would take it from those who use it meanwhile. The copy draws no weights, so
    that the random numbers of a training under way stay the same.
    """
    return network if device_of(network) == device else _copy(network, device)


def without_gradients(network: LabelingNetwork, device: torch.device) -> LabelingNetwork:
    """Return a network of the same weights that asks for no gradients of them.

    On the network's own device the two share their weights' memory.
    """
    return _copy(network, device).requires_grad_(False)


def _copy(network: LabelingNetwork, device: torch.device) -> LabelingNetwork:
    with torch.device("meta"):
        copied = build_network(network.config)
    weights = {name: weight.to(device) for name, weight in network.state_dict().items()}
    copied.load_state_dict(weights, assign=True)
    return copied.train(network.training)


def working_size(
    height: int, width: int, network: LabelingNetwork, share: float = 1.0
) -> tuple[int, int]:
    """Return height and width at which the network looks at an image (see `network_input`)."""
    area = min(network.config.working_pixels, height * width) * share
    scale = math.sqrt(area / (height * width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def network_input(
    image_HW3: NDArray[np.uint8], network: LabelingNetwork, share: float = 1.0
) -> Tensor:
    """Return the image as the network looks at it: 1×3×H×W, 0 to 1, on its device.

    Larger images are scaled down to the network's working area; the aspect ratio stays.
    `share` is how much of that area, or of a smaller image's own, it looks at.
    """
    size = working_size(image_HW3.shape[0], image_HW3.shape[1], network, share)
    image = image_HW3
    if size != image_HW3.shape[:2]:
        is_smaller = size[0] * size[1] < image_HW3.shape[0] * image_HW3.shape[1]
        method = cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC
        image = cv2.resize(image_HW3, size[::-1], interpolation=method)
    # A copy: the image may be read-only, which tensors do not know.
    tensor = torch.from_numpy(np.array(image)).to(device_of(network))
    return tensor.permute(2, 0, 1).unsqueeze(0).float().div_(255)


def looks(network: LabelingNetwork, image_HW3: NDArray[np.uint8], share: float = 1.0) -> Tensor:
    """Return the logits of each look that a prediction takes at an image: L×K×h×w.

    One look at each of the network's scales, or two of them, the second one at the mirror
    image and turned back again; h×w is the `working_size`.

    Raises:
        InputError: on a CPU, so large a look would take too much of the memory that is free.
    """
    size = working_size(image_HW3.shape[0], image_HW3.shape[1], network, share)
    if device_of(network).type == "cpu":
        _check_memory(network, size)
    found = []
    for scale in network.config.scales:
        image_13HW = network_input(image_HW3, network, share * scale**2)
        if network.config.mirrored:
            image_13HW = torch.cat([image_13HW, image_13HW.flip(3)])
        logits_LKhw = network(image_13HW)
        found.append(_at_size(network, logits_LKhw, image_13HW.shape[2:], size))
        if network.config.mirrored:
            found[-1][1] = found[-1][1].flip(2)
    return torch.cat(found)


def _check_memory(network: LabelingNetwork, size: tuple[int, int]) -> None:
    """Refuse to look so closely that the system would end the program for its memory.

    Raises:
        InputError: the largest look takes too much of what is free.
    """
    config = network.config
    height, width = (round(side * max(config.scales)) for side in size)
    pixels = height * width * (2 if config.mirrored else 1)
    needed = pixels * max(_PIXEL_BYTES, _CLASS_BYTES * config.classes)
    if needed > _ALWAYS_TRIED:
        check_fits(needed, f"Looking at an image of {width}×{height} pixels")


def _at_size(
    network: LabelingNetwork, logits_LKhw: Tensor, seen: Sequence[int], size: tuple[int, int]
) -> Tensor:
    """Return a network's output at `size`, of an image that it saw at the size `seen`."""
    logits = network.enlarge(logits_LKhw, *seen)
    if size == tuple(seen):
        return logits
    return functional.interpolate(logits, size, mode="bilinear", antialias=True)


class UnusableWeightsError(InputError):
    """A model's weights give no finite numbers."""


@contextmanager
def finite_weights() -> Iterator[None]:
    """Say for the user what it means that a network's numbers are not finite.

    The paper's cells outgrow float32 also on grids larger than those that they learned from.

    Raises:
        UnusableWeightsError: in place of `NotFiniteError`; an image's numbers are finite.
    """
    try:
        yield
    except NotFiniteError as error:
        raise UnusableWeightsError(
            "The model cannot be used: its weights give no finite numbers. If it looks at more "
            "pixels than it was trained with, let it look at fewer."
        ) from error


def predict(
    network: LabelingNetwork, image_HW3: NDArray[np.uint8], *, exact: bool = False
) -> Prediction:
    """Label every pixel of an image H×W×3 (RGB, 0 to 255) of any size.

    Args:
        network: the model.
        image_HW3: the image.
        exact: for what is kept, such as files and figures: where the GPU's memory does not
            suffice, label on the CPU and never at a coarser look.

    Raises:
        InputError: what the network gives is not a number, since its weights are not; or, on a
            CPU, so close a look would take too much of the memory that is free.
        MemoryError: the computer's own memory does not suffice.
    """
    return first_that_fits(
        device_of(network),
        lambda attempt: _predict(on_device(network, attempt.device), image_HW3, attempt),
        smaller=None if exact else COARSER,
    )


@torch.no_grad()
def _predict(
    network: LabelingNetwork, image_HW3: NDArray[np.uint8], attempt: Attempt
) -> Prediction:
    with finite_weights():
        logits_LKHW = looks(network, image_HW3, attempt.share)
    return dataclasses.replace(labels_of_looks(logits_LKHW, image_HW3), notice=attempt.notice)


@torch.no_grad()
def labels_of_looks(logits_LKHW: Tensor, image_HW3: NDArray[np.uint8]) -> Prediction:
    """Return what looks at an image say of each of its pixels.

    Args:
        logits_LKHW: of each look (see `looks`), at the size that the network looked at.
        image_HW3: the whole image.

    Raises:
        InputError: no look has finite logits.
    """
    # The paper's cell may outgrow float32 on a grid larger than those it was trained on;
    # what was seen at the other sizes still counts.
    is_finite = logits_LKHW.isfinite().flatten(start_dim=1).all(dim=1)
    with finite_weights():
        if not is_finite.any():
            raise NotFiniteError
    probabilities = logits_LKHW[is_finite].softmax(dim=1).mean(dim=0).cpu().numpy()
    return most_probable(probabilities, image_HW3)


def most_probable(
    probabilities_Khw: NDArray[np.float32], image_HW3: NDArray[np.uint8]
) -> Prediction:
    """Return each pixel's best class; probabilities of a reduced image are enlarged.

    Class by class, so that memory grows with the image and not with the classes.
    """
    height, width = image_HW3.shape[:2]
    is_whole = probabilities_Khw.shape[1:] == (height, width)
    classes = enumerate(probabilities_Khw) if is_whole else enlarged(probabilities_Khw, image_HW3)
    best = np.full((height, width), -1.0, dtype=np.float32)
    second = np.zeros((height, width), dtype=np.float32)
    label_map = np.zeros((height, width), dtype=np.uint8)
    for index, probability in classes:
        label_map[probability > best] = index
        np.maximum(second, np.minimum(best, probability), out=second)
        np.maximum(best, probability, out=best)
    entropy = cv2.resize(_entropy(probabilities_Khw), (width, height))
    return Prediction(label_map, _bytes(best), _bytes(1 - best + second), _bytes(entropy))


def _entropy(probabilities_Khw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the entropy of each pixel's probabilities, h×w, as a share of the greatest."""
    total = np.zeros(probabilities_Khw.shape[1:], dtype=np.float32)
    for probability in probabilities_Khw:
        total -= probability * np.log(np.maximum(probability, np.float32(1e-12)))
    return total / np.float32(math.log(max(len(probabilities_Khw), 2)))


def _bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return 0 to 255 for 0 to 1."""
    return (values * 255).clip(0, 255).round().astype(np.uint8)
