"""Random views of labeled images for training."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.data.dataset import LabeledImage

_PADDING = (115, 115, 115)
"""Colour outside the image, close to the mean of photographs."""

_SCALES = 0.7, 2.2
"""From how small to how large an image is seen."""


def random_view(
    sample: LabeledImage, height: int, width: int, generator: Generator, zoom: float = 1.0
) -> LabeledImage:
    """Return a random view of height × width: scaled, shifted, mirrored and recoloured.

    What lies outside the image has no label. With a `zoom` below 1 all that it shows is
    smaller by that factor.
    """
    if zoom < 1:
        sample = _shrunk(sample, zoom)
    image, labels = _random_crop(sample, height, width, generator)
    if generator.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    return LabeledImage(_recolor(image, generator), np.ascontiguousarray(labels))


def _shrunk(sample: LabeledImage, zoom: float) -> LabeledImage:
    rows, columns = sample.labels.shape
    size = max(1, round(columns * zoom)), max(1, round(rows * zoom))
    return LabeledImage(
        cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA).astype(np.uint8),
        cv2.resize(sample.labels, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8),
    )


def _random_crop(
    sample: LabeledImage, height: int, width: int, generator: Generator
) -> LabeledImage:
    """Scale the image with a little stretching, and cut out a random place."""
    scale = np.exp(generator.uniform(*np.log(_SCALES)))
    stretch = np.exp(generator.uniform(-0.12, 0.12))
    scale_x, scale_y = scale * stretch, scale / stretch
    rows, columns = sample.labels.shape
    # Room between view and image: the view's corner moves over all of it.
    shift_x = generator.uniform(*sorted((0.0, width - columns * scale_x)))
    shift_y = generator.uniform(*sorted((0.0, height - rows * scale_y)))
    angle = generator.normal(0.0, 0.03)
    turn = np.array([[1, -angle, angle * height / 2], [angle, 1, -angle * width / 2], [0, 0, 1]])
    place = np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y], [0, 0, 1]])
    matrix = (turn @ place)[:2]
    image = cv2.warpAffine(
        sample.image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=_PADDING
    )
    labels = cv2.warpAffine(
        sample.labels, matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=IGNORE_INDEX
    )
    return LabeledImage(image.astype(np.uint8), labels.astype(np.uint8))


def _recolor(image_HW3: NDArray[np.uint8], generator: Generator) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and white balance; now and then blur or grey."""
    image = image_HW3.astype(np.float32)
    if generator.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), float(generator.uniform(0.4, 1.2)))
    grey = image @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    saturation = 0.0 if generator.random() < 0.08 else generator.uniform(0.5, 1.5)
    image = grey[..., np.newaxis] + saturation * (image - grey[..., np.newaxis])
    contrast = np.exp(generator.normal(0.0, 0.2))
    balance = np.exp(generator.normal(0.0, 0.06, size=3))
    brightness = generator.normal(0.0, 20.0)
    mean = float(grey.mean())
    image = (image - mean) * (contrast * balance) + mean + brightness
    if generator.random() < 0.2:
        noise = generator.standard_normal(image.shape, dtype=np.float32)
        image = image + noise * generator.uniform(2, 8)
    return image.clip(0, 255).astype(np.uint8)
