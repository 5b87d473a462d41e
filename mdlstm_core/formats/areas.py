"""How many pixels each class has in each image, as CSV and JSON, for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.formats.exchange import ExchangeFormat, LabelSource, WriteOptions
from mdlstm_core.formats.target import Target


class ImageAreas(NamedTuple):
    """An image's name, height and width, pixels of each class, and pixels without a label."""

    name: str
    height: int
    width: int
    per_class: dict[str, int]
    unlabeled: int


def image_areas(source: LabelSource) -> Iterator[ImageAreas]:
    """Yield the areas of each image in pixels.

    Raises:
        InputError: a label map cannot be read.
    """
    names = [label_class.name for label_class in source.classes]
    for record in source.records:
        label_map = record.load()
        counts = np.bincount(label_map.ravel(), minlength=256).tolist()
        per_class = dict(zip(names, counts, strict=False))
        height, width = label_map.shape
        yield ImageAreas(record.name, height, width, per_class, counts[IGNORE_INDEX])


class AreasCsv(ExchangeFormat):
    """`areas.csv`: a line for each image and class."""

    name = "areas-csv"
    summary = "pixels of each class in each image as CSV (written only)"

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write the file; the share is of all the image's pixels, 0 to 1."""
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(("image", "class", "pixels", "share"))
        for areas in image_areas(source):
            total = areas.height * areas.width
            for name, pixels in [*areas.per_class.items(), ("", areas.unlabeled)]:
                lines.writerow((areas.name, name, pixels, f"{pixels / total:.6f}"))
        target.write("areas.csv", text.getvalue().encode())


class AreasJson(ExchangeFormat):
    """`areas.json`: an object an image."""

    name = "areas-json"
    summary = "pixels of each class in each image as JSON (written only)"

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write the file."""
        images = [areas._asdict() for areas in image_areas(source)]
        text = json.dumps({"images": images}, ensure_ascii=False, indent=2)
        target.write("areas.json", text.encode() + b"\n")
