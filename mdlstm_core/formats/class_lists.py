"""Lists of classes: `classes.txt` (a name a line) and JSON with colours.

The place in the list is the class's index in label maps. JSON is as in a dataset's
`classes.json`: `{"classes": [name, …], "colors": [[red, green, blue], …]}`, colours optional.
A blank line, or null in JSON, is an index without a class.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mdlstm_core.config import MAX_CLASSES, LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.files import write_whole
from mdlstm_core.palette import default_color

_ENCODING = "utf-8-sig"  # some editors put a mark before UTF-8


def read_class_list(path: Path) -> tuple[LabelClass | None, ...]:
    """Read a list of classes; a file that ends in .json is JSON, any other one lines.

    Classes without a colour get the default of their place.

    Raises:
        InputError: the file cannot be read, or is no list of 1 to 255 different names.
    """
    try:
        text = path.read_text(_ENCODING)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8; save it as UTF-8.") from error
    if path.suffix.lower() == ".json":
        names, colors = _from_json(path, text)
    else:
        names, colors = [line.strip() or None for line in text.splitlines()], None
    while names and names[-1] is None:
        names.pop()
    _check_names(path, names)
    return tuple(
        LabelClass(name, colors[index] if colors else default_color(index)) if name else None
        for index, name in enumerate(names)
    )


def save_class_list(classes: Sequence[LabelClass | None], path: Path) -> None:
    """Write a list of classes, as JSON if the file ends in .json, else a name a line.

    Raises:
        InputError: a name has a line break and the file has lines, or it cannot be written.
    """
    names = [c.name if c and c.name else None for c in classes]
    if path.suffix.lower() == ".json":
        colors = [list(c.color) if c else None for c in classes]
        text = json.dumps({"classes": names, "colors": colors}, ensure_ascii=False, indent=1)
    else:
        for name in names:
            if name and (len(name.splitlines()) > 1 or name != name.strip()):
                raise InputError(
                    f"The class {name!r} has a line break or blanks at its ends, which {path} "
                    "cannot keep; rename it, or save JSON."
                )
        text = "\n".join(name or "" for name in names)
    write_whole(path, f"{text}\n".encode())


def _from_json(path: Path, text: str) -> tuple[list[str | None], list[tuple[int, int, int]] | None]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.") from error
    if isinstance(values, list):
        values = {"classes": values}
    names = values.get("classes") if isinstance(values, dict) else None
    if not isinstance(names, list):
        raise InputError(f'{path} has no list "classes".')
    for name in names:
        if name is not None and (not isinstance(name, str) or not name.strip()):
            raise InputError(f"{path} has a class {name!r}; a name is text that is not empty.")
    colors = values.get("colors")
    return list(names), None if colors is None else _colors(path, names, colors)


def _colors(path: Path, names: list[Any], colors: object) -> list[tuple[int, int, int]]:
    if not isinstance(colors, list) or len(colors) != len(names):
        raise InputError(f'{path}: "colors" needs as many entries as "classes".')
    found = []
    for index, (name, color) in enumerate(zip(names, colors, strict=True)):
        if color is None or name is None:
            found.append(default_color(index))
            continue
        parts = color if isinstance(color, list) else []
        is_color = len(parts) == 3 and all(type(v) is int and 0 <= v <= 255 for v in parts)
        if not is_color:
            raise InputError(
                f"{path}: the colour of {name} is {color!r}; it needs red, green and blue, "
                "0 to 255."
            )
        found.append((parts[0], parts[1], parts[2]))
    return found


def _check_names(path: Path, names: list[str | None]) -> None:
    given = [name for name in names if name is not None]
    if not given:
        raise InputError(f"{path} names no classes.")
    if len(names) > MAX_CLASSES:
        raise InputError(f"{path} has {len(names)} classes; at most {MAX_CLASSES} are possible.")
    for index, name in enumerate(given):
        if name in given[:index]:
            raise InputError(f"{path} names {name} twice; names must differ.")
