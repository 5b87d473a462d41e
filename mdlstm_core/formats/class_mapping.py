"""Which class of one place becomes which class of another, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.formats.exchange import LabelSource, Record

IGNORED = "ignore"
"""What a class is mapped to when its pixels are to have no label."""


class MappedClass(NamedTuple):
    """A line of the table: a class, what it becomes (None: no label), and if that is new."""

    source: str
    target: str | None
    is_new: bool


@dataclass(frozen=True)
class ClassMapping:
    """Maps the labels of a source.

    Attributes:
        classes: the target's classes, new ones at the end.
        rows: one line a class of the source, in its order.
    """

    classes: tuple[LabelClass, ...]
    rows: tuple[MappedClass, ...]

    def apply(self, source: LabelSource) -> LabelSource:
        """Return the source with the target's classes; label maps are mapped when loaded."""
        place = {label_class.name: index for index, label_class in enumerate(self.classes)}
        table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
        for index, row in enumerate(self.rows):
            table[index] = IGNORE_INDEX if row.target is None else place[row.target]
        return LabelSource(self.classes, tuple(_mapped(record, table) for record in source.records))


def map_classes(
    source: Sequence[LabelClass],
    target: Sequence[LabelClass] | None,
    renames: Mapping[str, str],
) -> ClassMapping:
    """Map classes by name.

    Args:
        source: the classes to map.
        target: the classes that are there, None where there are none yet. Names are
            compared exactly, then without upper and lower case.
        renames: what else a class becomes: a name, or `IGNORED` for no label.

    Raises:
        InputError: a class that is to be renamed is not there.

    Examples:
        >>> theirs = [LabelClass("Sky", (0, 0, 255)), LabelClass("car", (255, 0, 0))]
        >>> ours = [LabelClass("sky", (90, 150, 230))]
        >>> print(mapping_table(map_classes(theirs, ours, {})))
        Sky  ->  sky
        car  ->  car (new)
    """
    known = {label_class.name for label_class in source}
    for name in renames:
        if name not in known:
            raise InputError(
                f"--map names the class {name!r}, but the source has {', '.join(sorted(known))}."
            )
    classes = list(target or ())
    colors = {label_class.name: label_class.color for label_class in source}
    rows = []
    for label_class in source:
        wanted = renames.get(label_class.name, label_class.name)
        if label_class.name in renames and wanted == IGNORED:
            rows.append(MappedClass(label_class.name, None, is_new=False))
            continue
        found = _find(wanted, classes, target or ())
        if found is None:
            classes.append(LabelClass(wanted, colors.get(wanted, label_class.color)))
        is_new = found is None and target is not None
        rows.append(MappedClass(label_class.name, found or wanted, is_new))
    return ClassMapping(tuple(classes), tuple(rows))


def mapping_table(mapping: ClassMapping) -> str:
    """Return the mapping for reading, a line a class."""
    width = max((len(row.source) for row in mapping.rows), default=0)
    return "\n".join(
        f"{row.source:{width}}  ->  "
        + ("(no label)" if row.target is None else row.target + (" (new)" if row.is_new else ""))
        for row in mapping.rows
    )


def _find(name: str, classes: Sequence[LabelClass], target: Sequence[LabelClass]) -> str | None:
    if any(label_class.name == name for label_class in classes):
        return name
    # Only what was there before: a source with Road and road has two classes.
    alike = [c.name for c in target if c.name.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def _mapped(record: Record, table: NDArray[np.uint8]) -> Record:
    return record._replace(load=lambda: table[record.load()])
