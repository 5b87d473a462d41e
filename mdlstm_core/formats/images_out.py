"""Images that are written beside their labels, and pixels as PNG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.data.images import image_size, read_image
from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import Record
from mdlstm_core.formats.target import Target


def png(values: NDArray[np.uint8 | np.uint16]) -> bytes:
    """Return H×W numbers or H×W×3 colours as a PNG."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(values)).save(content, "PNG")
    return content.getvalue()


def image_of(record: Record) -> Path:
    """Return the image's file.

    Raises:
        InputError: it is not known.
    """
    if record.image is None:
        raise InputError(
            f"There is no image for {record.name}; give the folder with --images, "
            "or leave the images out with --no-images."
        )
    return record.image


def write_image(target: Target, name: str, record: Record, suffix: str | None = None) -> str:
    """Write a record's image and return its name in the target.

    The file itself is copied. If it is turned by its EXIF data, or must have another
    suffix, its pixels are written as PNG: label maps are upright, and other programs do
    not agree on who turns an image.

    Args:
        target: takes it.
        name: its path in the target without the suffix.
        record: whose image.
        suffix: the one it must have; its own if None.

    Raises:
        InputError: the image is not known, damaged, or cannot be written.
    """
    image = image_of(record)
    image_size(image)  # a file that is no image is not copied
    own = image.suffix.lower()
    if image.is_file() and suffix in (None, own) and not _is_turned(image):
        target.copy(name + image.suffix, image)
        return name + image.suffix
    target.write(f"{name}.png", png(read_image(image)))
    return f"{name}.png"


def _is_turned(image: Path) -> bool:
    with Image.open(image) as opened:
        return opened.getexif().get(0x0112, 1) != 1
