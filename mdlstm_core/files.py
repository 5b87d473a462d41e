"""Writing files so that nothing half-written is left behind."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mdlstm_core.errors import InputError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, even after Ctrl-C.

    Raises:
        InputError: it cannot be written.
    """
    # The process's id keeps two runs that write the same file apart.
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        # Gone already when all went well; never made when its folder is none.
        with suppress(OSError):
            partial.unlink()


def make_folder(path: Path) -> None:
    """Make a folder to write into, with its parents.

    Raises:
        InputError: it cannot be made or written into.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {path} cannot be made: {error.strerror}.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"The folder {path} cannot be written into; choose another one.")
