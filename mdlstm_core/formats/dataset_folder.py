"""Our own layout: `images/`, `labels/` and `classes.json`; see `mdlstm_core.data.dataset`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mdlstm_core.data.dataset import read_description
from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import (
    ExchangeFormat,
    LabelMap,
    LabelSource,
    ReadOptions,
    Record,
    WriteOptions,
)
from mdlstm_core.formats.found import FoundRecords
from mdlstm_core.formats.images_out import image_of, write_image
from mdlstm_core.formats.indexed_png import encode_indexed_png
from mdlstm_core.formats.names import find_image
from mdlstm_core.formats.reading import (
    description_json,
    files_in,
    listed_classes,
    read_ids,
    same_size,
    to_label_map,
)
from mdlstm_core.formats.target import Target


class DatasetFolder(ExchangeFormat):
    """A dataset that `mdlstm train` and `evaluate` read."""

    name = "dataset"
    summary = "images/, labels/ and classes.json, as mdlstm train reads them"
    needs_images = "always"

    def read(self, source: Path, options: ReadOptions) -> LabelSource:
        """Return the images that have a label map."""
        classes = listed_classes(source)
        if classes is None:
            raise InputError(f"{source} is not a dataset: it has no classes.json.")
        images = options.images or source / "images"
        found = FoundRecords(source)
        for path in files_in(source / "labels", ".png"):
            image = find_image(images, path.stem)
            load = partial(_load, path, image, len(classes), options.ignore_value)
            with found.entry(path.stem):
                found.add(path.name, image, load)
        return found.labeled_by(classes)

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write label maps, the images that are not there yet, and the class list."""
        path = target.folder / "classes.json"
        kept = read_description(path) if path.exists() else None
        target.write("classes.json", description_json(source.classes, kept), replace=True)
        for record in source.records:
            label_map = record.load()
            check_image(target.folder, record, label_map)
            if find_image(target.folder / "images", record.name) is None:
                write_image(target, f"images/{record.name}", record)
            content = encode_indexed_png(label_map, source.classes)
            target.write(f"labels/{record.name}.png", content)


def check_image(dataset: Path, record: Record, label_map: LabelMap) -> None:
    """Look whether a label map fits its image, in the dataset or to be added to it.

    Raises:
        InputError: there is no image, or it is of another size.
    """
    image = find_image(dataset / "images", record.name) or image_of(record)
    same_size(label_map, Path(f"The label map of {record.name}"), image)


def _load(path: Path, image: Path | None, classes: int, ignore_value: int) -> LabelMap:
    label_map = to_label_map(read_ids(path), classes, ignore_value, path)
    return same_size(label_map, path, image)
