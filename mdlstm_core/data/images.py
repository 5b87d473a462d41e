"""Reading images and label maps.

Pillow reads them: it knows EXIF, palettes and CMYK, and fails loudly on damaged files.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mdlstm_core.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")

MAX_PIXELS = 400_000_000
"""Larger images are refused: they would not fit into a laptop's memory."""

Image.MAX_IMAGE_PIXELS = None  # checked below, with a sentence that names the file

# What Pillow says of odd metadata besides: the image is read, or the error below says more.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image as H×W×3 RGB, 0 to 255, upright (EXIF orientation applied).

    16-bit, 32-bit and float images are scaled from their 1st to their 99th percentile;
    alpha is laid over white.

    Raises:
        InputError: the file is missing, empty, truncated, too large or not an image.
    """
    with _opened(path) as image:
        _check_size(path, image.size)
        image.load()
        upright = ImageOps.exif_transpose(image)
        if upright.mode[0] in "IF":
            return np.repeat(_to_8_bit(np.asarray(upright))[..., np.newaxis], 3, axis=2)
        if upright.has_transparency_data:
            rgba = upright.convert("RGBA")
            white = Image.new("RGBA", rgba.size, "white")
            upright = Image.alpha_composite(white, rgba)
        return np.array(upright.convert("RGB"))


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
    with _opened(path) as image:
        width, height = image.size
        # Before Pillow looks for EXIF data: in a PNG, it reads all pixels to find them.
        _check_size(path, image.size)
        orientation = image.getexif().get(0x0112, 1)
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


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


def find_images(paths: list[Path]) -> list[Path]:
    """Return the image files among `paths`, folders replaced by the images in them.

    Raises:
        InputError: a path does not exist, or a folder has no images.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = images_in(path)
            if not inside:
                raise InputError(f"The folder {path} has no images ({', '.join(IMAGE_SUFFIXES)}).")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"There is no file or folder {path}.")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; whatever Pillow cannot do with it becomes an `InputError`."""
    try:
        with Image.open(path) as image:
            yield image
    except InputError:
        raise
    # Its decoders let through whatever a damaged file makes them stumble over.
    except Exception as error:
        raise _unreadable(path, error) from error


def _check_size(path: Path, size: tuple[int, int]) -> None:
    """Refuse what would not fit into memory."""
    if size[0] * size[1] > MAX_PIXELS:
        raise InputError(
            f"{path} has {size[0]}×{size[1]} pixels; "
            f"at most {MAX_PIXELS // 1_000_000} million can be opened."
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


def _to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale grey values of any type between their 1st and 99th percentile to 0 to 255."""
    finite = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    low, high = np.percentile(finite, (1, 99))
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    scaled = (finite - low) / max(float(high - low), 1e-12) * 255
    return scaled.clip(0, 255).round().astype(np.uint8)
