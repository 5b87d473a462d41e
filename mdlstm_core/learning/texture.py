"""Texture segmentation of one image from scribbles alone, with a 2D-LSTM.

After Byeon and Breuel, "Supervised texture segmentation using 2D LSTM networks" (ICIP
2014): a small network on small windows. It starts from random weights for each image, so
that it needs no model and knows only what the scribbles show.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from mdlstm_core.config import IGNORE_INDEX, NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.kernels import NotFiniteError, select_kernel
from mdlstm_core.kernels.threads import one_thread
from mdlstm_core.losses import balanced_weights, class_shares, soft_cross_entropy
from mdlstm_core.network import LabelingNetwork, build_network
from mdlstm_core.prediction import Prediction, predict
from mdlstm_core.presets import preset


@dataclass(frozen=True)
class TextureOptions:
    """How to learn an image's textures.

    Attributes:
        steps: how many; the learning rate falls over all of them.
        seconds: at most this long; a run that this cuts off cannot be repeated.
        learning_rate: the highest of the cycle.
        view: pixels a side of the random views.
        batch: views a step.
        seed: of weights and views.
    """

    steps: int = 400
    seconds: float = 120.0
    learning_rate: float = 8e-3
    view: int = 96
    batch: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what cannot be learned with.

        Raises:
            InputError: a number is out of its range.
        """
        if not 0 < self.learning_rate < math.inf:
            raise InputError("The learning rate must be positive, and finite.")
        if min(self.steps, self.view, self.batch) < 1 or not self.seconds > 0 or self.seed < 0:
            raise InputError("Steps, seconds and view must be positive, and the seed not negative.")


def segment_texture(
    image_HW3: NDArray[np.uint8],
    scribbles_HW: NDArray[np.uint8],
    options: TextureOptions | None = None,
    on_progress: Callable[[int, float], None] = lambda _step, _loss: None,
    stop: threading.Event | None = None,
) -> Prediction:
    """Label every pixel of an image by its texture, from a few labeled strokes.

    Args:
        image_HW3: RGB, 0 to 255.
        scribbles_HW: class index of the scribbled pixels, `IGNORE_INDEX` elsewhere.
        options: how long to learn.
        on_progress: called after each step with its number, from 1, and its loss.
        stop: set it to end after the step under way; what was learned serves.

    Raises:
        InputError: the sizes differ, fewer than two classes are scribbled, or the loss is
            not finite.
    """
    options = options or TextureOptions()
    if image_HW3.shape != (*scribbles_HW.shape, 3):
        raise InputError(
            f"The image of {_size(image_HW3)} pixels has scribbles of {_size(scribbles_HW)}; "
            "they must be the same."
        )
    scribbled = np.unique(scribbles_HW[scribbles_HW != IGNORE_INDEX])
    if len(scribbled) < 2:
        raise InputError("Scribble at least two classes; all other pixels have the value 255.")
    config = preset("texture", int(scribbled[-1]) + 1)
    # All steps with one kernel: learning again gives the same to the last bit.
    select_kernel(device=torch.device("cpu"), wait=True)
    torch.manual_seed(options.seed)
    network = build_network(config)
    reduced = _reduced(image_HW3, scribbles_HW, config)
    _learn(network, *reduced, options, on_progress, stop or threading.Event())
    return predict(network.eval(), image_HW3)


@one_thread()
def _learn(
    network: LabelingNetwork,
    image_HW3: NDArray[np.uint8],
    scribbles_HW: NDArray[np.uint8],
    options: TextureOptions,
    on_progress: Callable[[int, float], None],
    stop: threading.Event,
) -> None:
    """Train the network on random views around scribbled pixels."""
    generator = np.random.default_rng(options.seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate)
    scribbled = np.unique(scribbles_HW[scribbles_HW != IGNORE_INDEX])
    places = [np.argwhere(scribbles_HW == label) for label in scribbled]
    end = time.monotonic() + options.seconds
    for step in range(options.steps):
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * _cycle(step / options.steps)
        views = []
        for _ in range(options.batch):
            # Each class as often as another, however short its strokes.
            of_class = places[generator.integers(len(places))]
            around = of_class[generator.integers(len(of_class))]
            views.append(_view(image_HW3, scribbles_HW, around, options.view, generator))
        images, labels = (torch.from_numpy(np.stack(part)) for part in zip(*views, strict=True))
        loss = _step(network, optimizer, images.permute(0, 3, 1, 2), labels)
        if not math.isfinite(loss):
            raise InputError(
                f"The loss is not finite in step {step + 1}; learn with another seed or a lower "
                "learning rate."
            )
        on_progress(step + 1, loss)
        # The clock may end the run, but not change a step: the same seed gives the same.
        if stop.is_set() or time.monotonic() >= end:
            break


def _step(
    network: LabelingNetwork,
    optimizer: torch.optim.Optimizer,
    images_B3HW: Tensor,
    labels_BHW: Tensor,
) -> float:
    """Learn from a batch of views and return its loss; NaN, and nothing learned, if not finite."""
    shares, area = class_shares(labels_BHW, network.config.classes, network.output_stride)
    try:
        logits = network(images_B3HW)
    except NotFiniteError:
        return math.nan
    loss = soft_cross_entropy(logits, shares, balanced_weights(shares, area))
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    if not norm.isfinite():
        return math.nan
    optimizer.step()
    return loss.item()


def _view(
    image_HW3: NDArray[np.uint8],
    scribbles_HW: NDArray[np.uint8],
    around: NDArray[np.int64],
    side: int,
    generator: Generator,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return a random view, 0 to 1, that holds the place `around` (row, column).

    Turned and scaled a little only: which way a texture runs, and how fine it is, tells
    textures apart.
    """
    angle, scale = generator.normal(0.0, 0.12), math.exp(generator.normal(0.0, 0.08))
    turn = scale * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    shift = generator.uniform(0, side, 2) - turn @ around[::-1]
    matrix = np.column_stack([turn, shift])
    image = cv2.warpAffine(
        image_HW3, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    labels = cv2.warpAffine(
        scribbles_HW, matrix, (side, side), flags=cv2.INTER_NEAREST, borderValue=IGNORE_INDEX
    )
    contrast, brightness = math.exp(generator.normal(0.0, 0.15)), generator.normal(0.0, 15.0)
    recolored = (image.astype(np.float32) - 128) * contrast + 128 + brightness
    return (recolored.clip(0, 255) / 255).astype(np.float32), labels.astype(np.uint8)


def _reduced(
    image_HW3: NDArray[np.uint8], scribbles_HW: NDArray[np.uint8], config: NetworkConfig
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Scale a large image down, as `predict` does, and its scribbles with it.

    A class is kept wherever it has a part of the smaller pixel: strokes stay connected.
    """
    height, width = scribbles_HW.shape
    scale = math.sqrt(config.working_pixels / (height * width))
    if scale >= 1:
        return image_HW3, scribbles_HW
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA)
    best = np.zeros(size[::-1], dtype=np.float32)
    scribbles = np.full(size[::-1], IGNORE_INDEX, dtype=np.uint8)
    for label in range(config.classes):
        mass = cv2.resize(
            (scribbles_HW == label).astype(np.float32), size, interpolation=cv2.INTER_AREA
        )
        scribbles[mass > best] = label
        best = np.maximum(best, mass)
    return image.astype(np.uint8), scribbles


def _cycle(share: float) -> float:
    """Return the learning rate at a share of the run: a short rise, then half a cosine."""
    return min(1.0, 0.1 + share / 0.05) * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-3


def _size(array: NDArray[np.uint8]) -> str:
    return "×".join(str(length) for length in array.shape[:2])
