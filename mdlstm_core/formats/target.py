"""A folder that files are written into: all of them or none, and never outside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder, write_whole


class Target:
    """Takes files and puts them into their folder at the end, when all are written.

    Until then they wait in a hidden folder inside the target, so that the last step is
    renaming. Use it through `writing`.
    """

    def __init__(self, folder: Path, *, overwrite: bool) -> None:
        """Begin; nothing is made before the first file.

        Args:
            folder: where the files go.
            overwrite: replace files that are there.
        """
        self.folder = folder
        self._overwrite = overwrite
        self._waiting = folder / f".writing-{os.getpid()}"
        self._names: dict[str, None] = {}

    def write(self, name: str, content: bytes, *, replace: bool = False) -> None:
        """Take a file.

        Args:
            name: its path inside the target, with `/` between folders.
            content: its bytes.
            replace: replace what is there in any case: the file only grows.

        Raises:
            InputError: the name leads outside the target, was taken, or is there and must
                not be overwritten; or it cannot be written.
        """
        write_whole(self._place(name, replace), content)

    def copy(self, name: str, file: Path) -> None:
        """Take a copy of a file; otherwise like `write`."""
        place = self._place(name)
        try:
            shutil.copyfile(file, place)
        except OSError as error:
            raise InputError(f"{file} cannot be copied: {error.strerror}.") from error

    def holds(self, name: str) -> bool:
        """Return whether the target's folder has this file already."""
        return (self.folder / name).exists()

    def commit(self) -> list[Path]:
        """Put the files into their folder and return where they are.

        Raises:
            InputError: one cannot be put there.
        """
        placed = []
        for name in self._names:
            place = self.folder / name
            make_folder(place.parent)
            try:
                (self._waiting / name).replace(place)
            except OSError as error:
                raise InputError(f"{place} cannot be written: {error.strerror}.") from error
            placed.append(place)
        return placed

    def drop(self) -> None:
        """Delete what was taken and not put into the folder."""
        shutil.rmtree(self._waiting, ignore_errors=True)

    def _place(self, name: str, replace: bool = False) -> Path:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or ".." in parts or Path(name).is_absolute() or parts[0] == "/":
            raise InputError(f"{name!r} leads outside {self.folder}; rename it.")
        if name in self._names:
            raise InputError(f"Two files would be written to {self.folder / name}; rename one.")
        if self.holds(name) and not (self._overwrite or replace):
            raise InputError(
                f"{self.folder / name} is there already; choose another folder, or --overwrite."
            )
        place = self._waiting / name
        make_folder(place.parent)
        self._names[name] = None
        return place


@contextmanager
def writing(folder: Path, *, overwrite: bool = False) -> Iterator[Target]:
    """Give a target whose files appear at the end of the block, or never if it raises.

    Raises:
        InputError: a file cannot be written.
    """
    was_there = folder.exists()
    target = Target(folder, overwrite=overwrite)
    try:
        yield target
        target.commit()
    finally:
        target.drop()
        _undo(was_there, folder)


def _undo(was_there: bool, folder: Path) -> None:
    """Remove the folder if it was made for files that never came."""
    if not was_there and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
