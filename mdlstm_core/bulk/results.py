"""The folder that a bulk run writes into: masks, model, and a table with a row an image.

The table, `results.jsonl`, only grows: a row is written when the image's mask is there. What a
killed run leaves is therefore rows whose masks are there, perhaps half a row at the end,
and masks without a row, which are made again.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from hashlib import sha256
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from mdlstm_core.bulk.labeling import MASKS
from mdlstm_core.bulk.rows import Row
from mdlstm_core.bulk.seen_ids import SeenIds
from mdlstm_core.checkpoint import Checkpoint, checkpoint_to_bytes
from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder, write_whole
from mdlstm_core.formats.reading import description_json

TABLE = "results.jsonl"
MODEL = "model.safetensors"
_RUN = "run.json"
_LOCK = ".lock"


class Results:
    """The rows of a run, each image's once.

    Attributes:
        kept: images that an earlier run labeled.
        index: the file of the ids in the table, see `SeenIds`.
    """

    def __init__(self, target: Path, index: Path) -> None:
        self._target = target
        self.index = index
        self._seen = SeenIds(index)
        self.kept = self._keep_labeled()
        self._table: IO[bytes] = (target / TABLE).open("ab")

    def add(self, row: Row) -> bool:
        """Append a row; an image that has one already gets no second. Say whether it is new.

        Raises:
            InputError: it cannot be written.
        """
        if row.id in self._seen:
            return False
        try:
            self._table.write(row.to_line())
            self._table.flush()
        except OSError as error:
            raise _unwritable(self._target / TABLE, error) from error
        return self._seen.add(row.id)

    def close(self) -> None:
        """Close the files.

        Raises:
            InputError: a row that could not be written still cannot.
        """
        self._seen.close()
        try:
            self._table.close()
        except OSError as error:
            raise _unwritable(self._target / TABLE, error) from error

    def _keep_labeled(self) -> int:
        """Keep the rows whose masks are there, and return their number.

        The other images are tried again: those that could not be labeled, and what was
        only half written.
        """
        table = self._target / TABLE
        if not table.exists():
            return 0
        kept = 0
        part = table.with_name(f"{TABLE}.part")
        with table.open("rb") as rows, part.open("wb") as labeled, self._seen.many():
            for line in rows:
                row = Row.from_line(line)
                if row is None or row.mask is None or not (self._target / row.mask).is_file():
                    continue
                if self._seen.add(row.id):
                    labeled.write(line)
                    kept += 1
            labeled.flush()
            os.fsync(labeled.fileno())
        part.replace(table)
        return kept


@contextmanager
def open_results(target: Path, source: str, checkpoint: Checkpoint) -> Iterator[Results]:
    """Begin in a folder, or go on where an earlier run of the same source and model stopped.

    Args:
        target: the folder, made if it is missing.
        source: where the images come from.
        checkpoint: the model.

    Raises:
        InputError: the folder cannot be written, another run is writing into it, or it
            belongs to something else.
    """
    make_folder(target)
    try:
        with (
            FileLock(target / _LOCK, timeout=0),
            tempfile.TemporaryDirectory() as scratch,
        ):
            _claim(target, source, checkpoint)
            results = Results(target, Path(scratch, "ids"))
            try:
                yield results
            finally:
                results.close()
    except Timeout as error:
        raise InputError(
            f"Another run writes into {target}; wait for its end or choose another folder."
        ) from error


def rows_of(target: Path) -> Iterator[Row]:
    """Give the rows of a run that is over, one at a time."""
    with (target / TABLE).open("rb") as lines:
        for line in lines:
            row = Row.from_line(line)
            if row is not None:
                yield row


def _claim(target: Path, source: str, checkpoint: Checkpoint) -> None:
    """Write what the folder is for, or check that it is for the same."""
    run = target / _RUN
    wanted = {"source": source, "model": _digest(checkpoint)}
    if not run.exists():
        for name in (TABLE, MASKS):
            if (target / name).exists():
                raise InputError(f"{target} has a {name} of its own; choose another folder.")
        write_whole(target / MODEL, checkpoint_to_bytes(checkpoint))
        write_whole(target / "classes.json", description_json(checkpoint.classes))
        # The last one: a folder with it is whole.
        write_whole(run, json.dumps(wanted).encode())
        return
    try:
        before = json.loads(run.read_bytes())
        same_source, same_model = (before[name] == wanted[name] for name in wanted)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{run} cannot be read; choose another folder.") from error
    if not same_source:
        raise InputError(
            f"{target} holds the labels of {before['source']}, not of {source}; "
            "choose another folder."
        )
    if not same_model:
        raise InputError(f"{target} holds labels of another model; choose another folder.")


def _digest(checkpoint: Checkpoint) -> str:
    """Return what tells a model from others; its file's bytes differ from time to time."""
    classes = [astuple(label_class) for label_class in checkpoint.classes]
    digest = sha256(json.dumps([checkpoint.config.to_json(), classes]).encode())
    for name, weight in sorted(checkpoint.weights.items()):
        digest.update(name.encode())
        digest.update(weight.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be written: {error.strerror}.")
