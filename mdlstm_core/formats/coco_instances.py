"""COCO instance JSON: an annotation for each region, as RLE or as polygons.

pycocotools encodes RLE: it is COCO's own code. It does not decode it here, because it reads
past the end of counts that do not add up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mdlstm_core.config import IGNORE_INDEX
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
from mdlstm_core.formats.images_out import write_image
from mdlstm_core.formats.polygon_filling import checked_polygon, fill_polygons, paint_polygons
from mdlstm_core.formats.reading import same_size
from mdlstm_core.formats.region_tracing import Region, trace_regions
from mdlstm_core.formats.target import Target


class CocoInstances(ExchangeFormat):
    """`annotations/instances.json` and `images/`."""

    name = "coco"
    summary = "COCO instance JSON: RLE, or polygons with holes"
    needs_images = "asked"

    def read(self, source: Path, options: ReadOptions) -> LabelSource:
        """Return the images with their annotations; where two overlap, the later one counts."""
        coco = read_coco(source, options.images)
        annotations: dict[int | str, list[Any]] = defaultdict(list)
        for image, annotation, _ in annotations_of_images(coco):
            annotations[image.id].append(annotation)
        for image in coco.images.values():
            load = partial(_load, coco, image, annotations[image.id])
            with coco.found.entry(image.file_name):
                coco.found.add(image.file_name, image.image, load)
        return coco.found.labeled_by(coco.classes)

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write the JSON and the images; RLE unless polygons are asked for."""
        images: list[Any] = []
        annotations: list[Any] = []
        for number, record in enumerate(source.records, start=1):
            label_map = record.load()
            name = write_image(target, f"images/{record.name}", record) if options.images else ""
            size = label_map.shape
            images.append(image_json(number, record, name.removeprefix("images/") or None, size))
            for region in trace_regions(label_map):
                values = _annotation(region, size, as_polygon=options.regions == "polygons")
                values |= {"id": len(annotations) + 1, "image_id": number}
                annotations.append(values)
        values = {
            "images": images,
            "annotations": annotations,
            "categories": categories_json(source.classes),
        }
        target.write("annotations/instances.json", coco_json(values))


def _annotation(region: Region, size: tuple[int, ...], *, as_polygon: bool) -> dict[str, Any]:
    """Return a region's class, outline, area and box."""
    low, high = region.outline.min(0), region.outline.max(0)
    width, height = (int(value) for value in high - low)
    rings = [ring - low for ring in (region.outline, *region.holes)]
    inside = fill_polygons([ring.astype(np.float64) for ring in rings], height, width)
    segmentation: Any = [region.joined().ravel().tolist()]
    if not as_polygon:
        segmentation = encode_rle(inside, size, (int(low[1]), int(low[0])))
    return {
        "category_id": region.class_id + 1,
        "iscrowd": 0,
        "area": int(inside.sum()),
        "bbox": [int(low[0]), int(low[1]), width, height],
        "segmentation": segmentation,
    }


def encode_rle(
    inside: NDArray[np.bool_], size: tuple[int, ...], corner: tuple[int, int]
) -> dict[str, Any]:
    """Return a mask as COCO's compressed RLE.

    Args:
        inside: the mask, cut to its box.
        size: height and width of the image.
        corner: row and column of the box's corner at the top left.
    """
    # pycocotools wants columns first in memory.
    mask = np.zeros((size[0], size[1]), dtype=np.uint8, order="F")
    top, left = corner
    mask[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    rle = coco_mask.encode(mask)
    return {"size": [size[0], size[1]], "counts": rle["counts"].decode("ascii")}


def _load(coco: CocoFile, image: CocoImage, annotations: Sequence[Any]) -> LabelMap:
    labels = np.full((image.height, image.width), IGNORE_INDEX, dtype=np.uint8)
    for annotation in annotations:
        where = f"{coco.path}, annotation {annotation.get('id', '?')} of image {image.id}"
        class_id = class_of_category(coco, annotation, where)
        _paint(labels, class_id, annotation.get("segmentation"), where)
    return same_size(labels, coco.path, image.image)


def _paint(labels: LabelMap, class_id: int, segmentation: Any, where: str) -> None:
    """Give the pixels of an annotation its class.

    Raises:
        InputError: it is neither polygons nor RLE, or does not fit the image.
    """
    height, width = labels.shape
    if isinstance(segmentation, dict):
        labels[decode_rle(segmentation, (height, width), where)] = class_id
        return
    if not isinstance(segmentation, list) or not segmentation:
        raise InputError(f'{where} has no "segmentation": neither polygons nor RLE.')
    for values in segmentation:
        # One after the other: the parts of an annotation are joined, none is a hole.
        paint_polygons(labels, [checked_polygon(values, height, width, where)], class_id)


def decode_rle(values: dict[str, Any], size: tuple[int, int], where: str) -> NDArray[np.bool_]:
    """Return the mask H×W of COCO's RLE, compressed or as a list of counts.

    Raises:
        InputError: it is of another size, or its counts do not add up to it.
    """
    if values.get("size") != list(size):
        raise InputError(
            f"{where} has an RLE of the size {values.get('size')}, but its image is {list(size)}."
        )
    counts = values.get("counts")
    if isinstance(counts, list):
        numbers = counts
    else:
        numbers = _counts(counts) if isinstance(counts, str) else []
    is_sound = all(type(n) is int and n >= 0 for n in numbers)
    if not is_sound or sum(numbers) != size[0] * size[1]:
        raise InputError(
            f"{where} has an RLE that does not add up to {size[1]}×{size[0]} pixels; "
            "export it anew."
        )
    # Runs outside and inside take turns, column by column.
    is_inside = np.arange(len(numbers)) % 2 == 1
    return np.repeat(is_inside, numbers).reshape(size, order="F")


def _counts(text: str) -> list[int]:
    """Return the counts in COCO's compressed text; one negative count if it is damaged.

    Six bits a character from "0" on, of which one says that the number goes on; from the
    fourth number, what is written is the difference to the last but one.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            return [-1]
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return [-1] if shift else counts
