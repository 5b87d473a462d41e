"""Label maps as 8-bit indexed PNG: the index is the class, the palette its colour."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.files import write_whole
from mdlstm_core.formats.exchange import ExchangeFormat, LabelSource, ReadOptions, WriteOptions
from mdlstm_core.formats.id_files import read_id_files, with_ignore_value
from mdlstm_core.formats.reading import description_json, read_ids
from mdlstm_core.formats.target import Target


class IndexedPng(ExchangeFormat):
    """`STEM.png` with a palette, and `classes.json`; the default."""

    name = "indexed-png"
    summary = "one PNG with palette an image: index = class, its colour = the class's"

    def read(self, source: Path, options: ReadOptions) -> LabelSource:
        """Return the label maps in a folder; the class list's colours count, not the palettes."""
        return read_id_files(source, options, ".png", read_ids)

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write one file an image, and the class list."""
        target.write("classes.json", description_json(source.classes))
        for record in source.records:
            content = encode_indexed_png(record.load(), source.classes, options.ignore_value)
            target.write(f"{record.name}.png", content)


def save_indexed_png(
    label_map_HW: NDArray[np.uint8], classes: Sequence[LabelClass], path: Path
) -> None:
    """Write a label map as an indexed PNG of its size.

    Pixels without a label keep `IGNORE_INDEX`, which is black and transparent.

    Args:
        label_map_HW: class of each pixel, or `IGNORE_INDEX`.
        classes: the classes in the order of their ids.
        path: the file to write.

    Raises:
        ValueError: a pixel has a class that there is not.
        InputError: the file cannot be written.
    """
    write_whole(path, encode_indexed_png(label_map_HW, classes))


def encode_indexed_png(
    label_map_HW: NDArray[np.uint8],
    classes: Sequence[LabelClass],
    ignore_value: int = IGNORE_INDEX,
) -> bytes:
    """Return a label map as an indexed PNG.

    Args:
        label_map_HW: class of each pixel, or `IGNORE_INDEX`.
        classes: the classes in the order of their ids.
        ignore_value: index of pixels without a label; it is black and transparent.

    Raises:
        ValueError: a pixel has a class that there is not.
        InputError: `ignore_value` is a class's id or above 255.
    """
    colors = color_table(label_map_HW, classes)
    image = Image.fromarray(with_ignore_value(label_map_HW, len(classes), ignore_value, np.uint8))
    image.putpalette(colors.tobytes())
    content = io.BytesIO()
    image.save(content, "PNG", transparency=ignore_value)
    return content.getvalue()


def color_table(
    label_map_HW: NDArray[np.uint8], classes: Sequence[LabelClass]
) -> NDArray[np.uint8]:
    """Return the colour of each index, 256×3, black where there is no class.

    Raises:
        ValueError: the label map has a class that there is not, or is none.
    """
    if label_map_HW.dtype != np.uint8 or label_map_HW.ndim != 2:
        raise ValueError(
            f"label_map_HW: expected H×W of uint8, given {label_map_HW.shape} {label_map_HW.dtype}"
        )
    used = np.bincount(label_map_HW.ravel(), minlength=256)[:IGNORE_INDEX].nonzero()[0]
    if used.size and used[-1] >= len(classes):
        raise ValueError(f"label_map_HW: expected classes below {len(classes)}, given {used[-1]}")
    colors = np.zeros((256, 3), dtype=np.uint8)
    for index, label_class in enumerate(classes):
        colors[index] = label_class.color
    return colors
