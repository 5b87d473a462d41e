"""Pascal VOC segmentation: `JPEGImages/`, `SegmentationClass/`, `ImageSets/`.

Index 0 is `background`, 255 the void label, colours are VOC's. The names of other classes
than VOC's own stand in `labelmap.txt`, as CVAT and Datumaro write it; their label maps have
the colours that are listed there instead of indices, and are read too.
Source: Everingham et al., "The PASCAL VOC2012 Development Kit", section on segmentation.
"""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import (
    ExchangeFormat,
    LabelMap,
    LabelSource,
    ReadOptions,
    WriteOptions,
)
from mdlstm_core.formats.found import FoundRecords
from mdlstm_core.formats.images_out import write_image
from mdlstm_core.formats.names import distinct, find_image, plain_names
from mdlstm_core.formats.reading import (
    files_in,
    has_colors,
    read_colors,
    read_ids,
    read_text,
    same_size,
    to_label_map,
)
from mdlstm_core.formats.target import Target

VOC_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip

_COMMENT = "#"
"""How a line of `labelmap.txt` begins that is none of a class."""


class PascalVoc(ExchangeFormat):
    """A folder as VOC's development kit has it."""

    name = "voc"
    summary = "Pascal VOC: JPEGImages, SegmentationClass, ImageSets"
    needs_images = "asked"

    def read(self, source: Path, options: ReadOptions) -> LabelSource:
        """Return all images in `SegmentationClass`; `background` is a class as any other."""
        listed = source / "labelmap.txt"
        classes = _read_classes(listed)
        images = options.images or source / "JPEGImages"
        found = FoundRecords(source)
        for path in files_in(source / "SegmentationClass", ".png"):
            image = find_image(images, path.stem)
            with found.entry(path.stem):
                found.add(path.name, image, partial(_load, path, image, classes, listed))
        return found.labeled_by(classes)

    def check(self, classes: tuple[LabelClass, ...]) -> None:
        """Refuse names that `labelmap.txt` cannot hold, and too many classes."""
        for label_class in classes:
            if label_class.name.startswith(_COMMENT):
                raise InputError(
                    f"Pascal VOC cannot hold the class {label_class.name!r}, because a line that "
                    f"begins with {_COMMENT} is a comment: rename it, with --map too."
                )
        if len({*plain_names(classes, ":", "Pascal VOC"), VOC_NAMES[0]}) > IGNORE_INDEX:
            raise InputError("Pascal VOC holds at most 254 classes and background; merge some.")

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write label maps, images, the class list and the list `trainval.txt`."""
        self.check(source.classes)
        names = [label_class.name for label_class in source.classes]
        others = [name for name in names if name != VOC_NAMES[0]]
        indices = np.full(256, IGNORE_INDEX, dtype=np.uint8)
        for index, name in enumerate(names):
            indices[index] = 0 if name == VOC_NAMES[0] else others.index(name) + 1
        lines = [f"{_COMMENT} label:color_rgb:parts:actions"]
        for name, color in zip([VOC_NAMES[0], *others], color_map(), strict=False):
            lines.append(f"{name}:{','.join(str(value) for value in color)}::")
        target.write("labelmap.txt", _text(lines))
        for record in source.records:
            label_map = with_void_border(record.load(), options.void_border)
            content = _encode(indices[label_map])
            target.write(f"SegmentationClass/{record.name}.png", content)
            if options.images:
                write_image(target, f"JPEGImages/{record.name}", record)
        stems = [record.name for record in source.records]
        target.write("ImageSets/Segmentation/trainval.txt", _text(stems))


def color_map() -> NDArray[np.uint8]:
    """Return VOC's colours, 256×3: three bits of the index at a time, highest bit first."""
    indices = np.arange(256)
    colors = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (((indices >> channel) & 1) << (7 - bit)).astype(np.uint8)
        indices = indices >> 3
    return colors


def with_void_border(label_map_HW: LabelMap, width: int) -> LabelMap:
    """Return a label map without labels along the borders of classes.

    Args:
        label_map_HW: class of each pixel, or `IGNORE_INDEX`.
        width: pixels on each side of a border, 0 for none.
    """
    if width == 0:
        return label_map_HW
    square = np.ones((2 * width + 1, 2 * width + 1), dtype=np.uint8)
    is_border = cv2.dilate(label_map_HW, square) != cv2.erode(label_map_HW, square)
    return np.where(is_border, np.uint8(IGNORE_INDEX), label_map_HW)


def _encode(indices_HW: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(indices_HW))
    image.putpalette(color_map().tobytes())
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def _text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _read_classes(path: Path) -> tuple[LabelClass, ...]:
    """Return the classes of `labelmap.txt`; without one, VOC's own.

    Raises:
        InputError: a line is none of a class.
    """
    if not path.is_file():
        own = zip(VOC_NAMES, color_map().tolist(), strict=False)
        return tuple(LabelClass(name, (color[0], color[1], color[2])) for name, color in own)
    classes = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith(_COMMENT):
            continue
        name, _, rest = line.partition(":")
        try:
            red, green, blue = (int(value) for value in rest.partition(":")[0].split(","))
        except ValueError as error:
            raise InputError(
                f"{path}, line {number}: {line!r} is no class; write it as name:red,green,blue."
            ) from error
        if not all(0 <= value <= 255 for value in (red, green, blue)):
            raise InputError(f"{path}, line {number}: the colour is not of 0 to 255.")
        classes.append(LabelClass(name, (red, green, blue)))
    return distinct(classes, path)


def _load(
    path: Path, image: Path | None, classes: tuple[LabelClass, ...], listed: Path
) -> LabelMap:
    if not has_colors(path):
        labels = to_label_map(read_ids(path), len(classes), IGNORE_INDEX, path)
        return same_size(labels, path, image)
    red, green, blue = color_map()[IGNORE_INDEX].tolist()
    table = {(red, green, blue): IGNORE_INDEX}
    for index, label_class in enumerate(classes):
        if table.setdefault(label_class.color, index) < index:
            raise InputError(
                f"{path} has colours instead of indices, and {listed} has the colour "
                f"{label_class.color} twice; give each class its own."
            )
        table[label_class.color] = index
    return same_size(read_colors(path, table, listed), path, image)
