"""Pages of one file as images of their own.

The first page has the file's name, page 3 of `stack.tif` is called `stack#page=3.tif`: in the
same folder, with the same suffix, and with a stem of its own for what is exported.
"""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

_PAGE = re.compile(r"^(?P<stem>.+)#page=(?P<page>[1-9][0-9]*)$")

PAGED_SUFFIXES = (".tif", ".tiff")


def file_and_page(image: Path) -> tuple[Path, int]:
    """Return the file that an image lies in, and on which page of it, from 0.

    A file that really has such a name is itself.
    """
    match = _PAGE.match(image.stem)
    if match is None or image.suffix.lower() not in PAGED_SUFFIXES or image.exists():
        return image, 0
    return image.with_name(match["stem"] + image.suffix), int(match["page"]) - 1


def image_file(image: Path) -> Path:
    """Return the file that an image lies in."""
    return file_and_page(image)[0]


def may_have_pages(file: Path) -> bool:
    """Return whether files of this kind can have several pages."""
    return file.suffix.lower() in PAGED_SUFFIXES


def pages_of(file: Path) -> list[Path]:
    """Return the images of a file, one a page; a file that cannot be read is one image."""
    if not may_have_pages(file):
        return [file]
    return [_named(file, page) for page in range(_count(file))]


def _named(file: Path, page: int) -> Path:
    return file if page == 0 else file.with_name(f"{file.stem}#page={page + 1}{file.suffix}")


def _count(file: Path) -> int:
    """Return how many pages a TIFF has, 1 if that cannot be told; only headers are read."""
    try:
        with Image.open(file) as image:
            return max(int(getattr(image, "n_frames", 1)), 1)
    except Exception:
        return _count_by_tifffile(file)


def _count_by_tifffile(file: Path) -> int:
    """Return the same of files whose kind of pixel Pillow does not know."""
    import tifffile

    try:
        with tifffile.TiffFile(file) as tiff:
            return max(len(tiff.pages), 1)
    # Whatever is wrong with the file is said when it is opened.
    except Exception:
        return 1
