"""Images with their classes' colours laid over them, to look at."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.images import read_image
from mdlstm_core.files import write_whole
from mdlstm_core.formats.exchange import ExchangeFormat, LabelSource, WriteOptions
from mdlstm_core.formats.images_out import image_of, png
from mdlstm_core.formats.indexed_png import color_table
from mdlstm_core.formats.reading import same_size
from mdlstm_core.formats.target import Target


def overlay(
    image_HW3: NDArray[np.uint8],
    label_map_HW: NDArray[np.uint8],
    classes: Sequence[LabelClass],
    opacity: float = 0.5,
    *,
    outlines: bool = False,
) -> NDArray[np.uint8]:
    """Return the image H×W×3 blended with the colour of each pixel's class.

    Pixels without a label stay as they are.

    Args:
        image_HW3: RGB, 0 to 255.
        label_map_HW: class of each pixel, or `IGNORE_INDEX`.
        classes: the classes in the order of their ids.
        opacity: of the colours, 0 to 1.
        outlines: colour only the outermost pixels of each region, fully.

    Raises:
        ValueError: the sizes differ, or a pixel has a class that there is not.
    """
    if image_HW3.shape != (*label_map_HW.shape, 3):
        raise ValueError(f"image_HW3: expected {(*label_map_HW.shape, 3)}, given {image_HW3.shape}")
    colors_HW3 = color_table(label_map_HW, classes)[label_map_HW]
    if outlines:
        is_outline = outline_mask(label_map_HW)
        return np.where(is_outline[..., np.newaxis], colors_HW3, image_HW3)
    blended = cv2.addWeighted(image_HW3, 1 - opacity, colors_HW3, opacity, 0.0)
    unlabeled = label_map_HW == IGNORE_INDEX
    blended[unlabeled] = image_HW3[unlabeled]
    return blended.astype(np.uint8, copy=False)


def outline_mask(label_map_HW: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the labeled pixels H×W that have another label beside, above or below them."""
    differs = np.zeros(label_map_HW.shape, dtype=bool)
    across = label_map_HW[:, 1:] != label_map_HW[:, :-1]
    down = label_map_HW[1:] != label_map_HW[:-1]
    differs[:, 1:] |= across
    differs[:, :-1] |= across
    differs[1:] |= down
    differs[:-1] |= down
    return differs & (label_map_HW != IGNORE_INDEX)


class OverlayPng(ExchangeFormat):
    """`STEM_overlay.png`: the image with the colours laid over."""

    name = "overlay"
    summary = "the image with the classes' colours laid over (written only)"
    needs_images = "always"

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write one picture an image."""
        for record in source.records:
            label_map = record.load()
            image_path = image_of(record)
            image = read_image(image_path)
            same_size(label_map, Path(f"The label map of {record.name}"), image_path)
            picture = overlay(
                image, label_map, source.classes, options.opacity, outlines=options.outlines
            )
            target.write(f"{record.name}_overlay.png", png(picture))


def save_overlay_png(
    image_HW3: NDArray[np.uint8],
    label_map_HW: NDArray[np.uint8],
    classes: Sequence[LabelClass],
    path: Path,
    opacity: float = 0.5,
) -> None:
    """Write what `overlay` returns.

    Raises:
        ValueError: see `overlay`.
        InputError: the file cannot be written.
    """
    content = io.BytesIO()
    Image.fromarray(overlay(image_HW3, label_map_HW, classes, opacity)).save(content, "PNG")
    write_whole(path, content.getvalue())
