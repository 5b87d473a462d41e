"""Colour-coded PNG with a palette file, as CamVid has them.

Source: Brostow et al. 2009, http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/:
`STEM_L.png` beside `label_colors.txt`, whose lines are red, green, blue, name.
"""

from __future__ import annotations

import csv
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

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
from mdlstm_core.formats.images_out import png, write_image
from mdlstm_core.formats.names import find_image, plain_names
from mdlstm_core.formats.reading import Color, files_in, read_colors, read_text, same_size
from mdlstm_core.formats.target import Target

VOID = "Void"
"""The name of the colour of pixels without a label; case does not count."""

_PALETTES = ("label_colors.txt", "class_dict.csv")


class CamVid(ExchangeFormat):
    """`images/STEM.png`, `labels/STEM_L.png` and `label_colors.txt`."""

    name = "camvid"
    summary = "colour-coded PNG with a palette file, as CamVid has them"
    needs_images = "asked"

    def read(self, source: Path, options: ReadOptions) -> LabelSource:
        """Return the images in `labels`; the palette is `label_colors.txt` or `class_dict.csv`."""
        palette = next((source / n for n in _PALETTES if (source / n).is_file()), None)
        if palette is None:
            raise InputError(f"{source} has no {_PALETTES[0]} that says which colour is a class.")
        colors = _read_palette(palette)
        names = [name for name in colors if name.casefold() != VOID.casefold()]
        classes = tuple(LabelClass(name, colors[name]) for name in names)
        table = {
            color: names.index(name) if name in names else IGNORE_INDEX
            for name, color in colors.items()
        }
        images = options.images or source / "images"
        found = FoundRecords(source)
        for path in files_in(source / "labels", ".png"):
            stem = path.stem.removesuffix("_L")
            image = find_image(images, stem)
            with found.entry(path.stem):
                found.add(stem, image, partial(_load, path, image, table, palette))
        return found.labeled_by(classes)

    def check(self, classes: tuple[LabelClass, ...]) -> None:
        """Refuse names and colours that a palette file cannot hold."""
        plain_names(classes, "\t", "A palette file")
        _check_colors(classes)

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write label maps, images and `label_colors.txt`."""
        names = plain_names(source.classes, "\t", "A palette file")
        colors = np.zeros((256, 3), dtype=np.uint8)
        void = _check_colors(source.classes)
        colors[:] = void
        lines = [f"{void[0]} {void[1]} {void[2]}\t{VOID}"]
        for index, label_class in enumerate(source.classes):
            red, green, blue = colors[index] = label_class.color
            lines.append(f"{red} {green} {blue}\t{names[index]}")
        target.write(_PALETTES[0], ("\n".join(lines) + "\n").encode())
        for record in source.records:
            target.write(f"labels/{record.name}_L.png", png(colors[record.load()]))
            if options.images:
                write_image(target, f"images/{record.name}", record)


def _check_colors(classes: tuple[LabelClass, ...]) -> Color:
    """Return a colour that no class has, for pixels without a label.

    Raises:
        InputError: two classes have one colour, or a class is called as that colour.
    """
    owners: dict[Color, str] = {}
    for label_class in classes:
        if label_class.name.casefold() == VOID.casefold():
            raise InputError(
                f"In a palette file {label_class.name!r} means no label; map the class: "
                f"--map '{label_class.name}=ignore' or another name."
            )
        if label_class.color in owners:
            raise InputError(
                f"The classes {owners[label_class.color]!r} and {label_class.name!r} have the "
                f"same colour {label_class.color}; give one of them another."
            )
        owners[label_class.color] = label_class.name
    levels = (0, 255, 128, 64, 192, 32, 224)
    free = (color for color in product(levels, levels, levels) if color not in owners)
    return next(free)


def _read_palette(path: Path) -> dict[str, Color]:
    """Return the colour of each name, in the file's order.

    Raises:
        InputError: a line is none of a colour, or a colour or name is there twice.
    """
    colors: dict[str, Color] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        is_head = path.suffix == ".csv" and number == 1
        if is_head or not line.strip() or line.startswith("#"):
            continue
        name, color = _palette_line(path, number, line)
        if name in colors or color in colors.values():
            raise InputError(f"{path}, line {number}: the name or the colour is there twice.")
        colors[name] = color
    return colors


def _palette_line(path: Path, number: int, line: str) -> tuple[str, Color]:
    if path.suffix == ".csv":
        name, *words = next(csv.reader([line]))
    else:
        *words, name = line.split(maxsplit=3)
    try:
        red, green, blue = (int(word) for word in words)
    except ValueError as error:
        raise InputError(
            f"{path}, line {number}: {line!r} is no colour; write red green blue name."
        ) from error
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise InputError(f"{path}, line {number}: the colour is not of 0 to 255.")
    return name.strip(), (red, green, blue)


def _load(path: Path, image: Path | None, table: dict[Color, int], palette: Path) -> LabelMap:
    return same_size(read_colors(path, table, palette), path, image)
