"""What exporting and importing need to know of a project, whoever has it open."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from app.document.class_table import ClassTable
from app.document.project import Status
from app.document.project_classes import ProjectClasses
from app.storage.changes import Fingerprint
from app.storage.fingerprint import check_file
from app.storage.project_file import ProjectFile
from mdlstm_core.data.images import image_size
from mdlstm_core.data.pages import image_file
from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import LabelMap

_FOREIGN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
"""What some file systems do not have in names."""


class ProjectImage(NamedTuple):
    """An image of a project, and whether it is new, started or done."""

    path: Path
    status: Status


@dataclass(frozen=True)
class ProjectView:
    """A project as it is at one moment.

    Attributes:
        path: the project's file.
        classes: its classes, and how its models call them.
        images: its images, in their order.
        labels: reads what a person set on an image, with the project's labels; None if
            nothing. For any thread; raises `InputError`.
        fingerprint: returns what file was labeled, None if nobody knows. As `labels`.
    """

    path: Path
    classes: ProjectClasses
    images: tuple[ProjectImage, ...]
    labels: Callable[[Path], LabelMap | None]
    fingerprint: Callable[[Path], Fingerprint | None]

    def check(self, image: Path) -> None:
        """Look whether an image that is there is the one that was labeled.

        Raises:
            InputError: it is another one, or cannot be read.
        """
        if image_file(image).is_file():
            check_file(image, self.fingerprint(image))


def view_of(file: ProjectFile) -> ProjectView:
    """Return a project as its file has it.

    Raises:
        InputError: the file cannot be read.
    """

    def labels(image: Path) -> LabelMap | None:
        stored = file.stored_labels(image)
        return stored.decode() if stored else None

    return ProjectView(
        file.path,
        ProjectClasses(file.classes() or ClassTable(), file.model_classes()),
        tuple(ProjectImage(found.path, found.status) for found in file.images()),
        labels,
        file.fingerprint,
    )


def names_of(images: Sequence[Path]) -> dict[Path, str]:
    """Return what each image is called in files of labels: its stem where that says which.

    Where several share a stem, their folders and suffixes are added.
    """
    names = {path: _plain(path.stem) for path in dict.fromkeys(images)}
    longer: tuple[Callable[[Path], str], ...] = (
        lambda path: _plain(f"{path.parent.name}_{path.stem}"),
        lambda path: _plain(f"{path.parent.name}_{path.stem}_{path.suffix[1:].lower()}"),
        lambda path: _plain("_".join([*path.absolute().parts, path.suffix[1:]])),
    )
    for name in longer:
        # Some file systems take Road.png and road.png for one file.
        counts = Counter(found.casefold() for found in names.values())
        names = {
            p: name(p) if counts[found.casefold()] > 1 else found for p, found in names.items()
        }
    return names


def _plain(name: str) -> str:
    """Return a name that every file system takes."""
    return _FOREIGN.sub("_", name)


def check_size(labels_HW: LabelMap, image: Path, where: str) -> None:
    """Look whether labels fit their image.

    Raises:
        InputError: the image cannot be read, or is of another size.
    """
    height, width = image_size(image)
    if labels_HW.shape != (height, width):
        raise InputError(
            f"{where} are {labels_HW.shape[1]}×{labels_HW.shape[0]} pixels, "
            f"but the image {image} is {width}×{height}."
        )
