"""Reading what other programs wrote: ids, colours and JSON, each fault in a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.dataset import classes_of, read_description
from mdlstm_core.data.images import MAX_PIXELS, image_size, read_image
from mdlstm_core.errors import InputError
from mdlstm_core.palette import default_color

Color = tuple[int, int, int]

_ID_MODES = ("1", "L", "P", "I", "I;16", "I;16B")


def read_text(path: Path) -> str:
    """Return a text file's content.

    Raises:
        InputError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text in UTF-8; save it as one.") from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        InputError: it cannot be read, is not valid, or holds something else.
    """
    try:
        values = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold one JSON object.")
    return values


def field(values: object, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Return a field of a JSON object.

    Raises:
        InputError: it is missing or of another kind.
    """
    found = values.get(name) if isinstance(values, dict) else None
    # In Python a truth value is a number; in JSON it is none.
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise InputError(f'{where} has no valid "{name}".')
    return found


def read_ids(path: Path) -> NDArray[np.int64]:
    """Return the numbers that an image of one channel and up to 16 bits stores, H×W.

    Raises:
        InputError: it cannot be read, is too large, or has colours.
    """
    check_pixels(path, *image_size(path))
    try:
        with Image.open(path) as image:
            if image.mode not in _ID_MODES:
                raise InputError(
                    f"{path} has colours ({image.mode}) instead of one class id a pixel; "
                    "save it with one channel."
                )
            return np.asarray(image).astype(np.int64)
    except InputError:
        raise
    # Pillow's decoders let through whatever a damaged file makes them stumble over.
    except Exception as error:
        raise InputError(f"{path} is damaged or truncated ({error}); replace it.") from error


def has_colors(path: Path) -> bool:
    """Return whether an image has three or more channels, neither numbers nor a palette.

    Raises:
        InputError: it cannot be opened.
    """
    check_pixels(path, *image_size(path))
    with Image.open(path) as image:
        return image.mode in ("RGB", "RGBA")


def read_colors(path: Path, table: Mapping[Color, int], palette: Path) -> NDArray[np.uint8]:
    """Return what the colours of an image stand for, H×W.

    Args:
        path: the image.
        table: the value of each colour, 0 to 255.
        palette: the file that lists the colours, for the sentence.

    Raises:
        InputError: it cannot be read, or has a colour that is not in the table.
    """
    check_pixels(path, *image_size(path))
    colors = read_image(path).astype(np.int64)
    codes: NDArray[np.int64] = colors[..., 0] << 16 | colors[..., 1] << 8 | colors[..., 2]
    found, first, places = np.unique(codes, return_index=True, return_inverse=True)
    values = np.empty(len(found), dtype=np.uint8)
    for index, code in enumerate(found.tolist()):
        color = (code >> 16, code >> 8 & 255, code & 255)
        if color not in table:
            row, column = divmod(int(first[index]), codes.shape[1])
            raise InputError(
                f"{path} has the colour {color} at column {column}, row {row}, which "
                f"{palette} does not have; add it there."
            )
        values[index] = table[color]
    return values[places].reshape(codes.shape)


def check_pixels(path: Path | str, height: int, width: int) -> None:
    """Refuse what would not fit into memory.

    Raises:
        InputError: there are more than `MAX_PIXELS` pixels, or none.
    """
    if not 1 <= height * width <= MAX_PIXELS or min(height, width) < 1:
        raise InputError(
            f"{path} is said to have {width}×{height} pixels; "
            f"from 1 to {MAX_PIXELS // 1_000_000} million can be opened."
        )


def to_label_map(
    ids_HW: NDArray[np.int64], classes: int, ignore_value: int, path: Path
) -> NDArray[np.uint8]:
    """Return class ids as a label map.

    Args:
        ids_HW: an id a pixel.
        classes: how many classes there are.
        ignore_value: the id of pixels without a label.
        path: the file, for the sentence.

    Raises:
        InputError: an id is neither of a class nor `ignore_value`.
    """
    unlabeled = ids_HW == ignore_value
    wrong = ((ids_HW < 0) | (ids_HW >= classes)) & ~unlabeled
    if wrong.any():
        row, column = (int(values[0]) for values in wrong.nonzero())
        raise InputError(
            f"{path} has the id {ids_HW[row, column]} at column {column}, row {row}, but there "
            f"are {classes} classes and {ignore_value} means no label; "
            "mend the class list or give --ignore-value."
        )
    return np.where(unlabeled, IGNORE_INDEX, ids_HW).astype(np.uint8)


def same_size(label_map_HW: NDArray[np.uint8], path: Path, image: Path | None) -> NDArray[np.uint8]:
    """Return a label map after a look at its image's size.

    Raises:
        InputError: the image is of another size.
    """
    if image is not None:
        height, width = image_size(image)
        if label_map_HW.shape != (height, width):
            raise InputError(
                f"{path} is {label_map_HW.shape[1]}×{label_map_HW.shape[0]} pixels, "
                f"but its image {image} is {width}×{height}."
            )
    return label_map_HW


def files_in(source: Path, *suffixes: str) -> list[Path]:
    """Return the file `source`, or the files with these suffixes in the folder, sorted.

    Raises:
        InputError: there are none.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise InputError(f"There is no file or folder {source}.")
    found = sorted(
        path
        for path in source.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )
    if not found:
        raise InputError(f"The folder {source} has no {' or '.join(suffixes)} files.")
    return found


def listed_classes(folder: Path) -> tuple[LabelClass, ...] | None:
    """Return the classes of the folder's `classes.json`, None if it has none.

    Raises:
        InputError: the file does not fit.
    """
    path = folder / "classes.json"
    return classes_of(path, read_description(path)) if path.is_file() else None


def numbered_classes(count: int) -> tuple[LabelClass, ...]:
    """Return classes for ids whose names nobody knows."""
    return tuple(LabelClass(f"class {index}", default_color(index)) for index in range(count))


def description_json(classes: Sequence[LabelClass], kept: dict[str, object] | None = None) -> bytes:
    """Return a `classes.json`: the classes, and what else was in it."""
    values = (kept or {}) | {
        "classes": [label_class.name for label_class in classes],
        "colors": [list(label_class.color) for label_class in classes],
        "ignore_index": IGNORE_INDEX,
    }
    return (json.dumps(values, ensure_ascii=False, indent=2) + "\n").encode()
