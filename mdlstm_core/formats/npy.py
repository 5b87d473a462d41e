"""Class ids as NumPy arrays."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import ExchangeFormat, LabelSource, ReadOptions, WriteOptions
from mdlstm_core.formats.id_files import read_id_files, with_ignore_value
from mdlstm_core.formats.reading import check_pixels, description_json
from mdlstm_core.formats.target import Target


class Npy(ExchangeFormat):
    """`STEM.npy`, uint8 H×W, and `classes.json`."""

    name = "npy"
    summary = "one NumPy array an image, uint8 H×W: value = class"

    def read(self, source: Path, options: ReadOptions) -> LabelSource:
        """Return the label maps in a folder; arrays of any integer type are read."""
        return read_id_files(source, options, ".npy", _read_array)

    def write(self, source: LabelSource, target: Target, options: WriteOptions) -> None:
        """Write one file an image, and the class list."""
        target.write("classes.json", description_json(source.classes))
        for record in source.records:
            content = io.BytesIO()
            count = len(source.classes)
            ids = with_ignore_value(record.load(), count, options.ignore_value, np.uint8)
            np.save(content, ids, allow_pickle=False)
            target.write(f"{record.name}.npy", content.getvalue())


def _read_array(path: Path) -> NDArray[np.int64]:
    try:
        # Mapped, not read: the header may promise more than the file, or the memory, holds.
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, MemoryError) as error:
        raise InputError(f"{path} is not a NumPy array that can be read; save it anew.") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "iub":
        raise InputError(f"{path} must hold class ids, an H×W array of integers.")
    check_pixels(path, *values.shape)
    return np.array(values).astype(np.int64)
