"""Names that come from files of others, made safe to write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mdlstm_core.config import LabelClass
from mdlstm_core.data.images import IMAGE_SUFFIXES
from mdlstm_core.errors import InputError

_DRIVE = re.compile("[A-Za-z]:")
"""How an absolute path begins on Windows; elsewhere a colon may be part of a name, of a time."""


def safe_parts(file_name: str, where: Path) -> tuple[str, ...]:
    """Return the folders and the file of a relative path that another program wrote.

    Raises:
        InputError: the path is absolute, leads upwards, or is no name of a file.
    """
    parts = tuple(part for part in re.split(r"[/\\]", file_name) if part != ".")
    if file_name[:1] in "/\\" or _DRIVE.match(file_name) or ".." in parts:
        raise InputError(
            f"{where} names the file {file_name!r}, which leads outside its folder; "
            "write a path relative to it."
        )
    if not all(parts) or any(ord(character) < 32 for character in file_name):
        raise InputError(f"{where} names {file_name!r}, which is no name of a file.")
    return parts


def safe_name(file_name: str, where: Path) -> str:
    """Return the name of a record: folders joined by `_`, without the image's suffix.

    Raises:
        InputError: see `safe_parts`.

    Examples:
        >>> safe_name("train/one photo.jpg", Path("a.json"))
        'train_one photo'
        >>> safe_name("2024-01-01T12:30:00.jpg", Path("a.json"))
        '2024-01-01T12:30:00'
        >>> safe_name("../one.jpg", Path("a.json"))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        mdlstm_core.errors.InputError: ...
    """
    name = "_".join(safe_parts(file_name, where))
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and f"{dot}{suffix}".lower() in IMAGE_SUFFIXES else name


def find_image(folder: Path, stem: str) -> Path | None:
    """Return the image in a folder that has this stem, None if there is none."""
    for suffix in IMAGE_SUFFIXES:
        for written in (suffix, suffix.upper()):
            path = folder / f"{stem}{written}"
            if path.is_file():
                return path
    return None


def distinct(classes: Sequence[LabelClass], path: Path) -> tuple[LabelClass, ...]:
    """Return the classes that a file lists.

    Raises:
        InputError: two have the same name.
    """
    names = [label_class.name for label_class in classes]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InputError(f"{path} has two classes called {name!r}; rename one of them.")
    return tuple(classes)


def plain_names(classes: Sequence[LabelClass], forbidden: str, format_name: str) -> list[str]:
    r"""Return the classes' names for a file that has one a line.

    Args:
        classes: the classes.
        forbidden: characters besides line breaks that the file cannot hold.
        format_name: for the sentence.

    Raises:
        InputError: a name is empty, or has a character that the file cannot hold.
    """
    for label_class in classes:
        name = label_class.name
        if not name.strip() or name != name.strip() or len(name.splitlines()) > 1:
            raise InputError(
                f"{format_name} cannot hold the class {name!r}: rename it, with --map too."
            )
        for character in forbidden:
            if character in name:
                raise InputError(
                    f"{format_name} cannot hold the class {name!r} because of its "
                    f"{character!r}: rename it, with --map too."
                )
    return [label_class.name for label_class in classes]
