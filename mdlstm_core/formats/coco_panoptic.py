"""COCO panoptic: a PNG of segment ids an image, and what each segment is as JSON.

A segment's id is red + 256 green + 256² blue; 0 is no label. Each class of an image is
one segment ("stuff").
Source: https://cocodataset.org/#format-data, "Panoptic Segmentation".
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.data.images import image_size, read_image
from mdlstm_core.errors import InputError
from mdlstm_core.formats.coco import (
    CocoFile,
    CocoImage,
    annotations_of_images,
    categories_json,
    class_of_category,
    coco_json,
    image_json,
    read_coco,
)
from mdlstm_core.formats.exchange import (
    ExchangeFormat,
    LabelMap,
    LabelSource,
    ReadOptions,
    WriteOptions,
)
from mdlstm_core.formats.images_out import png, write_image
from mdlstm_core.formats.names import safe_parts
from mdlstm_core.formats.reading import check_pixels, field, same_size
from mdlstm_core.formats.target import Target


class CocoPanoptic(ExchangeFormat):
    """`annotations/panoptic.json`, `annotations/panoptic/STEM.png` and `images/`."""

    name = "coco-panoptic"
    summary = "COCO panoptic: PNG of segment ids and JSON"
    needs_images = "asked"

    def read(self, source: Path, options: ReadOptions) -> LabelSource:
        """Return the images that have an annotation; things of a class fall together."""
        coco = read_coco(source, options.images)
        if not field(coco.values, "annotations", list, str(coco.path)):
            raise InputError(f"{coco.path} has no annotations.")
        seen: set[int | str] = set()
        for image, annotation, where in annotations_of_images(coco):
            with coco.found.entry(image.file_name):
                if image.id in seen:
                    raise InputError(f"{where} is the second one of image {image.id}; remove one.")
                seen.add(image.id)
                load = partial(_load, coco, image, annotation, where)
                coco.found.add(image.file_name, image.image, load)
        return coco.found.labeled_by(coco.classes)

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write the JSON, the PNGs and the images."""
        images: list[Any] = []
        annotations: list[Any] = []
        for number, record in enumerate(source.records, start=1):
            label_map = record.load()
            name = write_image(target, f"images/{record.name}", record) if options.images else ""
            images.append(
                image_json(number, record, name.removeprefix("images/") or None, label_map.shape)
            )
            # 0 is no label; ids up to 255 need red alone.
            red = np.where(label_map == IGNORE_INDEX, 0, label_map + 1).astype(np.uint8)
            colors = np.zeros((*red.shape, 3), dtype=np.uint8)
            colors[..., 0] = red
            file_name = f"{record.name}.png"
            target.write(f"annotations/panoptic/{file_name}", png(colors))
            annotations.append(
                {"image_id": number, "file_name": file_name, "segments_info": _segments(label_map)}
            )
        values = {
            "images": images,
            "annotations": annotations,
            "categories": categories_json(source.classes),
        }
        target.write("annotations/panoptic.json", coco_json(values))


def _segments(label_map: LabelMap) -> list[dict[str, Any]]:
    segments = []
    for class_id in np.unique(label_map[label_map != IGNORE_INDEX]).tolist():
        inside = label_map == class_id
        rows, columns = inside.any(1).nonzero()[0], inside.any(0).nonzero()[0]
        top, left = int(rows[0]), int(columns[0])
        segments.append(
            {
                "id": class_id + 1,
                "category_id": class_id + 1,
                "iscrowd": 0,
                "area": int(inside.sum()),
                "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
            }
        )
    return segments


def _load(coco: CocoFile, image: CocoImage, annotation: Any, where: str) -> LabelMap:
    parts = safe_parts(field(annotation, "file_name", str, where), coco.path)
    folders = (coco.path.with_suffix(""), coco.path.parent)
    candidates = [folder.joinpath(*parts) for folder in folders]
    path = next((candidate for candidate in candidates if candidate.is_file()), candidates[0])
    check_pixels(path, *image_size(path))
    colors = read_image(path).astype(np.uint32)
    ids = colors[..., 0] + 256 * colors[..., 1] + 65536 * colors[..., 2]
    if ids.shape != (image.height, image.width):
        raise InputError(
            f"{path} is {ids.shape[1]}×{ids.shape[0]} pixels, but {coco.path} says "
            f"{image.width}×{image.height}."
        )
    found, places = np.unique(ids, return_inverse=True)
    table = np.full(len(found), -1)
    table[found == 0] = IGNORE_INDEX
    for segment in field(annotation, "segments_info", list, where):
        number = field(segment, "id", int, where)
        table[found == number] = class_of_category(coco, segment, f"{where}, segment {number}")
    if (table < 0).any():
        raise InputError(f"{path} has the segment {found[table < 0][0]}, which is not in {where}.")
    labels = table[places].reshape(ids.shape).astype(np.uint8)
    return same_size(labels, path, image.image)
