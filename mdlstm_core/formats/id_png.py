"""Class ids as grey PNG of 8 or 16 bits: what most training scripts read."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from mdlstm_core.formats.exchange import ExchangeFormat, LabelSource, ReadOptions, WriteOptions
from mdlstm_core.formats.id_files import read_id_files, with_ignore_value
from mdlstm_core.formats.images_out import png
from mdlstm_core.formats.reading import description_json, read_ids
from mdlstm_core.formats.target import Target


class IdPng(ExchangeFormat):
    """`STEM.png` of 8 bits, and `classes.json`."""

    name = "id-png"
    summary = "one grey PNG of 8 bits an image: value = class"
    _dtype: ClassVar[type[np.uint8 | np.uint16]] = np.uint8

    def read(self, source: Path, options: ReadOptions) -> LabelSource:
        """Return the label maps in a folder, of 8 or 16 bits."""
        return read_id_files(source, options, ".png", read_ids)

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write one file an image, and the class list."""
        target.write("classes.json", description_json(source.classes))
        for record in source.records:
            ids = with_ignore_value(
                record.load(), len(source.classes), options.ignore_value, self._dtype
            )
            target.write(f"{record.name}.png", png(ids))


class IdPng16(IdPng):
    """`STEM.png` of 16 bits, and `classes.json`."""

    name = "id-png-16"
    summary = "one grey PNG of 16 bits an image: value = class"
    _dtype = np.uint16
