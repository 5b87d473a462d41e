"""Lists of classes as files: classes.txt, one name a line, and JSON with colours."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from mdlstm_core.config import MAX_CLASSES, LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.palette import default_color

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


def load_classes(path: Path) -> tuple[LabelClass, ...]:
    """Read classes; their places are the labels that stand for them.

    JSON is {"classes": [...]} or the list alone, of names or of {"name", "color"}, the colour
    as "#rrggbb"; any other file has one name a line. What has no colour gets a default one.

    Raises:
        InputError: the file cannot be read, names no class or too many, or a name twice.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of classes: {error}.") from error
    if path.suffix.lower() == ".json":
        classes = _from_json(path, text)
    else:
        names = [line.strip() for line in text.splitlines() if line.strip()]
        classes = tuple(LabelClass(n, default_color(i)) for i, n in enumerate(names))
    _check(path, classes)
    return classes


def save_classes(classes: Sequence[LabelClass], path: Path) -> None:
    """Write classes, as JSON where the name ends so, else one name a line.

    Raises:
        InputError: the file cannot be written.
    """
    if path.suffix.lower() == ".json":
        listed = [
            {"name": c.name, "color": "#{:02x}{:02x}{:02x}".format(*c.color)} for c in classes
        ]
        text = json.dumps({"classes": listed}, indent=1, ensure_ascii=False) + "\n"
    else:
        text = "".join(f"{c.name}\n" for c in classes)
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error


def _from_json(path: Path, text: str) -> tuple[LabelClass, ...]:
    try:
        read = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON ({error}).") from error
    listed = read.get("classes") if isinstance(read, dict) else read
    if not isinstance(listed, list):
        raise InputError(f'{path} has no list of "classes".')
    return tuple(_from_entry(path, number, entry) for number, entry in enumerate(listed))


def _from_entry(path: Path, number: int, entry: object) -> LabelClass:
    given = {"name": entry} if isinstance(entry, str) else entry
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise InputError(f"{path}: class number {number} has no name.")
    color = given.get("color")
    if color is None:
        return LabelClass(given["name"].strip(), default_color(number))
    if not isinstance(color, str) or not _COLOR.fullmatch(color):
        raise InputError(f'{path}: the colour of {given["name"]} is not of the form "#rrggbb".')
    red, green, blue = bytes.fromhex(color[1:])
    return LabelClass(given["name"].strip(), (red, green, blue))


def _check(path: Path, classes: tuple[LabelClass, ...]) -> None:
    names = [c.name for c in classes]
    if not names:
        raise InputError(f"{path} names no class.")
    if len(names) > MAX_CLASSES:
        raise InputError(f"{path} names {len(names)} classes; at most {MAX_CLASSES} can be.")
    if "" in names:
        raise InputError(f"{path} has a class without a name.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path} names {', '.join(twice)} more than once.")
