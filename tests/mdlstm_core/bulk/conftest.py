"""Fixtures of bulk runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mdlstm_core.bulk.results import TABLE
from mdlstm_core.bulk.rows import Row

WriteImages = Callable[[Path, Iterable[str]], list[str]]
ReadRows = Callable[[Path], list[Row]]


@pytest.fixture
def write_images() -> WriteImages:
    """Return a function that writes small images of noise, each another, and gives their names."""

    def write(folder: Path, names: Iterable[str]) -> list[str]:
        generator = np.random.default_rng(5)
        written = []
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (17, 23, 3), dtype=np.uint8)).save(path)
            written.append(name)
        return written

    return write


@pytest.fixture
def read_rows() -> ReadRows:
    """Return a function that reads a table; a line that is no row fails."""

    def read(target: Path) -> list[Row]:
        rows = [Row.from_line(line) for line in (target / TABLE).read_bytes().splitlines(True)]
        assert None not in rows
        return [row for row in rows if row is not None]

    return read
