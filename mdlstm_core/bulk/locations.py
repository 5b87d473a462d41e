"""Files that lie in a folder here, or on any file system that pyarrow opens."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from mdlstm_core.errors import InputError


def resolved(location: str) -> str:
    """Return a path as an absolute one with slashes, and a URI as it is.

    A URI of this computer's own files (`file://`) becomes a path.
    """
    scheme, separator, _ = location.partition("://")
    if separator and scheme != "file":
        return location.rstrip("/")
    path = url2pathname(urlsplit(location).path) if separator else location
    return Path(os.path.abspath(path)).as_posix()


def is_uri(location: str) -> bool:
    """Say whether a resolved location lies on a file system of pyarrow's."""
    return "://" in location


@lru_cache(maxsize=64)
def file_system(uri: str) -> tuple[Any, str]:
    """Return pyarrow's file system of a URI, and the path on it.

    Raises:
        InputError: pyarrow is not installed, or does not know such a URI.
    """
    try:
        from pyarrow import fs
    except ImportError as error:
        raise InputError(
            f"{uri} is opened by pyarrow, which is not installed: "
            "pip install 'mdlstm-labeler[scale]'."
        ) from error
    try:
        return fs.FileSystem.from_uri(quote(uri, safe=":/?&=%@+,;~"))
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{uri} cannot be opened: {_first_line(error)}.") from error


def kind_of(location: str) -> str:
    """Return "folder", "file" or "" for what there is at a resolved location.

    Raises:
        InputError: its file system cannot be reached.
    """
    if not is_uri(location):
        path = Path(location)
        return "folder" if path.is_dir() else "file" if path.exists() else ""
    files, path_there = file_system(location)
    try:
        kind = files.get_file_info(path_there).type.name
    except OSError as error:
        raise InputError(f"{location} cannot be read: {_first_line(error)}.") from error
    return {"Directory": "folder", "File": "file"}.get(kind, "")


@contextmanager
def opened(location: str) -> Iterator[IO[bytes]]:
    """Open a file to read in any order.

    Raises:
        InputError: it cannot be read.
    """
    try:
        if is_uri(location):
            files, path = file_system(location)
            with files.open_input_file(path) as stream:
                yield stream
        else:
            with Path(location).open("rb") as file:
                yield file
    except OSError as error:
        raise InputError(f"{location} cannot be read: {_first_line(error)}.") from error


@contextmanager
def local_file(folder: str, name: str) -> Iterator[Path]:
    """Give a file a path on this computer; one that lies elsewhere is copied for the while.

    Raises:
        InputError: it cannot be read; or what is raised inside, with the file's own place.
    """
    if not is_uri(folder):
        yield Path(folder, name)
        return
    place = f"{folder}/{name}"
    files, path_there = file_system(folder)
    with tempfile.TemporaryDirectory() as copies:
        copy = Path(copies, f"image{PurePosixPath(name).suffix}")
        try:
            with files.open_input_stream(f"{path_there}/{name}") as stream, copy.open("wb") as file:
                shutil.copyfileobj(stream, file)
        except OSError as error:
            raise InputError(f"{place} cannot be read: {_first_line(error)}.") from error
        try:
            yield copy
        except InputError as error:
            raise InputError(str(error).replace(str(copy), place)) from error


def _first_line(error: BaseException) -> str:
    strerror = getattr(error, "strerror", None)
    lines = str(strerror or error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
