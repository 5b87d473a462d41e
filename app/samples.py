"""The sample photograph: it comes with scikit-image, so nothing is shipped or downloaded."""

from __future__ import annotations

from pathlib import Path

from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder

SAMPLE_STROKES: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = (
    ("grass", ((0.74, 0.62), (0.96, 0.60))),
    ("grass", ((0.80, 0.86), (0.97, 0.88))),
    ("grass", ((0.42, 0.68), (0.38, 0.88))),
    ("foreground", ((0.34, 0.36), (0.22, 0.52), (0.12, 0.64))),
    ("foreground", ((0.36, 0.22), (0.40, 0.30))),
)
"""Corrections of the sample: class and points, in shares of the image's width and height."""


def write_sample(folder: Path) -> Path:
    """Write the sample photograph into a folder, unless it is there; return its path.

    Raises:
        InputError: the folder cannot be written into.
    """
    from skimage import data, io

    path = folder / "photographer.png"
    if not path.exists():
        make_folder(folder)
        try:
            io.imsave(path, data.camera(), check_contrast=False)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror}.") from error
    return path
