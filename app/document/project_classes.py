"""Which of a project's labels each class of a model stands for, by names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.document.class_table import ClassTable
from mdlstm_core.config import IGNORE_INDEX, LabelClass


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

    def outputs(self, classes: Sequence[LabelClass]) -> Outputs:
        """Return what a model with these classes has to become.

        Classes without a label are left out, those of the project that the model lacks are
        appended.
        """
        labels = self.labels_of([c.name for c in classes])
        kept = [i for i, label in enumerate(labels) if label != IGNORE_INDEX]
        own = {c.label: c for c in self.table.classes}
        merged = dict(self.table.removed)
        # A class that others were merged into behind them: it gets the strokes.
        kept.sort(key=lambda i: self._label_before(classes[i].name) not in merged)
        missing = [c for label, c in sorted(own.items()) if label not in labels]
        return Outputs(
            (*kept, *(None for _ in missing)),
            (*(labels[i] for i in kept), *(c.label for c in missing)),
            (*(classes[i] for i in kept), *(LabelClass(c.name, c.color) for c in missing)),
        )

    def _label_before(self, name: str) -> int:
        """Return the label that a model's class had before any was merged, -1 for none."""
        return self.known.index(name) if name in self.known else -1
