"""labelme JSON: a file an image, a shape for each region.

Source: https://github.com/wkentaro/labelme, label_file.py and utils/shape.py; the shape
"mask" is of version 5.3.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

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
from mdlstm_core.formats.images_out import image_of, png, write_image
from mdlstm_core.formats.names import find_image, plain_names, safe_parts
from mdlstm_core.formats.polygon_filling import (
    checked_polygon,
    fill_polygons,
    paint_circle,
    paint_polygons,
)
from mdlstm_core.formats.reading import (
    check_pixels,
    field,
    files_in,
    read_json,
    read_text,
    same_size,
)
from mdlstm_core.formats.region_tracing import Region, trace_regions
from mdlstm_core.formats.target import Target
from mdlstm_core.palette import default_color

_VERSION = "5.5.0"
_NO_CLASSES = ("__ignore__",)
"""What labelme's `labels.txt` lists besides classes."""

_WITHOUT_AREA = ("point", "points", "line", "linestrip")
"""Types of shapes that labelme draws some pixels wide, though nobody drew that width."""


class Labelme(ExchangeFormat):
    """`STEM.json` beside the images, and `labels.txt`."""

    name = "labelme"
    summary = "labelme JSON: polygons, or masks"
    needs_images = "asked"

    def read(self, source: Path, options: ReadOptions) -> LabelSource:
        """Return all files; classes are those of `labels.txt`, then others as they occur."""
        folder = source if source.is_dir() else source.parent
        classes = {name: index for index, name in enumerate(_listed(folder / "labels.txt"))}
        found = FoundRecords(source)
        for path in files_in(source, ".json"):
            with found.entry(path.stem):
                values = read_json(path)
                for label in _labels(values, path):
                    classes.setdefault(label, len(classes))
                image = _find_image(values, path, options.images)
                found.add(path.stem, image, partial(_load, path, image, classes))
        return found.labeled_by([LabelClass(name, default_color(i)) for name, i in classes.items()])

    def check(self, classes: tuple[LabelClass, ...]) -> None:
        """Refuse names that `labels.txt` cannot hold."""
        for name in plain_names(classes, "", "labelme's labels.txt"):
            if name in _NO_CLASSES:
                raise InputError(f"In labelme {name!r} is no class: rename it, with --map too.")

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write a JSON an image, the images, and `labels.txt`; polygons unless masks are asked."""
        self.check(source.classes)
        names = [label_class.name for label_class in source.classes]
        listed = [*_NO_CLASSES, *names]
        target.write("labels.txt", ("\n".join(listed) + "\n").encode())
        for record in source.records:
            label_map = record.load()
            image = write_image(target, record.name, record) if options.images else None
            if image is None:
                image = image_of(record).name if record.image else f"{record.name}.png"
            values = {
                "version": _VERSION,
                "flags": {},
                "shapes": [
                    _shape(region, names[region.class_id], as_mask=options.regions == "masks")
                    for region in trace_regions(label_map)
                ],
                "imagePath": image,
                "imageData": None,
                "imageHeight": label_map.shape[0],
                "imageWidth": label_map.shape[1],
            }
            text = json.dumps(values, ensure_ascii=False)
            target.write(f"{record.name}.json", text.encode())


def _shape(region: Region, label: str, *, as_mask: bool) -> dict[str, Any]:
    values: dict[str, Any] = {
        "label": label,
        "points": region.joined().astype(float).tolist(),
        "group_id": None,
        "description": "",
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
    }
    if as_mask:
        low, high = region.outline.min(0), region.outline.max(0)
        rings = [(ring - low).astype(np.float64) for ring in (region.outline, *region.holes)]
        inside = fill_polygons(rings, int(high[1] - low[1]), int(high[0] - low[0]))
        # The box's last pixel counts as in it.
        values["points"] = [low.astype(float).tolist(), (high - 1).astype(float).tolist()]
        values["shape_type"] = "mask"
        values["mask"] = base64.b64encode(png(inside.astype(np.uint8))).decode("ascii")
    return values


def _listed(path: Path) -> dict[str, None]:
    """Return the names of `labels.txt` in their order, none without it."""
    lines = read_text(path).splitlines() if path.is_file() else []
    return dict.fromkeys(x.strip() for x in lines if x.strip() and x.strip() not in _NO_CLASSES)


def _labels(values: dict[str, Any], path: Path) -> list[str]:
    """Return the label of each shape.

    Raises:
        InputError: a shape has none.
    """
    shapes = enumerate(field(values, "shapes", list, str(path)))
    return [field(shape, "label", str, f"{path}, shape {number}") for number, shape in shapes]


def _find_image(values: dict[str, Any], path: Path, folder: Path | None) -> Path | None:
    written = values.get("imagePath")
    if isinstance(written, str) and written:
        # labelme writes paths such as ../images/a.jpg: only the file's name is used.
        name = safe_parts(written.replace("\\", "/").rpartition("/")[2] or written, path)[-1]
        for place in (folder, path.parent):
            if place is not None and (place / name).is_file():
                return place / name
    return find_image(folder or path.parent, path.stem)


def _load(path: Path, image: Path | None, classes: dict[str, int]) -> LabelMap:
    values = read_json(path)
    height = field(values, "imageHeight", int, str(path))
    width = field(values, "imageWidth", int, str(path))
    check_pixels(path, height, width)
    labels = np.full((height, width), IGNORE_INDEX, dtype=np.uint8)
    for number, label in enumerate(_labels(values, path)):
        _paint(labels, classes[label], values["shapes"][number], f"{path}, shape {number}")
    return same_size(labels, path, image)


def _paint(labels: LabelMap, class_id: int, shape: dict[str, Any], where: str) -> None:
    """Give the pixels of a shape its class.

    Raises:
        InputError: the shape is none that has an area, or does not fit the image.
    """
    height, width = labels.shape
    points = field(shape, "points", list, where)
    kind = shape.get("shape_type", "polygon")
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise InputError(f"{where} has points that are not x and y.")
    flat = [value for point in points for value in point]
    if kind == "mask":
        _paint_mask(labels, class_id, shape, flat, where)
    elif kind in ("polygon", "rectangle"):
        if kind == "rectangle" and len(flat) == 4:
            left, top, right, bottom = flat
            flat = [left, top, right, top, right, bottom, left, bottom]
        paint_polygons(labels, [checked_polygon(flat, height, width, where)], class_id)
    elif kind == "circle":
        paint_circle(labels, _checked_circle(flat, labels.shape, where), class_id)
    elif kind in _WITHOUT_AREA:
        raise InputError(
            f"{where} is of the type {kind}, which encloses no area; draw a polygon instead."
        )
    else:
        raise InputError(
            f"{where} is of the type {kind!r}, which is not known; draw a polygon instead."
        )


def _checked_circle(values: list[Any], size: tuple[int, ...], where: str) -> NDArray[np.float64]:
    """Return x and y of a circle's middle and of a point on its border.

    Raises:
        InputError: they are not numbers, or the middle is outside the image.
    """
    try:
        circle = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where} has a circle that is not made of numbers.") from error
    if circle.shape != (4,) or not np.isfinite(circle).all():
        raise InputError(f"{where} has a circle that is not a middle and a point on its border.")
    if (circle[:2] < 0).any() or circle[0] > size[1] or circle[1] > size[0]:
        raise InputError(
            f"{where} has a circle around ({circle[0]:g}, {circle[1]:g}), outside its image of "
            f"{size[1]}×{size[0]} pixels."
        )
    return circle


def _paint_mask(
    labels: LabelMap, class_id: int, shape: dict[str, Any], corners: list[Any], where: str
) -> None:
    inside = _decode(field(shape, "mask", str, where), where)
    if len(corners) != 4 or not all(_is_whole(value) for value in corners):
        raise InputError(f"{where} is a mask without a box of whole pixels.")
    left, top, right, bottom = (int(value) for value in corners)
    height, width = labels.shape
    if inside.shape != (bottom + 1 - top, right + 1 - left):
        raise InputError(f"{where} has a mask of another size than its box.")
    if left < 0 or top < 0 or right >= width or bottom >= height:
        raise InputError(f"{where} has a mask outside its image of {width}×{height} pixels.")
    labels[top : bottom + 1, left : right + 1][inside] = class_id


def _is_whole(value: object) -> bool:
    # NaN and infinity, which Python's JSON has, are floats too.
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _decode(text: str, where: str) -> NDArray[np.bool_]:
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            check_pixels(where, image.height, image.width)
            return np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, ValueError, SyntaxError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where} has a mask that is no PNG; draw it anew.") from error
