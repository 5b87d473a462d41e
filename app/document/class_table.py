"""The classes of a project: an immutable table, each edit of which gives a new one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.config import IGNORE_INDEX, MAX_CLASSES, LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.palette import default_color

Color = tuple[int, int, int]

_UNUSED = LabelClass("", (128, 128, 128))


@dataclass(frozen=True)
class ProjectClass:
    """A class of a project.

    Attributes:
        label: what stands for it in label maps, 0 to 254; it never changes.
        name: what the user calls it; no two classes share one.
        color: red, green, blue, 0 to 255.
        hidden: whether its pixels are not shown.
        locked: whether no edit may change a pixel that shows it.
    """

    label: int
    name: str
    color: Color
    hidden: bool = False
    locked: bool = False


@dataclass(frozen=True)
class ClassTable:
    """All classes, in the order the user sees them; reordering touches no pixel.

    Every method that edits returns another table, and raises `InputError` where a name is
    empty or taken, or there is no such class.

    Attributes:
        classes: in the order they are shown.
        removed: labels of classes that were merged or deleted, each with the label that its
            pixels have now: a model goes on to name them.
    """

    classes: tuple[ProjectClass, ...] = ()
    removed: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, classes: Sequence[LabelClass]) -> ClassTable:
        """Return the table whose labels are the places in `classes`."""
        return cls(tuple(ProjectClass(i, c.name, c.color) for i, c in enumerate(classes)))

    def get(self, label: int) -> ProjectClass:
        """Return the class of a label.

        Raises:
            InputError: there is none.
        """
        for found in self.classes:
            if found.label == label:
                return found
        raise InputError(f"There is no class with the index {label}.")

    def by_label(self) -> tuple[LabelClass, ...]:
        """Return the classes at the places of their labels; a place without one has no name."""
        found = {c.label: LabelClass(c.name, c.color) for c in self.classes}
        return tuple(found.get(label, _UNUSED) for label in range(max(found, default=-1) + 1))

    @property
    def locked(self) -> frozenset[int]:
        """The labels of the locked classes."""
        return frozenset(c.label for c in self.classes if c.locked)

    def current(self, label_map_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a label map (of a model, say) with removed classes replaced."""
        if not self.removed:
            return label_map_HW
        table = np.arange(256, dtype=np.uint8)
        for source, target in self.removed:
            table[source] = target
        return table[label_map_HW]

    def add(self, name: str, color: Color | None = None) -> ClassTable:
        """Append a class, with the next default colour if none is given."""
        label = self._free_label()
        added = ProjectClass(label, name.strip(), color or default_color(label))
        removed = tuple(pair for pair in self.removed if pair[0] != label)
        return _checked(ClassTable((*self.classes, added), removed))

    def rename(self, label: int, name: str) -> ClassTable:
        """Call a class by another name."""
        return _checked(self._replaced(label, name=name.strip()))

    def recolor(self, label: int, color: Color) -> ClassTable:
        """Give a class another colour."""
        return self._replaced(label, color=color)

    def hide(self, label: int, hidden: bool) -> ClassTable:
        """Hide a class, or show it again."""
        return self._replaced(label, hidden=hidden)

    def lock(self, label: int, locked: bool) -> ClassTable:
        """Lock a class, or unlock it."""
        return self._replaced(label, locked=locked)

    def move(self, label: int, place: int) -> ClassTable:
        """Show a class at another place of the list, counted from 0."""
        moved = self.get(label)
        others = [c for c in self.classes if c.label != label]
        others.insert(max(0, min(place, len(others))), moved)
        return dataclasses.replace(self, classes=tuple(others))

    def remove(self, label: int, target: int = IGNORE_INDEX) -> ClassTable:
        """Take a class out; its pixels get the label `target`, or none."""
        self.get(label)
        if target == label:
            raise InputError("A class cannot be merged with itself; choose another one.")
        if target != IGNORE_INDEX:
            self.get(target)
        kept = tuple(c for c in self.classes if c.label != label)
        moved = ((source, target if to == label else to) for source, to in self.removed)
        return ClassTable(kept, tuple(sorted([*moved, (label, target)])))

    def take_list(self, classes: Sequence[LabelClass | None]) -> ClassTable:
        """Take names and colours of an imported list; its places are labels.

        A class that is there gets the list's name and colour, one that is not is added;
        None in the list and classes beyond its end are left as they are.
        """
        table = self
        for label, given in enumerate(classes):
            if given is None:
                continue
            if any(c.label == label for c in table.classes):
                table = table._replaced(label, name=given.name, color=given.color)
            else:
                added = ProjectClass(label, given.name, given.color)
                removed = tuple(pair for pair in table.removed if pair[0] != label)
                table = ClassTable((*table.classes, added), removed)
        return _checked(table)

    def to_json(self) -> str:
        """Return the table as text."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> ClassTable:
        """Return the table that `to_json` wrote.

        Raises:
            InputError: the text is damaged.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            classes = tuple(
                ProjectClass(**{**c, "color": tuple(c["color"])}) for c in values["classes"]
            )
            return cls(classes, tuple((int(a), int(b)) for a, b in values["removed"]))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"A stored table of classes is damaged ({error}).") from error

    def _replaced(self, label: int, **changes: Any) -> ClassTable:
        changed = dataclasses.replace(self.get(label), **changes)
        classes = tuple(changed if c.label == label else c for c in self.classes)
        return dataclasses.replace(self, classes=classes)

    def _free_label(self) -> int:
        used = {c.label for c in self.classes}
        named = used | {source for source, _ in self.removed}
        # A removed label last: a model may go on to name it.
        for taken in (named, used):
            for label in range(MAX_CLASSES):
                if label not in taken:
                    return label
        raise InputError(f"A project has at most {MAX_CLASSES} classes; delete or merge some.")


def _checked(table: ClassTable) -> ClassTable:
    """Return the table if its names are there and differ.

    Raises:
        InputError: they do not.
    """
    seen: set[str] = set()
    for found in table.classes:
        if not found.name:
            raise InputError("A class needs a name.")
        if found.name in seen:
            raise InputError(f"There is a class {found.name} already; choose another name.")
        seen.add(found.name)
    return table
