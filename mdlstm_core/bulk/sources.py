"""Where the images of a bulk run come from: a stream of names, never all of them at once."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Literal, NamedTuple

from mdlstm_core.bulk.locations import file_system, is_uri, kind_of, opened, resolved
from mdlstm_core.data.images import IMAGE_SUFFIXES
from mdlstm_core.data.pages import PAGED_SUFFIXES, pages_of
from mdlstm_core.errors import InputError

Kind = Literal["folder", "image", "list", "parquet"]

ELSEWHERE = "@"
"""First part of the id of an image that does not lie in the source's folder."""

_ROWS_AT_ONCE = 1024


class ImageRecord(NamedTuple):
    """An image to label.

    Attributes:
        id: what it is known by in the results: its path relative to the source.
        folder: path or URI of a folder.
        name: the file in it, perhaps in folders of its own.
    """

    id: str
    folder: str
    name: str

    @property
    def location(self) -> str:
        """The image's path or URI."""
        return f"{self.folder}/{self.name}"


@dataclass(frozen=True)
class ImageSource:
    """Images that can be gone through again and again, each time from the start.

    Attributes:
        location: the source's path or URI.
        kind: what lies there.
        column: the column of a Parquet file that has the images' paths.
        left_out: a folder whose files are no images of the source: the run's own.
    """

    location: str
    kind: Kind
    column: str
    left_out: str

    @property
    def folder(self) -> str:
        """What relative paths are relative to."""
        return self.location if self.kind == "folder" else self.location.rpartition("/")[0]

    def __iter__(self) -> Iterator[ImageRecord]:
        """Give the images one by one, in no particular order.

        Raises:
            InputError: the source cannot be read.
        """
        if self.kind == "image":
            yield _record(self.location, self.folder)
        elif self.kind == "folder" and is_uri(self.location):
            yield from self._in_remote_folder("")
        elif self.kind == "folder":
            yield from self._in_local_folder("")
        elif self.kind == "list":
            yield from self._in_list()
        else:
            yield from self._in_parquet()

    def _in_local_folder(self, below: str) -> Iterator[ImageRecord]:
        try:
            # pathlib would read all names of a folder at once.
            with os.scandir(f"{self.location}/{below}") as entries:
                for entry in entries:
                    name = f"{below}{entry.name}"
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if f"{self.location}/{name}" != self.left_out:
                            yield from self._in_local_folder(f"{name}/")
                    elif _is_image(name) and entry.is_file():
                        yield from self._pages(name)
        except OSError as error:
            place = f"{self.location}/{below}"
            raise InputError(f"The folder {place} cannot be read: {error.strerror}.") from error

    def _pages(self, name: str) -> Iterator[ImageRecord]:
        if PurePosixPath(name).suffix.lower() not in PAGED_SUFFIXES:
            yield ImageRecord(name, self.location, name)
            return
        for page in pages_of(Path(self.location, name)):
            inside = page.relative_to(self.location).as_posix()
            yield ImageRecord(inside, self.location, inside)

    def _in_remote_folder(self, below: str) -> Iterator[ImageRecord]:
        from pyarrow.fs import FileSelector

        files, path = file_system(self.location)
        try:
            found = files.get_file_info(FileSelector(f"{path}/{below}".rstrip("/")))
        except OSError as error:
            place = f"{self.location}/{below}"
            raise InputError(f"The folder {place} cannot be read: {error}.") from error
        for info in found:
            name = f"{below}{info.base_name}"
            if info.base_name.startswith("."):
                continue
            if info.type.name == "Directory":
                yield from self._in_remote_folder(f"{name}/")
            elif _is_image(name):
                yield ImageRecord(name, self.location, name)

    def _in_list(self) -> Iterator[ImageRecord]:
        with opened(self.location) as file:
            if b"\0" in file.read(4096):
                raise InputError(f"{self.location} is no folder, list of images or Parquet file.")
            file.seek(0)
            # Names that are no UTF-8 still name their files.
            lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape")
            for line in lines:
                if entry := line.rstrip("\r\n"):
                    yield _record(entry, self.folder)

    def _in_parquet(self) -> Iterator[ImageRecord]:
        import pyarrow as pa
        from pyarrow import parquet

        number = 0
        with opened(self.location) as file:
            try:
                table = parquet.ParquetFile(file)
                for batch in table.iter_batches(_ROWS_AT_ONCE, columns=[self.column]):
                    for entry in batch.column(0).to_pylist():
                        number += 1
                        # A row without a path gets a row that says so.
                        yield (
                            _record(entry, self.folder)
                            if entry
                            else ImageRecord(f"row {number}", self.folder, "")
                        )
            except pa.ArrowException as error:
                raise InputError(f"{self.location} is damaged ({error}); replace it.") from error


def open_source(location: str, left_out: Path, column: str = "image") -> ImageSource:
    """Return the images of a folder, a list file, a Parquet file, or one image.

    Folders are gone through with the folders inside; what starts with a dot is left out.
    A list has a path a line. Relative paths are relative to the list's or the Parquet
    file's folder; absolute ones and URIs are taken as they are.

    Args:
        location: path, or URI of a file system that pyarrow opens.
        left_out: a folder that is passed over.
        column: of a Parquet file.

    Raises:
        InputError: there is nothing, pyarrow is needed and missing, or there is no such
            column.
    """
    place = resolved(location)
    found = kind_of(place)
    if not found:
        raise InputError(f"There is no file or folder {location}.")
    kind: Kind = "folder"
    if found == "file":
        is_table = place.lower().endswith((".parquet", ".pq"))
        kind = "parquet" if is_table else "image" if _is_image(place) else "list"
    if kind == "parquet":
        _check_column(place, column)
    return ImageSource(place, kind, column, resolved(str(left_out)))


def _check_column(place: str, column: str) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            f"{place} is read by pyarrow, which is not installed: "
            "pip install 'mdlstm-labeler[scale]'."
        ) from error
    with opened(place) as file:
        try:
            schema = parquet.read_schema(file)
        except pa.ArrowException as error:
            raise InputError(f"{place} is no Parquet file that can be read.") from error
    if column not in schema.names:
        names = ", ".join(schema.names)
        raise InputError(f"{place} has no column {column!r} but {names}; name one with --column.")
    kind = schema.field(column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise InputError(f"The column {column!r} of {place} has {kind}, not paths of images.")


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _record(entry: str, folder: str) -> ImageRecord:
    """Return the image that a source names by a relative or absolute path, or by a URI."""
    if not (is_uri(entry) or Path(entry).is_absolute()):
        name = PurePath(entry).as_posix()  # ./a//b.jpg is a/b.jpg
        return ImageRecord(name, folder, name)
    place = resolved(entry)
    if place.startswith(f"{folder}/"):
        name = place[len(folder) + 1 :]
        return ImageRecord(name, folder, name)
    parent, _, name = place.rpartition("/")
    # "s3://bucket/a.jpg" is known as "@/s3/bucket/a.jpg", "C:/a.jpg" as "@/C/a.jpg".
    inside = re.sub(r"^(\w+)(://|:/)", r"\1/", place).lstrip("/")
    return ImageRecord(PurePath(ELSEWHERE, inside).as_posix(), parent, name)
