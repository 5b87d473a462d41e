"""Small versions of large images, read in a fraction of the time that all of one takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mdlstm_core.data.display_window import DisplayWindow, Percentiles
from mdlstm_core.data.images import MAX_PIXELS, ORIENTATION, TURNED, converted, windowed
from mdlstm_core.data.pages import PAGED_SUFFIXES, file_and_page
from mdlstm_core.data.wide_values import orientation_of, upright

if TYPE_CHECKING:
    import tifffile

_FROM = 12_000_000
"""Pixels; smaller images are read at once."""

_SIDE = 1200
"""Pixels of a preview's longer side, about."""


class Preview(NamedTuple):
    """A small version of an image, RGB, and the height and width of the whole."""

    rgb: NDArray[np.uint8]
    size: tuple[int, int]


def read_preview(path: Path, window: DisplayWindow | None = None) -> Preview | None:
    """Read a large image small: a JPEG at an eighth, a TIFF's smaller version or some pixels.

    Args:
        path: the image.
        window: what values of more than 8 bits are seen through, the usual percentiles if None.

    Returns:
        None if the image is small, has to be decoded as a whole (PNG, WebP, a TIFF that is
        compressed and no pyramid), or is damaged: reading all of it tells.
    """
    try:
        file, page = file_and_page(path)
        if path.suffix.lower() in PAGED_SUFFIXES:
            return _of_tiff(file, page, window)
        return _of_jpeg(file)
    except Exception:
        return None


def _of_jpeg(path: Path) -> Preview | None:
    with Image.open(path) as image:
        width, height = image.size
        if image.format != "JPEG" or not _FROM <= width * height <= MAX_PIXELS:
            return None
        is_turned = image.getexif().get(ORIENTATION, 1) in TURNED
        image.draft("RGB", (width // 8, height // 8))
        ImageOps.exif_transpose(image, in_place=True)
        rgb = converted(image, "RGB")
    return Preview(rgb, (width, height) if is_turned else (height, width))


def _of_tiff(file: Path, page: int, window: DisplayWindow | None) -> Preview | None:
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        found = tiff.pages[page].aspage()
        height, width = found.imagelength, found.imagewidth
        plain = found.photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
        if not (plain and found.axes in ("YX", "YXS") and _FROM <= height * width <= MAX_PIXELS):
            return None
        if found.samplesperpixel not in (1, 3):
            return None  # what more channels mean is told where all of it is read
        values = _smaller_version(tiff, page, (height, width))
        if values is None and found.is_memmappable:
            step = math.ceil(max(height, width) / _SIDE)
            values = np.array(tifffile.memmap(file, page=page, mode="r")[::step, ::step])
        orientation = orientation_of(found)
    if values is None:
        return None
    small = upright(values, orientation)
    size = (width, height) if orientation in TURNED else (height, width)
    if small.dtype != np.uint8:
        return Preview(windowed(small, window or Percentiles()).rgb, size)
    rgb = np.dstack([small] * 3) if small.ndim == 2 else small
    return Preview(np.ascontiguousarray(rgb), size)


def _smaller_version(
    tiff: tifffile.TiffFile, page: int, size: tuple[int, int]
) -> NDArray[Any] | None:
    """Return the smallest version of a pyramid that is large enough, None if there is none."""
    levels = tiff.series[0].levels if page == 0 and tiff.series else []
    fit = [
        level
        for level in levels[1:]
        if level.axes in ("YX", "YXS") and max(level.shape[:2]) >= min(_SIDE, max(size) // 8)
    ]
    return fit[-1].asarray() if fit and fit[-1].size < _FROM * 3 else None
