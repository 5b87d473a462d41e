"""Knowing a file by its content, wherever it lies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from app.storage.changes import Fingerprint
from mdlstm_core.data.pages import file_and_page, image_file
from mdlstm_core.errors import InputError

_CHUNK = 1 << 20

_SETTLED_NS = 3_000_000_000
"""Age of a file from which its time tells it from what it was: some file systems count in 2 s."""


def fingerprint_of(path: Path) -> Fingerprint:
    """Return the size and the digest of an image's file; pages of one file differ.

    Raises:
        InputError: it cannot be read.
    """
    file, page = file_and_page(path)
    try:
        stat = file.stat()
        state = stat.st_ino, stat.st_size, stat.st_mtime_ns
        is_settled = time.time_ns() - stat.st_mtime_ns > _SETTLED_NS
        size, whole = (_remembered if is_settled else _hashed)(file, state)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    digest = whole.copy()
    if page:
        digest.update(f"#page={page}".encode())
    return Fingerprint(size, digest.digest())


def check_file(image: Path, known: Fingerprint | None) -> None:
    """Look whether an image is still the one that was labeled, as far as that is known.

    Raises:
        InputError: it is another one, or cannot be read.
    """
    if known is not None and fingerprint_of(image) != known:
        raise other_picture(image)


def other_picture(image: Path) -> InputError:
    """Return what is said of a picture in the place of the one that was labeled."""
    return InputError(
        f"{image} is not the picture that was labeled under this name; "
        "put that one back, or rename this one."
    )


def _hashed(file: Path, _state: tuple[int, ...]) -> tuple[int, blake2b]:
    """Return the size and the hash of a file; `_state` is what tells when it is another."""
    digest, size = blake2b(digest_size=16), 0
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest


_remembered = lru_cache(maxsize=1024)(_hashed)
"""The same, read but once while a file stays as it is: each page of a stack asks for it."""


def find_moved(
    missing: Mapping[Path, Fingerprint],
    given: Sequence[Path],
    go_on: Callable[[int], bool] = lambda _done: True,
) -> dict[Path, Path]:
    """Return where images are now, by their old paths; a file is known by content alone.

    Args:
        missing: images that are not where they were.
        given: files among which they may be; one that cannot be read is passed over.
        go_on: is told how many files were looked at; the search ends when it says no.
    """
    wanted = {fingerprint: image for image, fingerprint in missing.items()}
    found: dict[Path, Path] = {}
    for number, path in enumerate(given):
        if not wanted or not go_on(number):
            break
        try:
            old = wanted.pop(fingerprint_of(path), None)
        except InputError:
            continue
        if old is not None:
            found[old] = path
    return found


def may_be_moved(missing: Mapping[Path, Fingerprint], given: Iterable[Path]) -> list[Path]:
    """Return those of the given files that have the size of a missing image."""
    sizes = {fingerprint.size for fingerprint in missing.values()}
    if not sizes:
        return []
    files = ((image, image_file(image)) for image in given)
    return [image for image, file in files if file.is_file() and file.stat().st_size in sizes]
