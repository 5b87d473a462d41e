"""The records of a source while it is read: a fault of one does not concern the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NoReturn

from mdlstm_core.config import LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import LabelMap, LabelSource, Record
from mdlstm_core.formats.names import safe_name


class FoundRecords:
    """Collects records; of an entry with a fault, loading raises what is wrong with it.

    So the whole source can be refused, or all but these entries be read.
    """

    def __init__(self, source: Path) -> None:
        """Begin.

        Args:
            source: the file or folder that is read, for sentences.
        """
        self._source = source
        self._records: list[Record] = []
        self._names: set[str] = set()

    def __len__(self) -> int:
        """Return how many there are, broken ones included."""
        return len(self._records)

    @contextmanager
    def entry(self, name: str) -> Iterator[None]:
        """Turn an `InputError` inside into a record of this name that cannot be loaded."""
        try:
            yield
        except InputError as error:
            self.add_broken(name, error)

    def add(self, file_name: str, image: Path | None, load: Callable[[], LabelMap]) -> None:
        """Add a record.

        Args:
            file_name: what its name is made of; see `names.safe_name`.
            image: its image's file, None if it is not known.
            load: reads its label map.

        Raises:
            InputError: the name leads out of its folder, or another record has it.
        """
        name = safe_name(file_name, self._source)
        if name.casefold() in self._names:
            raise InputError(f"{self._source} has two images called {name}; rename one of them.")
        self._append(Record(name, image, load))

    def add_broken(self, name: str, error: InputError) -> None:
        """Add a record that cannot be loaded; it gets a number if its name is taken."""
        free = name
        for number in count(2):
            if free.casefold() not in self._names:
                break
            free = f"{name} ({number})"
        self._append(Record(free, None, lambda: _fail(error)))

    def labeled_by(self, classes: Sequence[LabelClass]) -> LabelSource:
        """Return what was found.

        Raises:
            InputError: nothing was, or the classes do not fit.
        """
        return LabelSource(tuple(classes), tuple(self._records))

    def _append(self, record: Record) -> None:
        self._names.add(record.name.casefold())
        self._records.append(record)


def _fail(error: InputError) -> NoReturn:
    raise error
