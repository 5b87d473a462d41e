"""Reading images and label maps.

Pillow reads them: it knows EXIF, palettes and CMYK, and fails loudly on damaged files. What
has more than 8 bits is read by `wide_values` and shown through a `DisplayWindow`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mdlstm_core.data.display_window import DisplayWindow, Percentiles, value_span
from mdlstm_core.data.pages import file_and_page, image_file, pages_of
from mdlstm_core.data.wide_values import read_wide, tiff_size
from mdlstm_core.errors import InputError
from mdlstm_core.host_memory import host_memory

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")

MAX_PIXELS = 400_000_000
"""Larger images are refused: they would not fit into a laptop's memory."""

_BYTES = 9
"""Memory that a pixel takes while an image is read, and while it is labeled."""

_MOST_KEPT = 128 << 20
"""Bytes of values of more than 8 bits that are kept beside what is shown."""

_STRIP_ROWS = 256
"""Rows converted at once, so that a large image is in memory but once."""

_USUAL = Percentiles()

ORIENTATION = 0x0112
"""EXIF's tag."""

TURNED = (5, 6, 7, 8)
"""Orientations that swap height and width."""

Image.MAX_IMAGE_PIXELS = None  # checked below, with a sentence that names the file

# What Pillow says of odd metadata besides: the image is read, or the error below says more.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Picture:
    """An image as it is shown, and what stood in its file.

    Attributes:
        rgb: H×W×3, 0 to 255, upright; alpha is laid over white.
        alpha: H×W, 0 (transparent) to 255; None if all is opaque.
        window: what the values of an image of more than 8 bits were seen through; None
            of others.
        span: the lowest and the highest of these values.
        values: H×W or H×W×3, these values themselves; None of images for which they would
            take more than 128 MB.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    window: DisplayWindow | None = None
    span: tuple[float, float] | None = None
    values: NDArray[np.generic] | None = None


def read_image(path: Path | str, window: DisplayWindow | None = None) -> NDArray[np.uint8]:
    """Read an image as H×W×3 RGB, 0 to 255, upright (EXIF orientation applied).

    16-bit, 32-bit and float images are scaled from their 1st to their 99th percentile, or
    seen through a window if one is given; alpha is laid over white. Of a file with several
    pages, see `pages` for their names.

    Raises:
        InputError: the file is missing, empty, truncated, too large or not an image.
    """
    return read_picture(Path(path), window or _USUAL).rgb


def read_picture(path: Path, window: DisplayWindow | Percentiles = _USUAL) -> Picture:
    """Read an image with all that is known of it, see `read_image`.

    Args:
        path: the image.
        window: what values of more than 8 bits are seen through.

    Raises:
        InputError: as `read_image`.
    """
    file, page = file_and_page(path)
    try:
        wide = read_wide(file, page, most_pixels())
    except InputError:
        raise
    except Exception as error:
        raise _unreadable(file, error) from error
    if wide is not None:
        return windowed(wide, window)
    with _opened(path) as image:
        _check_size(path, image.size)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode[0] in "IF":
            return windowed(np.asarray(image), window)
        if image.has_transparency_data:
            return _over_white(image)
        return Picture(converted(image, "RGB"))


def read_label_map(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit, one-channel or palette image as the class indices it stores, H×W.

    Upright, as its image is. An image of one bit has the classes 0 and 1.

    Raises:
        InputError: the file cannot be read or is no 8-bit label map.
    """
    with _opened(path) as image:
        _check_size(path, image.size)
        if image.mode not in ("L", "P", "1"):
            raise InputError(
                f"{path} is not an 8-bit label map but {image.mode}; "
                "save class indices as one channel."
            )
        image.load()
        return np.array(ImageOps.exif_transpose(image), dtype=np.uint8)


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width of the upright image, read from its header.

    Raises:
        InputError: the file is missing, empty, too large or not an image.
    """
    try:
        with _opened(path) as image:
            width, height = image.size
            # Before Pillow looks for EXIF data: in a PNG, it reads all pixels to find them.
            _check_size(path, image.size)
            orientation = image.getexif().get(ORIENTATION, 1)
            # Of a TIFF, Pillow gives the upright size at once.
            is_turned = orientation in TURNED and image.format != "TIFF"
    except InputError:
        size = tiff_size(*file_and_page(path))
        if size is None:
            raise
        return size
    return (width, height) if is_turned else (height, width)


def images_in(folder: Path) -> list[Path]:
    """Return the image files in a folder, sorted; what starts with a dot is left out.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES
            and not path.name.startswith(".")
            and path.is_file()
        )
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read: {error.strerror}.") from error


