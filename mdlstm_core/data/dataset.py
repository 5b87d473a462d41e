"""Labeled datasets on disk.

Layout: `images/STEM.jpg|png`, `labels/STEM.png` (8-bit class indices, 255 = unlabeled),
`classes.json` (`{"classes": [name, …], "colors": [[r, g, b], …]}`, colours optional), and
lists of stems such as `train.txt` and `val.txt`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.images import IMAGE_SUFFIXES, image_size, read_image, read_label_map
from mdlstm_core.errors import InputError
from mdlstm_core.palette import default_color


class LabeledImage(NamedTuple):
    """An image H×W×3 RGB and the class of each pixel H×W, `IGNORE_INDEX` where unknown."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


class LabeledFolder:
    """The images of a dataset that a list names.

    Attributes:
        root: the dataset's folder.
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
        self.root = root
        description = _read_description(root / "classes.json")
        self.classes = _classes(root / "classes.json", description)
        self.source = ", ".join(
            str(description[k]) for k in ("source", "license") if k in description
        )
        self._images = _images_by_stem(root / "images")
        self.stems = _read_list(list_file) if list_file else sorted(self._images)
        if not self.stems:
            raise InputError(f"{list_file or root / 'images'} names no images.")
        for stem in self.stems:
            self._check(stem)

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
        stem = self.stems[index]
        labels = read_label_map(self._label_path(stem))
        outside = labels[(labels != IGNORE_INDEX) & (labels >= len(self.classes))]
        if outside.size:
            raise InputError(
                f"{self._label_path(stem)} has the label {int(outside[0])}, "
                f"but {self.root / 'classes.json'} names {len(self.classes)} classes."
            )
        return LabeledImage(read_image(self._images[stem]), labels)

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


def _read_description(path: Path) -> dict[str, object]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path.parent} is not a dataset: {path.name} cannot be read.") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(description, dict):
        raise InputError(f'{path} must hold an object with a list "classes".')
    return description


def _classes(path: Path, description: dict[str, object]) -> tuple[LabelClass, ...]:
    names = description.get("classes")
    if not isinstance(names, list) or not names:
        raise InputError(f'{path} must hold a list "classes" of at least one name.')
    colors = description.get("colors")
    if not isinstance(colors, list) or len(colors) != len(names):
        colors = [default_color(index) for index in range(len(names))]
    return tuple(
        LabelClass(str(name), (int(color[0]), int(color[1]), int(color[2])))
        for name, color in zip(names, colors, strict=True)
    )


def _images_by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder.parent} is not a dataset: it has no folder images.")
    return {p.stem: p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES}


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"The list {path} cannot be read: {error.strerror}.") from error
    return [line.strip() for line in lines if line.strip()]
