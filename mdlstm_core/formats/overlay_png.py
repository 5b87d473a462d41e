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
from mdlstm_core.files import write_whole
from mdlstm_core.formats.indexed_png import color_table


def overlay(
    image_HW3: NDArray[np.uint8],
    label_map_HW: NDArray[np.uint8],
    classes: Sequence[LabelClass],
    opacity: float = 0.5,
) -> NDArray[np.uint8]:
    """Return the image H×W×3 blended with the colour of each pixel's class.

    Pixels without a label stay as they are.

    Args:
        image_HW3: RGB, 0 to 255.
        label_map_HW: class of each pixel, or `IGNORE_INDEX`.
        classes: the classes in the order of their ids.
        opacity: of the colours, 0 to 1.

    Raises:
        ValueError: the sizes differ, or a pixel has a class that there is not.
    """
    if image_HW3.shape != (*label_map_HW.shape, 3):
        raise ValueError(f"image_HW3: expected {(*label_map_HW.shape, 3)}, given {image_HW3.shape}")
    colors_HW3 = color_table(label_map_HW, classes)[label_map_HW]
    blended = cv2.addWeighted(image_HW3, 1 - opacity, colors_HW3, opacity, 0.0)
    unlabeled = label_map_HW == IGNORE_INDEX
    blended[unlabeled] = image_HW3[unlabeled]
    return blended.astype(np.uint8, copy=False)


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
