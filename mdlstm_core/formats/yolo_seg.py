"""YOLO segmentation: a line for each region, its class and a polygon from 0 to 1.

Holes are joined to their outline by bridges without width, as ultralytics joins the parts
of an object (`merge_multi_segment`).
Source: https://docs.ultralytics.com/datasets/segment/.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import yaml

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.images import image_size, images_in
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
from mdlstm_core.formats.names import distinct
from mdlstm_core.formats.polygon_filling import checked_polygon, paint_polygons
from mdlstm_core.formats.reading import check_pixels, read_text
from mdlstm_core.formats.region_tracing import trace_regions
from mdlstm_core.formats.target import Target
from mdlstm_core.palette import default_color


class YoloSeg(ExchangeFormat):
    """`data.yaml`, `images/train/` and `labels/train/`."""

    name = "yolo-seg"
    summary = "YOLO segmentation: polygons as text, data.yaml"
    needs_images = "asked"

    def read(self, source: Path, options: ReadOptions) -> LabelSource:
        """Return all images, in all splits; where two polygons overlap, the later counts."""
        classes = _read_classes(source)
        labels = source / "labels"
        if not labels.is_dir():
            raise InputError(f"{source} has no folder labels; name the folder with data.yaml.")
        # The files of a split lie in a folder of its own, or all in one.
        folders = [labels, *sorted(path for path in labels.iterdir() if path.is_dir())]
        found = FoundRecords(source)
        for folder in folders:
            place = options.images or source / "images" / folder.relative_to(labels)
            images = {path.stem: path for path in (images_in(place) if place.is_dir() else ())}
            stems = {path.stem for path in folder.glob("*.txt")}
            if folder != labels and options.images is None:
                # In the folder of a split, an image without a file is one without objects.
                stems |= set(images)
            for stem in sorted(stems):
                path, image = folder / f"{stem}.txt", images.get(stem)
                with found.entry(f"{folder.name}/{stem}"):
                    found.add(stem, image, partial(_load, path, image, len(classes)))
        if not found:
            raise InputError(f"{labels} has no .txt files.")
        return found.labeled_by(classes)

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write polygons, images and `data.yaml`."""
        target.write("data.yaml", _description(source.classes))
        for record in source.records:
            label_map = record.load()
            if options.images:
                write_image(target, f"images/train/{record.name}", record)
            text = "".join(f"{line}\n" for line in _lines(label_map))
            target.write(f"labels/train/{record.name}.txt", text.encode())


def _lines(label_map: LabelMap) -> list[str]:
    height, width = label_map.shape
    lines = []
    for region in trace_regions(label_map):
        # Eight digits: far less than half a pixel in any image.
        numbers = (region.joined() / (width, height)).ravel()
        lines.append(f"{region.class_id} " + " ".join(f"{number:.8g}" for number in numbers))
    return lines


def _load(path: Path, image: Path | None, classes: int) -> LabelMap:
    if image is None:
        raise InputError(f"{path} has no image, whose size is needed; give --images.")
    height, width = image_size(image)
    check_pixels(image, height, width)
    labels = np.full((height, width), IGNORE_INDEX, dtype=np.uint8)
    lines = read_text(path).splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number},"
        words = line.split()
        if not words:
            continue
        class_id = _class_id(words[0])
        if class_id is None or class_id >= classes:
            raise InputError(
                f"{where} begins with {words[0][:20]!r}, but there are the classes 0 to "
                f"{classes - 1}."
            )
        if len(words) == 5:
            raise InputError(f"{where} is a box, not a polygon; export the set as segments.")
        try:
            values = np.array([float(word) for word in words[1:]])
        except ValueError as error:
            raise InputError(f"{where} has a polygon that is not made of numbers.") from error
        values[0::2] *= width
        values[1::2] *= height
        paint_polygons(labels, [checked_polygon(values, height, width, where)], class_id)
    return labels


def _class_id(word: str) -> int | None:
    """Return the number that a line begins with, None if it is none of a class."""
    try:
        return int(word) if word.isdecimal() else None
    except ValueError:  # thousands of digits
        return None


def _description(classes: tuple[LabelClass, ...]) -> bytes:
    names = {index: label_class.name for index, label_class in enumerate(classes)}
    # Without "path" ultralytics takes the folder of this file, otherwise the one it runs in.
    values = {"train": "images/train", "val": "images/train", "names": names}
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False).encode()


def _read_classes(source: Path) -> tuple[LabelClass, ...]:
    """Return the classes of `data.yaml`.

    Raises:
        InputError: it is missing, damaged, or its names are not numbered from 0 on.
    """
    paths = sorted([*source.glob("*.yaml"), *source.glob("*.yml")])
    if len(paths) != 1:
        raise InputError(f"{source} has {len(paths)} YAML files; it must have one, data.yaml.")
    text = read_text(paths[0])
    try:
        values = yaml.safe_load(text)
    # ValueError: a date that there is not, a number of thousands of digits.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{paths[0]} is not valid YAML; mend it.") from error
    names = values.get("names") if isinstance(values, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or sorted(names, key=str) != sorted(range(len(names)), key=str):
        raise InputError(f'{paths[0]} must have "names", numbered from 0 on.')
    listed = [LabelClass(str(names[i]), default_color(i)) for i in range(len(names))]
    return distinct(listed, paths[0])
