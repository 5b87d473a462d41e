"""Cityscapes: `leftImg8bit/` and `gtFine/` with labelIds, labelTrainIds and color.

Source: Cordts et al., CVPR 2016, and the table of labels in cityscapesScripts
(https://github.com/mcordts/cityscapesScripts, helpers/labels.py).
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

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
from mdlstm_core.formats.images_out import png, write_image
from mdlstm_core.formats.names import find_image
from mdlstm_core.formats.reading import read_ids, same_size
from mdlstm_core.formats.target import Target


class CityLabel(NamedTuple):
    """A label that has a class: its name, its id, its id in training (255: none), colour."""

    name: str
    id: int
    train_id: int
    color: tuple[int, int, int]


LABELS = (
    CityLabel("static", 4, 255, (0, 0, 0)),
    CityLabel("dynamic", 5, 255, (111, 74, 0)),
    CityLabel("ground", 6, 255, (81, 0, 81)),
    CityLabel("road", 7, 0, (128, 64, 128)),
    CityLabel("sidewalk", 8, 1, (244, 35, 232)),
    CityLabel("parking", 9, 255, (250, 170, 160)),
    CityLabel("rail track", 10, 255, (230, 150, 140)),
    CityLabel("building", 11, 2, (70, 70, 70)),
    CityLabel("wall", 12, 3, (102, 102, 156)),
    CityLabel("fence", 13, 4, (190, 153, 153)),
    CityLabel("guard rail", 14, 255, (180, 165, 180)),
    CityLabel("bridge", 15, 255, (150, 100, 100)),
    CityLabel("tunnel", 16, 255, (150, 120, 90)),
    CityLabel("pole", 17, 5, (153, 153, 153)),
    CityLabel("polegroup", 18, 255, (153, 153, 153)),
    CityLabel("traffic light", 19, 6, (250, 170, 30)),
    CityLabel("traffic sign", 20, 7, (220, 220, 0)),
    CityLabel("vegetation", 21, 8, (107, 142, 35)),
    CityLabel("terrain", 22, 9, (152, 251, 152)),
    CityLabel("sky", 23, 10, (70, 130, 180)),
    CityLabel("person", 24, 11, (220, 20, 60)),
    CityLabel("rider", 25, 12, (255, 0, 0)),
    CityLabel("car", 26, 13, (0, 0, 142)),
    CityLabel("truck", 27, 14, (0, 0, 70)),
    CityLabel("bus", 28, 15, (0, 60, 100)),
    CityLabel("caravan", 29, 255, (0, 0, 90)),
    CityLabel("trailer", 30, 255, (0, 0, 110)),
    CityLabel("train", 31, 16, (0, 80, 100)),
    CityLabel("motorcycle", 32, 17, (0, 0, 230)),
    CityLabel("bicycle", 33, 18, (119, 11, 32)),
)
"""What is a class. The ids 0 to 3 (unlabeled, ego vehicle, …) are pixels without a label."""

_UNLABELED_ID = 0
_HIGHEST_UNLABELED_ID = 3
_CITY = re.compile(r"([A-Za-z-]+)_\d{6}_\d{6}")


class Cityscapes(ExchangeFormat):
    """The folders of Cityscapes, all images in the split `train`."""

    name = "cityscapes"
    summary = "Cityscapes: labelIds, labelTrainIds and color under gtFine"
    needs_images = "asked"

    def read(self, source: Path, options: ReadOptions) -> LabelSource:
        """Return the images with labelIds; if there are none, those with labelTrainIds."""
        by_id = sorted((source / "gtFine").glob("*/*/*_gtFine_labelIds.png"))
        paths = by_id or sorted((source / "gtFine").glob("*/*/*_gtFine_labelTrainIds.png"))
        if not paths:
            raise InputError(
                f"{source} has no gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png; "
                "name the folder that holds gtFine."
            )
        labels = [label for label in LABELS if by_id or label.train_id != IGNORE_INDEX]
        table = _table_of_ids(labels) if by_id else _table_of_train_ids(labels)
        found = FoundRecords(source)
        for path in paths:
            name = path.name.partition("_gtFine_")[0]
            place = path.parent.relative_to(source / "gtFine")
            images = options.images or source / "leftImg8bit" / place
            image = find_image(images, f"{name}_leftImg8bit") or find_image(images, name)
            with found.entry(path.stem):
                found.add(name, image, partial(_load, path, image, table))
        return found.labeled_by([LabelClass(label.name, label.color) for label in labels])

    def check(self, classes: tuple[LabelClass, ...]) -> None:
        """Refuse classes that Cityscapes does not have."""
        for label_class in classes:
            _label(label_class)

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write the three kinds of PNG and the images, as PNG."""
        labels = [_label(label_class) for label_class in source.classes]
        ids = np.full(256, _UNLABELED_ID, dtype=np.uint8)
        train_ids = np.full(256, IGNORE_INDEX, dtype=np.uint8)
        colors = np.zeros((256, 3), dtype=np.uint8)
        for index, label in enumerate(labels):
            ids[index], train_ids[index], colors[index] = label.id, label.train_id, label.color
        for record in source.records:
            label_map = record.load()
            city = _CITY.fullmatch(record.name)
            place = f"train/{city[1] if city else 'unknown'}/{record.name}"
            for kind, table in (("labelIds", ids), ("labelTrainIds", train_ids), ("color", colors)):
                target.write(f"gtFine/{place}_gtFine_{kind}.png", png(table[label_map]))
            if options.images:
                write_image(target, f"leftImg8bit/{place}_leftImg8bit", record, ".png")


def _label(label_class: LabelClass) -> CityLabel:
    for label in LABELS:
        if label.name == label_class.name.casefold():
            return label
    raise InputError(
        f"Cityscapes has no class {label_class.name!r}: rename it, with --map too, to one of "
        f"{', '.join(x.name for x in LABELS)}, or take its labels away."
    )


def _table_of_ids(labels: list[CityLabel]) -> dict[int, int]:
    unlabeled = dict.fromkeys(range(_HIGHEST_UNLABELED_ID + 1), IGNORE_INDEX)
    return unlabeled | {label.id: index for index, label in enumerate(labels)}


def _table_of_train_ids(labels: list[CityLabel]) -> dict[int, int]:
    return {IGNORE_INDEX: IGNORE_INDEX} | {x.train_id: index for index, x in enumerate(labels)}


def _load(path: Path, image: Path | None, table: dict[int, int]) -> LabelMap:
    ids = read_ids(path)
    found, places = np.unique(ids, return_inverse=True)
    unknown = [number for number in found.tolist() if number not in table]
    if unknown:
        raise InputError(f"{path} has the id {unknown[0]}, which Cityscapes does not have.")
    values = np.array([table[number] for number in found.tolist()], dtype=np.uint8)
    return same_size(values[places].reshape(ids.shape), path, image)
