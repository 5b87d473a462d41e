"""Reading values of more than 8 bits, which Pillow would cut or not read at all.

tifffile reads TIFF with every kind of number; what it needs further codecs for (LZW), and
16-bit colour PNG, is read by OpenCV's libtiff and libpng.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mdlstm_core.errors import InputError

if TYPE_CHECKING:
    import tifffile

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_START = b"\x89PNG\r\n\x1a\n"
_WHITE_IS_ZERO = 0

# What tifffile says of odd metadata besides: the image is read, or an error says more.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def read_wide(file: Path, page: int, max_pixels: int) -> NDArray[np.generic] | None:
    """Return the values of an image of more than 8 bits, H×W or H×W×3, upright.

    Args:
        file: any file.
        page: of a TIFF, from 0.
        max_pixels: larger images are not read here.

    Returns:
        None if the values have 8 bits, or if this is no such file; Pillow reads it then.

    Raises:
        InputError: the values cannot be read.
        Exception: whatever Pillow stumbles over in a damaged PNG.
    """
    try:
        with file.open("rb") as opened:
            start = opened.read(26)
    except OSError:
        return None
    if start[:4] in _TIFF_STARTS:
        return _read_tiff(file, page, max_pixels)
    # Bit depth 16, colour type 2 (RGB) or 6 (with alpha); Pillow keeps 8 bits of these.
    if start[:8] == _PNG_START and start[24:26] in (b"\x10\x02", b"\x10\x06"):
        return _read_png(file, max_pixels)
    return None


def tiff_size(file: Path, page: int) -> tuple[int, int] | None:
    """Return height and width of a TIFF's page, upright; None if tifffile cannot tell."""
    import tifffile

    try:
        with tifffile.TiffFile(file) as tiff:
            found = _page(tiff, page)
            size = (found.imagelength, found.imagewidth)
            return size[::-1] if orientation_of(found) in (5, 6, 7, 8) else size
    except Exception:
        return None


def upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return an array H×W… turned as EXIF's orientation, 1 to 8, says."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def _read_tiff(file: Path, page: int, max_pixels: int) -> NDArray[np.generic] | None:
    import tifffile

    try:
        with tifffile.TiffFile(file) as tiff:
            found = _page(tiff, page)
            kind = found.dtype
            if kind is None or kind.kind not in "uif" or (kind.itemsize == 1 and kind.kind == "u"):
                return None
            if found.imagelength * found.imagewidth > max_pixels or found.size > 4 * max_pixels:
                return None
            orientation = orientation_of(found)
            inverted = found.photometric == _WHITE_IS_ZERO
            axes = found.axes
            try:
                values = found.asarray()
            except (ValueError, KeyError, ImportError):  # a codec that it does not bring
                values, axes = _by_opencv(file, page), "YXS"
    except InputError:
        raise
    # Pillow says better what is wrong with a damaged header.
    except Exception:
        return None
    if inverted:
        values = values.max() - values
    return upright(_colors_last(values, axes), orientation)


def _page(tiff: tifffile.TiffFile, page: int) -> tifffile.TiffPage:
    return tiff.pages[page].aspage()


def orientation_of(page: tifffile.TiffPage) -> int:
    """Return how a page is turned, 1 to 8 as in EXIF."""
    tag = page.tags.get(274)
    value = int(tag.value) if tag is not None else 1
    return value if value in range(1, 9) else 1


def _by_opencv(file: Path, page: int) -> NDArray[np.generic]:
    """Return H×W×C in RGB order.

    Raises:
        InputError: OpenCV cannot read it either.
    """
    _, found = cv2.imreadmulti(str(file), page, 1, flags=cv2.IMREAD_UNCHANGED)
    if not found:
        raise InputError(f"{file} is damaged, or compressed in a way that cannot be read.")
    values = np.asarray(found[0])
    return values[..., np.newaxis] if values.ndim == 2 else values[..., 2::-1]


def _colors_last(values: NDArray[Any], axes: str) -> NDArray[Any]:
    """Return H×W, or H×W×3 of three channels and more; the first of a volume's slices."""
    for name in [name for name in axes if name not in "YXS"]:
        values = values.take(0, axis=axes.index(name))
        axes = axes.replace(name, "")
    if "S" not in axes:
        return values
    values = np.moveaxis(values, axes.index("S"), -1)
    return values[..., :3] if values.shape[-1] >= 3 else values[..., 0]


def _read_png(file: Path, max_pixels: int) -> NDArray[np.generic] | None:
    from PIL import Image

    with Image.open(file) as image:
        if image.width * image.height > max_pixels:
            return None
        image.load()  # OpenCV would fill what is missing with black, without a word
        orientation = image.getexif().get(0x0112, 1)
    values = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        return None
    return upright(values[..., 2::-1], orientation)
