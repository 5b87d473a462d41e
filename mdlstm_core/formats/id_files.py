"""What the formats share that write one file of class ids an image, and `classes.json`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX, MAX_CLASSES, LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import LabelMap, LabelSource, ReadOptions
from mdlstm_core.formats.found import FoundRecords
from mdlstm_core.formats.names import find_image
from mdlstm_core.formats.reading import (
    files_in,
    listed_classes,
    numbered_classes,
    same_size,
    to_label_map,
)

ReadIds = Callable[[Path], NDArray[np.int64]]


def read_id_files(
    source: Path, options: ReadOptions, suffix: str, read_ids: ReadIds
) -> LabelSource:
    """Return the label maps in a folder of files with ids.

    Without `classes.json` the classes are numbered up to the highest id that a file has
    which can be used; for that every file is read once.

    Raises:
        InputError: there are no such files, or the class list does not fit.
    """
    paths = files_in(source, suffix)
    folder = source if source.is_dir() else source.parent
    classes = listed_classes(folder) or _classes_by_ids(paths, options, read_ids)
    found = FoundRecords(source)
    for path in paths:
        image = find_image(options.images, path.stem) if options.images else None
        load = partial(_load, path, image, len(classes), options.ignore_value, read_ids)
        with found.entry(path.stem):
            found.add(path.name.removesuffix(path.suffix), image, load)
    return found.labeled_by(classes)


def with_ignore_value(
    label_map_HW: LabelMap, classes: int, ignore_value: int, dtype: type[np.uint8 | np.uint16]
) -> NDArray[np.uint8 | np.uint16]:
    """Return the class ids to store.

    Raises:
        InputError: `ignore_value` is a class's id, or does not fit into the file.
    """
    if not classes <= ignore_value <= np.iinfo(dtype).max:
        raise InputError(
            f"The ignore value {ignore_value} does not work for {classes} classes in "
            f"{np.iinfo(dtype).bits} bits; choose one from {classes} to {np.iinfo(dtype).max}."
        )
    ids: NDArray[np.uint8 | np.uint16] = label_map_HW.astype(dtype)
    ids[label_map_HW == IGNORE_INDEX] = ignore_value
    return ids


def _classes_by_ids(
    paths: list[Path], options: ReadOptions, read_ids: ReadIds
) -> tuple[LabelClass, ...]:
    count = 1
    for path in paths:
        try:
            ids = read_ids(path)
        except InputError:
            continue  # its record says so
        highest = int(ids[ids != options.ignore_value].max(initial=0))
        if highest < MAX_CLASSES:
            count = max(count, highest + 1)
    return numbered_classes(count)


def _load(
    path: Path, image: Path | None, classes: int, ignore_value: int, read_ids: ReadIds
) -> LabelMap:
    return same_size(to_label_map(read_ids(path), classes, ignore_value, path), path, image)