def find_images(paths: list[Path], *, pages: bool = True) -> list[Path]:
    """Return the images among `paths`, folders replaced by the images in them.

    Args:
        paths: files and folders.
        pages: each page of a TIFF with several is an image of its own, see `pages`; for
            this, all TIFFs are opened. Otherwise only the first is given.

    Raises:
        InputError: a path does not exist, or a folder has no images.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = images_in(path)
            if not inside:
                raise InputError(f"The folder {path} has no images ({', '.join(IMAGE_SUFFIXES)}).")
            found += [page for file in inside for page in (pages_of(file) if pages else [file])]
        elif path.exists():
            found += pages_of(path) if pages else [path]
        elif image_file(path).exists():
            found.append(path)
        else:
            raise InputError(f"There is no file or folder {path}.")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; whatever Pillow cannot do with it becomes an `InputError`."""
    file, page = file_and_page(path)
    try:
        with Image.open(file) as image:
            if page:
                image.seek(page)
            yield image
    except InputError:
        raise
    except EOFError as error:
        if page:
            raise InputError(f"{file} has no page {page + 1}.") from error
        raise _unreadable(file, error) from error
    # Its decoders let through whatever a damaged file makes them stumble over.
    except Exception as error:
        raise _unreadable(file, error) from error


def most_pixels() -> int:
    """Return how many pixels an image may have for the memory that is free now."""
    _, available = host_memory()
    return MAX_PIXELS if available is None else min(MAX_PIXELS, available // _BYTES)


def _check_size(path: Path, size: tuple[int, int]) -> None:
    """Refuse what would not fit into memory."""
    most = most_pixels()
    if size[0] * size[1] > most:
        reason = "" if most == MAX_PIXELS else " with the memory that is free now"
        raise InputError(
            f"{path} has {size[0]}×{size[1]} pixels; "
            f"at most {most / 1_000_000:,.0f} million can be opened{reason}."
        )


def _unreadable(path: Path, error: Exception) -> InputError:
    """Say in one sentence why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"There is no file {path}.")
    if isinstance(error, PermissionError):
        return InputError(f"{path} cannot be read: permission denied.")
    if path.is_file() and path.stat().st_size == 0:
        return InputError(f"{path} is empty; replace it by an image.")
    if isinstance(error, UnidentifiedImageError) or path.is_dir():
        return InputError(f"{path} is not an image that can be read.")
    return InputError(f"{path} is damaged or truncated ({error}); replace it.")


def converted(image: Image.Image, mode: str) -> NDArray[np.uint8]:
    """Return the pixels in another mode, converted in strips."""
    result = np.empty((image.height, image.width, len(mode)), dtype=np.uint8)
    for top, strip in _strips(image):
        result[top : top + strip.height] = np.asarray(strip.convert(mode))
    return result


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    for top in range(0, image.height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, image.height)
        yield top, image.crop((0, top, image.width, bottom))


def _over_white(image: Image.Image) -> Picture:
    """Lay an image over white and keep its alpha."""
    rgb = np.empty((image.height, image.width, 3), dtype=np.uint8)
    alpha = np.empty((image.height, image.width), dtype=np.uint8)
    for top, strip in _strips(image):
        rgba = strip.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        rows = slice(top, top + strip.height)
        rgb[rows] = np.asarray(Image.alpha_composite(white, rgba))[..., :3]
        alpha[rows] = np.asarray(rgba)[..., 3]
    return Picture(rgb, None if (alpha == 255).all() else alpha)


def windowed(values: NDArray[np.generic], window: DisplayWindow | Percentiles) -> Picture:
    """Show values of any type, H×W or H×W×3, through a window."""
    chosen = (
        DisplayWindow.of_percentiles(values, window) if isinstance(window, Percentiles) else window
    )
    shown = chosen.to_8_bit(values)
    rgb = cv2.cvtColor(shown, cv2.COLOR_GRAY2RGB) if shown.ndim == 2 else shown
    # A copy where `values` are some of a larger array, which would stay in memory as well.
    kept = np.ascontiguousarray(values) if values.nbytes <= _MOST_KEPT else None
    return Picture(np.ascontiguousarray(rgb), None, chosen, value_span(values), kept)
