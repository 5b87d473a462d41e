"""Which of a project's labels each class of a model stands for, by names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.document.class_table import ClassTable, ProjectClass
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.errors import InputError


@dataclass(frozen=True)
class Outputs:
    """The outputs of a model that has the classes of a project.

    Attributes:
        sources: the class of the model before that each one continues, None if it is new.
        labels: the label of each; merged classes share one, the last one's own.
        classes: name and colour of each; those of the model before keep their names.
    """

    sources: tuple[int | None, ...]
    labels: tuple[int, ...]
    classes: tuple[LabelClass, ...]

    @property
    def names(self) -> dict[int, str]:
        """What the model calls each label."""
        return {label: c.name for label, c in zip(self.labels, self.classes, strict=True)}

    def indices_of(self, label_map_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a label map with the model's own class indices; other labels are none."""
        table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
        table[list(self.labels)] = np.arange(len(self.labels), dtype=np.uint8)
        return table[label_map_HW]


@dataclass(frozen=True)
class ProjectClasses:
    """The classes of a project, and the names by which its models know them.

    Attributes:
        table: the project's classes.
        known: what models call the label at each place, so that a class can be renamed;
            empty where none has it.
    """

    table: ClassTable
    known: tuple[str, ...]

    def labels_of(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return the label of each class of a model, `IGNORE_INDEX` if the project has none.

        Classes that were merged have the label of the class that has their pixels now.
        """
        labels = {c.name: c.label for c in self.table.classes}
        labels |= {name: label for label, name in enumerate(self.known) if name}
        present = {c.label: c.label for c in self.table.classes} | dict(self.table.removed)
        return tuple(present.get(labels.get(name, -1), IGNORE_INDEX) for name in names)

    def known_with(self, names: Mapping[int, str]) -> tuple[str, ...]:
        """Return `known` with what a model calls labels that none knew before."""
        known = list(self.known)
        for label, name in names.items():
            known += [""] * (label + 1 - len(known))
            known[label] = known[label] or name
        return tuple(known)

    def outputs(self, classes: Sequence[LabelClass]) -> Outputs:
        """Return what a model with these classes has to become.

        Classes without a label are left out, those of the project that the model lacks are
        appended.

        Raises:
            InputError: the project has no classes.
        """
        if not self.table.classes:
            raise InputError("The project has no classes; add one first.")
        labels = self.labels_of([c.name for c in classes])
        kept = [i for i, label in enumerate(labels) if label != IGNORE_INDEX]
        own = {c.label: c for c in self.table.classes}
        merged = dict(self.table.removed)
        # A class that others were merged into behind them: it gets the strokes.
        kept.sort(key=lambda i: self._label_before(classes[i].name) not in merged)
        missing = [c for label, c in sorted(own.items()) if label not in labels]
        taken = {classes[i].name for i in kept}
        new = [_named(c, taken) for c in missing]
        return Outputs(
            (*kept, *(None for _ in missing)),
            (*(labels[i] for i in kept), *(c.label for c in missing)),
            (*(classes[i] for i in kept), *new),
        )

    def _label_before(self, name: str) -> int:
        """Return the label that a model's class had before any was merged, -1 for none."""
        return self.known.index(name) if name in self.known else -1


def _named(found: ProjectClass, taken: set[str]) -> LabelClass:
    """Return a project's class for a model, by a name that no other class of it has."""
    name = f"{found.name} ({found.label})" if found.name in taken else found.name
    return LabelClass(name, found.color)
