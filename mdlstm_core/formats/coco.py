"""What COCO's two kinds of JSON share: images, categories, and checks of both.

Source: https://cocodataset.org/#format-data. An id of a category is its class's place in
the list plus one: 0 stands for no label in panoptic images.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mdlstm_core.config import LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import Record
from mdlstm_core.formats.found import FoundRecords
from mdlstm_core.formats.images_out import image_of
from mdlstm_core.formats.names import safe_parts
from mdlstm_core.formats.reading import check_pixels, field, read_json
from mdlstm_core.palette import default_color


class CocoImage(NamedTuple):
    """An entry of "images": its id, its name, its file if there is one, its size."""

    id: int | str
    file_name: str
    image: Path | None
    height: int
    width: int


class CocoFile(NamedTuple):
    """A JSON file up to its annotations.

    Attributes:
        path: the file.
        values: what it holds.
        images: those that can be used, by id.
        unusable: the ids of the others.
        found: the records so far: those of unusable images, each with what is wrong.
        classes: the categories.
        class_of: the class of each category id.
    """

    path: Path
    values: dict[str, Any]
    images: Mapping[int | str, CocoImage]
    unusable: frozenset[int | str]
    found: FoundRecords
    classes: tuple[LabelClass, ...]
    class_of: dict[int, int]


def read_coco(source: Path, images: Path | None) -> CocoFile:
    """Read a COCO file up to its annotations.

    Args:
        source: the JSON file, or a folder with it alone or under `annotations/`.
        images: the folder with the images; if None, `images/` near the file.

    Raises:
        InputError: the file is missing or damaged, or a category is there twice.
    """
    path = _json_file(source)
    values = read_json(path)
    classes, class_of = _categories(path, field(values, "categories", list, str(path)))
    near = (path.parent / "images", path.parent.parent / "images", path.parent)
    folders = (images,) if images else near
    entries = field(values, "images", list, str(path))
    if not entries:
        raise InputError(f"{path} has no images.")
    found = FoundRecords(path)
    usable, unusable = _images(path, entries, folders, found)
    return CocoFile(path, values, usable, unusable, found, classes, class_of)


def annotations_of_images(coco: CocoFile) -> Iterator[tuple[CocoImage, Any, str]]:
    """Yield each annotation with its image, and what it is called in a sentence.

    One of an image that there is not becomes a broken record, the first one of each image.

    Raises:
        InputError: there is no list of annotations.
    """
    lost: set[int | str] = set(coco.unusable)
    for number, annotation in enumerate(field(coco.values, "annotations", list, str(coco.path))):
        where = f"{coco.path}, annotation {number}"
        with coco.found.entry(f"annotation {number}"):
            image_id = field(annotation, "image_id", (int, str), where)
            if image_id in coco.images:
                yield coco.images[image_id], annotation, where
            elif image_id not in lost:
                lost.add(image_id)
                raise InputError(f'{where} is of image {image_id}, which "images" does not have.')


def class_of_category(coco: CocoFile, values: object, where: str) -> int:
    """Return the class of an annotation or segment.

    Raises:
        InputError: its category is missing or unknown.
    """
    category = field(values, "category_id", int, where)
    if category not in coco.class_of:
        raise InputError(f'{where} has the category {category}, which "categories" does not have.')
    return coco.class_of[category]


def categories_json(classes: Sequence[LabelClass]) -> list[dict[str, Any]]:
    """Return the classes as "categories", with their colours."""
    return [
        {
            "id": index + 1,
            "name": label_class.name,
            "supercategory": "",
            "isthing": 0,
            "color": list(label_class.color),
        }
        for index, label_class in enumerate(classes)
    ]


def image_json(number: int, record: Record, name: str | None, size: tuple[int, ...]) -> Any:
    """Return an entry of "images".

    Args:
        number: its id.
        record: the image.
        name: the file that was written for it, None if none was.
        size: height and width.
    """
    own = name or (image_of(record).name if record.image else f"{record.name}.png")
    return {"id": number, "file_name": own, "height": size[0], "width": size[1]}


def coco_json(values: dict[str, Any]) -> bytes:
    """Return a COCO file's text."""
    return json.dumps(
        {"info": {"version": "1.0"}, "licenses": []} | values, ensure_ascii=False
    ).encode()


def _json_file(source: Path) -> Path:
    if source.is_file():
        return source
    if not source.is_dir():
        raise InputError(f"There is no file or folder {source}.")
    found = sorted(source.glob("*.json")) or sorted((source / "annotations").glob("*.json"))
    if len(found) != 1:
        raise InputError(f"{source} has {len(found)} JSON files; name the one to read.")
    return found[0]


def _categories(path: Path, entries: list[Any]) -> tuple[tuple[LabelClass, ...], dict[int, int]]:
    classes: list[LabelClass] = []
    class_of: dict[int, int] = {}
    for index, entry in enumerate(entries):
        where = f"{path}, category {index}"
        number, name = field(entry, "id", int, where), field(entry, "name", str, where)
        if number in class_of:
            raise InputError(f"{path} has two categories with the id {number}.")
        if any(label_class.name == name for label_class in classes):
            raise InputError(f"{path} has two categories called {name!r}; rename one.")
        class_of[number] = index
        color = entry.get("color")
        is_color = (
            isinstance(color, list)
            and len(color) == 3
            and all(isinstance(value, int) and 0 <= value <= 255 for value in color)
        )
        own = (color[0], color[1], color[2]) if is_color else default_color(index)
        classes.append(LabelClass(name, own))
    return tuple(classes), class_of


def _images(
    path: Path, entries: list[Any], folders: Sequence[Path], found: FoundRecords
) -> tuple[dict[int | str, CocoImage], frozenset[int | str]]:
    """Return the images that can be used, and the ids of the others."""
    usable: dict[int | str, CocoImage] = {}
    unusable: set[int | str] = set()
    for index, entry in enumerate(entries):
        number = None
        try:
            number = field(entry, "id", (int, str), f"{path}, image at place {index}")
            if number in usable or number in unusable:
                raise InputError(f"{path} has two images with the id {number}; give each its own.")
            usable[number] = _image(path, number, entry, folders)
        except InputError as error:
            if number is None:
                found.add_broken(f"image at place {index}", error)
                continue
            found.add_broken(f"image {number}", error)
            # Nobody knows which of two its annotations are of.
            unusable.add(number)
            usable.pop(number, None)
    return usable, frozenset(unusable)


def _image(path: Path, number: int | str, entry: object, folders: Sequence[Path]) -> CocoImage:
    where = f"{path}, image {number}"
    file_name = field(entry, "file_name", str, where)
    height, width = field(entry, "height", int, where), field(entry, "width", int, where)
    check_pixels(where, height, width)
    parts = safe_parts(file_name, path)
    candidates = (folder.joinpath(*parts) for folder in folders)
    image = next((candidate for candidate in candidates if candidate.is_file()), None)
    return CocoImage(number, file_name, image, height, width)
