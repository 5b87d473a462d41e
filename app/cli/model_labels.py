"""A model's labels where a person set none, for datasets."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.cli.common import NoticePrinter
from app.exchange.exporting import Fill
from app.exchange.model_fill import ModelFill
from mdlstm_core.config import DEFAULT_MODEL, IGNORE_INDEX
from mdlstm_core.data.images import image_size, images_in
from mdlstm_core.errors import InputError
from mdlstm_core.formats.class_mapping import map_classes
from mdlstm_core.formats.exchange import LabelMap, LabelSource, Record
from mdlstm_core.formats.names import safe_name


def filled_by_model(source: LabelSource, options: argparse.Namespace) -> LabelSource:
    """Return the dataset's images with a label for every pixel.

    Args:
        source: the dataset's labels, which stay as they are.
        options: with `source` (the dataset's folder), `model`, `pixels` and `device`.

    Raises:
        InputError: the model cannot be loaded.
    """
    from mdlstm_core.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(options.model or DEFAULT_MODEL).looking_at(options.pixels)
    mapping = map_classes(checkpoint.classes, source.classes, {})
    names = [label_class.name for label_class in mapping.classes]
    labels = [names.index(str(row.target)) for row in mapping.rows]
    fill = ModelFill(checkpoint, options.device, labels, NoticePrinter().show)
    records = [*source.records, *_without_labels(source, options.source / "images")]
    return LabelSource(
        mapping.classes,
        tuple(record._replace(load=partial(_load, record, fill)) for record in records),
    )


def _without_labels(source: LabelSource, images: Path) -> list[Record]:
    labeled = {record.name for record in source.records}
    return [
        Record(safe_name(path.name, path), path, partial(_nothing, path))
        for path in images_in(images)
        if safe_name(path.name, path) not in labeled
    ]


def _nothing(image: Path) -> NDArray[np.uint8]:
    return np.full(image_size(image), IGNORE_INDEX, dtype=np.uint8)


def _load(record: Record, fill: Fill) -> LabelMap:
    if record.image is None:
        raise InputError(f"There is no image for {record.name}, so the model cannot label it.")
    label_map = record.load()
    unlabeled = label_map == IGNORE_INDEX
    return np.where(unlabeled, fill(record.image), label_map) if unlabeled.any() else label_map
