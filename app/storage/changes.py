"""What is written into a project file: immutable, in the order it happened."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from app.document.class_table import ClassTable
from app.document.project import Status
from app.document.steps import HistoryChange, Roles
from mdlstm_core.data.display_window import DisplayWindow


class SaveClasses(NamedTuple):
    """The classes as they come with a model, before any was edited.

    Attributes:
        table: the classes.
        model: the names of the model's classes, in the order of its labels.
    """

    table: ClassTable
    model: tuple[str, ...]


class CheckpointRow(NamedTuple):
    """What is known of a checkpoint of the timeline, but its weights.

    Attributes:
        number: of the checkpoint, from 1; never given twice in a project.
        created: when, in UTC, as "2026-01-31 12:00:00".
        origin: "start" (the first one), "learned" or "imported".
        strokes: how many strokes it was learned from.
        strokes_hash: of what they set; equal hashes, equal corrections. Empty if unknown.
        figures: what was measured, JSON (`mdlstm_core.learning.measured`); empty if nothing.
        thumbnail: PNG of the image that was shown with its labels; empty if there is none.
        size: of the checkpoint, in bytes.
    """

    number: int
    created: str
    origin: str
    strokes: int = 0
    strokes_hash: str = ""
    figures: str = ""
    thumbnail: bytes = b""
    size: int = 0


class NewCheckpoint(NamedTuple):
    """A checkpoint that joins the timeline: what is known of it, and its bytes."""

    row: CheckpointRow
    checkpoint: bytes


class SaveCheckpoints(NamedTuple):
    """Checkpoints join the timeline; all are let go if the disk does not take them.

    Attributes:
        checkpoints: which.
        roles: the checkpoints that the project works with from now on.
        names: what the models call the label at each place; None if that stays.
    """

    checkpoints: tuple[NewCheckpoint, ...]
    roles: Roles
    names: tuple[str, ...] | None = None


class SaveThumbnail(NamedTuple):
    """What the checkpoint of this number said of the image shown, PNG."""

    number: int
    thumbnail: bytes


class DropCheckpoints(NamedTuple):
    """The checkpoints of these numbers leave the timeline."""

    numbers: tuple[int, ...]


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


class SavePixels(NamedTuple):
    """At how many pixels of an image models look (see `Checkpoint.looking_at`); None as trained."""

    pixels: int | None


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


class SaveAccepted(NamedTuple):
    """What was accepted of what a training changed on an image (see `changes_to_json`)."""

    image: Path
    changes: str


class MoveImage(NamedTuple):
    """An image that was labeled lies elsewhere now."""

    old: Path
    new: Path


Change = (
    HistoryChange
    | SaveClasses
    | SaveCheckpoints
    | SaveThumbnail
    | DropCheckpoints
    | SaveFingerprint
    | SaveWindow
    | SaveAccepted
    | SavePixels
    | MarkDone
    | MoveImage
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
