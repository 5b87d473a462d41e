"""A model's labels where a person set none."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.cli.common import NoticePrinter
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.data.images import image_size, images_in, read_image
from mdlstm_core.errors import InputError
from mdlstm_core.formats.class_mapping import map_classes
from mdlstm_core.formats.exchange import LabelSource, Record
from mdlstm_core.formats.names import safe_name

if TYPE_CHECKING:
    from mdlstm_core.predictor import Predictor


def filled_by_model(source: LabelSource, options: argparse.Namespace) -> LabelSource:
    """Return the dataset's images with a label for every pixel.

    Args:
        source: the dataset's labels, which stay as they are.
        options: with `source` (the dataset's folder), `model`, `pixels` and `device`.

    Raises:
        InputError: the model cannot be loaded.
    """
    from mdlstm_core.checkpoint import load_checkpoint
    from mdlstm_core.kernels import select_kernel
    from mdlstm_core.predictor import Predictor

    predictor = Predictor(load_checkpoint(options.model).looking_at(options.pixels), options.device)
    select_kernel(device=predictor.device.device, wait=True)
    mapping = map_classes(predictor.classes, source.classes, {})
    names = [label_class.name for label_class in mapping.classes]
    table = np.array([names.index(str(row.target)) for row in mapping.rows], dtype=np.uint8)
    notices = NoticePrinter()
    notices.show(predictor.notice)
    records = [*source.records, *_without_labels(source, options.source / "images")]
    return LabelSource(
        mapping.classes,
        tuple(
            record._replace(load=partial(_load, record, predictor, table, notices))
            for record in records
        ),
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


def _load(
    record: Record, predictor: Predictor, table: NDArray[np.uint8], notices: NoticePrinter
) -> NDArray[Any]:
    if record.image is None:
        raise InputError(f"There is no image for {record.name}, so the model cannot label it.")
    label_map = record.load()
    unlabeled = label_map == IGNORE_INDEX
    if not unlabeled.any():
        return label_map
    # The files are kept: they must not depend on how much of the GPU's memory is free.
    found = predictor.predict(read_image(record.image), exact=True)
    notices.show(found.notice)
    return np.where(unlabeled, table[found.label_map], label_map)
