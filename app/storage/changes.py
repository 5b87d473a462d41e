"""What is written into a project file: immutable, in the order it happened."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from app.document.class_table import ClassTable
from app.document.project import Status
from app.document.steps import HistoryChange
from mdlstm_core.data.display_window import DisplayWindow


class SaveClasses(NamedTuple):
    """The classes as they come with a model, before any was edited.

    Attributes:
        table: the classes.
        model: the names of the model's classes, in the order of its labels.
    """

    table: ClassTable
    model: tuple[str, ...]


class SaveModels(NamedTuple):
    """The checkpoint that learning starts from, and the one it led to.

    Attributes:
        base, learned: their bytes.
        names: what the models call the label at each place; None if that stays.
    """

    base: bytes
    learned: bytes
    names: tuple[str, ...] | None = None


class Fingerprint(NamedTuple):
    """What a file holds, by which it is known wherever it lies.

    Attributes:
        size: in bytes.
        digest: BLAKE2b of its content, 16 bytes.
    """

    size: int
    digest: bytes


class SaveFingerprint(NamedTuple):
    """What file was labeled; without effect on an image that was not."""

    image: Path
    fingerprint: Fingerprint


class MarkDone(NamedTuple):
    """The user says that an image of this size is done, or is not."""

    image: Path
    height: int
    width: int
    done: bool


class SaveWindow(NamedTuple):
    """What the values of an image of more than 8 bits are seen through."""

    image: Path
    window: DisplayWindow


class MoveImage(NamedTuple):
    """An image that was labeled lies elsewhere now."""

    old: Path
    new: Path


Change = (
    HistoryChange | SaveClasses | SaveModels | SaveFingerprint | SaveWindow | MarkDone | MoveImage
)


class Receipt(NamedTuple):
    """What became of changes that are on disk.

    Attributes:
        number: of the last change.
        sizes: bytes that each new step takes.
        statuses: of the images that were changed.
    """

    number: int
    sizes: dict[int, int]
    statuses: dict[Path, Status]
