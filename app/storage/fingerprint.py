"""Knowing a file by its content, wherever it lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path

from app.storage.changes import Fingerprint
from mdlstm_core.data.pages import file_and_page, image_file
from mdlstm_core.errors import InputError

_CHUNK = 1 << 20


def fingerprint_of(path: Path) -> Fingerprint:
    """Return the size and the digest of an image's file; pages of one file differ.

    Raises:
        InputError: it cannot be read.
    """
    digest, size = blake2b(digest_size=16), 0
    path, page = file_and_page(path)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        if page:
            digest.update(f"#page={page}".encode())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return Fingerprint(size, digest.digest())


def find_moved(missing: Mapping[Path, Fingerprint], given: Iterable[Path]) -> dict[Path, Path]:
    """Return where images are now, by their old paths; a file is known by content alone.

    Args:
        missing: images that are not where they were.
        given: files among which they may be; one that cannot be read is passed over.
    """
    wanted = {fingerprint: image for image, fingerprint in missing.items()}
    sizes = {fingerprint.size for fingerprint in wanted}
    found: dict[Path, Path] = {}
    for path in given:
        try:
            if image_file(path).stat().st_size in sizes:
                old = wanted.pop(fingerprint_of(path), None)
                if old is not None:
                    found[old] = path
        except (OSError, InputError):
            continue
    return found


def may_be_moved(missing: Mapping[Path, Fingerprint], given: Iterable[Path]) -> list[Path]:
    """Return those of the given files that have the size of a missing image."""
    sizes = {fingerprint.size for fingerprint in missing.values()}
    files = ((image, image_file(image)) for image in given)
    return [image for image, file in files if file.is_file() and file.stat().st_size in sizes]
