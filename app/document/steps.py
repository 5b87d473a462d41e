"""Steps of the history, and what happens to them; immutable, so that threads can share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from app.document.class_table import ClassTable
from app.document.packed_patch import PackedPatch
from app.document.patch import Patch

IMPORT_TEXT = "import labels"
"""What the undo menu calls labels that were read from files."""


@dataclass(frozen=True, eq=False)
class ImagePatch:
    """A change of one image's corrections; `size` is the image's height and width."""

    image: Path
    size: tuple[int, int]
    patch: Patch

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return self.patch.nbytes

    def packed(self) -> PackedPatch:
        """Return the change compressed."""
        return PackedPatch.of(self.patch)


@dataclass(frozen=True, eq=False)
class PackedImagePatch:
    """The same compressed, for steps that change many images at once."""

    image: Path
    size: tuple[int, int]
    content: PackedPatch

    @property
    def patch(self) -> Patch:
        """The change, unpacked anew each time.

        Raises:
            InputError: it is damaged.
        """
        return self.content.unpack()

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return self.content.nbytes

    def packed(self) -> PackedPatch:
        """Return the change compressed."""
        return self.content


class ClassChange(NamedTuple):
    """An edit of the classes.

    Attributes:
        before: the classes before.
        after: the classes afterwards.
        relabeled: pixels of which label got which label, in all images; None if no pixel
            changed.
    """

    before: ClassTable
    after: ClassTable
    relabeled: tuple[int, int] | None = None


class Roles(NamedTuple):
    """Which checkpoints of the timeline a project works with, by their numbers.

    Attributes:
        base: the one that learning starts from.
        learned: the one that serves.
    """

    base: int
    learned: int


class ModelChange(NamedTuple):
    """Another model serves: its roles before and afterwards."""

    before: Roles
    after: Roles


@dataclass(frozen=True, eq=False)
class Step:
    """One undoable change.

    Attributes:
        number: of the step; never given twice while a project is open.
        text: what the undo menu calls it, a verb.
        image: the image to show before the step is undone, None for none.
        patches: the pixels it changed; empty if it gave a class another label, which reaches
            over all images, also those that are not in memory.
        classes: how it changed the classes, None if it did not.
        models: how it changed the model that serves, None if it did not.
    """

    number: int
    text: str
    image: Path | None
    patches: tuple[ImagePatch | PackedImagePatch, ...] = ()
    classes: ClassChange | None = None
    models: ModelChange | None = None

    @property
    def relabels(self) -> bool:
        """Whether it gave all pixels of a class another label."""
        return self.classes is not None and self.classes.relabeled is not None

    @property
    def spans_images(self) -> bool:
        """Whether it changed several images."""
        return any(found.image != self.patches[0].image for found in self.patches)

    @property
    def nbytes(self) -> int:
        """Memory that the step holds."""
        return sum(found.nbytes for found in self.patches)


class StepHeader(NamedTuple):
    """What is known of a step without loading its pixels; a history may have a million.

    Attributes:
        number: see `Step`.
        text: see `Step`.
        image: see `Step`.
        size: bytes that it takes on disk, 0 if it is not there yet.
    """

    number: int
    text: str
    image: Path | None
    size: int = 0


class RecentHistory(NamedTuple):
    """A stored history, of which only the newest steps are loaded.

    Attributes:
        headers: of the newest steps, oldest first; if there are older ones, at least one of
            them is not undone.
        done: number of the last step that is not undone, 0 if there is none.
        older: how many steps are older.
        older_bytes: what these take on disk.
    """

    headers: Sequence[StepHeader] = ()
    done: int = 0
    older: int = 0
    older_bytes: int = 0


class Do(NamedTuple):
    """A new step; those that had been undone are gone."""

    step: Step


class Undo(NamedTuple):
    """The step was taken back."""

    step: Step


class Redo(NamedTuple):
    """The step was made again."""

    step: Step


class Prune(NamedTuple):
    """The steps up to this number cannot be undone any more."""

    number: int


HistoryChange = Do | Undo | Redo | Prune
