"""Labeled datasets on disk.

Layout: `images/STEM.jpg|png`, `labels/STEM.png` (8-bit class indices, 255 = unlabeled),
`classes.json` (`{"classes": [name, …], "colors": [[r, g, b], …]}`, colours optional), and
lists of stems such as `train.txt` and `val.txt`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.images import image_size, images_in, read_image, read_label_map
from mdlstm_core.errors import InputError
from mdlstm_core.palette import default_color

_Item = TypeVar("_Item")

_NAMED = 10
"""Images that a sentence names; of others it says how many there are."""

_ENCODING = "utf-8-sig"  # some editors put a mark before UTF-8


class LabeledImage(NamedTuple):
    """An image H×W×3 RGB and the class of each pixel H×W, `IGNORE_INDEX` where unknown."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


class LabeledFolder:
    """The images of a dataset that a list names.

    Attributes:
        root: the dataset's folder.
        list_file: where the names come from; None for all of `images/`.
        classes: the classes, in the order of their indices.
        source: where the images come from and their terms, as the dataset states them.
        stems: the names of the images.
    """

    def __init__(self, root: Path, list_file: Path | None = None) -> None:
        """Open a dataset and check that image and label sizes agree.

        Args:
            root: the dataset's folder.
            list_file: stems to use, one a line; all of `images/` if None.

        Raises:
            InputError: something is missing, unreadable or does not fit.
        """
        self.root, self.list_file = root, list_file
        description = read_description(root / "classes.json")
        self.classes = classes_of(root / "classes.json", description)
        self.source = ", ".join(
            str(description[k]) for k in ("source", "license") if k in description
        )
        self._images = _images_by_stem(root / "images")
        self.stems = _read_list(list_file) if list_file else sorted(self._images)
        if not self.stems:
            raise InputError(f"{list_file or root / 'images'} names no images.")
        check_all(self._check, self.stems)

    def __len__(self) -> int:
        return len(self.stems)

    def image_path(self, index: int) -> Path:
        """Return the file of image number `index`."""
        return self._images[self.stems[index]]

    def load(self, index: int) -> LabeledImage:
        """Read image number `index` and its labels.

        Raises:
            InputError: a file is damaged, or a label is outside the class list.
        """
        labels = self.load_labels(index)
        return LabeledImage(read_image(self._images[self.stems[index]]), labels)

    def load_labels(self, index: int) -> NDArray[np.uint8]:
        """Read the labels of image number `index`.

        Raises:
            InputError: the file is damaged, or a label is outside the class list.
        """
        path = self._label_path(self.stems[index])
        labels = read_label_map(path)
        outside = labels[(labels != IGNORE_INDEX) & (labels >= len(self.classes))]
        if outside.size:
            raise InputError(
                f"{path} has the label {int(outside[0])}, "
                f"but {self.root / 'classes.json'} names {len(self.classes)} classes."
            )
        return labels

    def _label_path(self, stem: str) -> Path:
        return self.root / "labels" / f"{stem}.png"

    def _check(self, stem: str) -> None:
        """Check that an image has labels of its size, reading only the files' headers."""
        if stem not in self._images:
            raise InputError(f"There is no image {stem} in {self.root / 'images'}.")
        of_image, of_labels = image_size(self._images[stem]), image_size(self._label_path(stem))
        if of_image != of_labels:
            raise InputError(
                f"{self._label_path(stem)} is {of_labels[1]}×{of_labels[0]} pixels, "
                f"but its image {self._images[stem]} is {of_image[1]}×{of_image[0]}."
            )


def check_all(
    check: Callable[[_Item], object],
    items: Sequence[_Item],
    on_checked: Callable[[int], None] = lambda _done: None,
) -> None:
    """Check images, several at once, and say all that is wrong.

    Args:
        check: raises `InputError` for an image that cannot be used.
        items: what it is given, one an image.
        on_checked: called with the number of images done.

    Raises:
        InputError: of the one image that cannot be used, or of the first ten of several and
            how many more there are.
    """
    failures = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        results = [pool.submit(check, item) for item in items]
        try:
            for done, result in enumerate(results, 1):
                try:
                    result.result()
                except InputError as error:
                    failures.append(error)
                on_checked(done)
        finally:
            pool.shutdown(cancel_futures=True)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        told = [
            f"{number}) {str(failure).rstrip('.')}"
            for number, failure in enumerate(failures[:_NAMED], 1)
        ]
        if more := len(failures) - len(told):
            told.append(f"and {more} more")
        raise InputError(
            f"{len(failures)} of {len(items)} images cannot be used: {'; '.join(told)}."
        )


def read_description(path: Path) -> dict[str, object]:
    """Return what a dataset's `classes.json` holds.

    Raises:
        InputError: it cannot be read, or holds no object.
    """
    try:
        description = json.loads(path.read_text(encoding=_ENCODING))
    except OSError as error:
        raise InputError(f"{path.parent} is not a dataset: {path.name} cannot be read.") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(description, dict):
        raise InputError(f'{path} must hold an object with a list "classes".')
    return description


def classes_of(path: Path, description: dict[str, object]) -> tuple[LabelClass, ...]:
    """Return the classes that a `classes.json` describes, with colours.

    Args:
        path: the file, for the sentence.
        description: what it holds.

    Raises:
        InputError: there are none, one is there twice, or a colour is none.
    """
    names = description.get("classes")
    if not isinstance(names, list) or not names:
        raise InputError(f'{path} must hold a list "classes" of at least one name.')
    if len({str(name) for name in names}) < len(names):
        raise InputError(f"{path} names a class twice.")
    if description.get("ignore_index", IGNORE_INDEX) != IGNORE_INDEX:
        raise InputError(f"{path}: pixels without a label must have the value {IGNORE_INDEX}.")
    colors = description.get("colors", [default_color(index) for index in range(len(names))])
    if not isinstance(colors, list) or len(colors) != len(names):
        raise InputError(f'{path} must hold one colour a class in "colors".')
    return tuple(
        LabelClass(str(name), _color(path, color))
        for name, color in zip(names, colors, strict=True)
    )


def _color(path: Path, values: object) -> tuple[int, int, int]:
    try:
        red, green, blue = (int(value) for value in values)  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {values} is not a colour; write [red, green, blue].") from error
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise InputError(f"{path}: the colour {values} is not of 0 to 255.")
    return red, green, blue


def _images_by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder.parent} is not a dataset: it has no folder images.")
    images: dict[str, Path] = {}
    for path in images_in(folder):
        if path.stem in images:
            raise InputError(f"{images[path.stem]} and {path} would share one label map.")
        images[path.stem] = path
    return images


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding=_ENCODING).splitlines()
    except OSError as error:
        raise InputError(f"The list {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The list {path} is not a text of stems, one a line.") from error
    return [line.strip() for line in lines if line.strip()]
