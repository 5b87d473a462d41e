"""All images of a project, their corrections, the classes and the one history."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from app.document.class_table import ClassTable
from app.document.edit import Edit
from app.document.edit_filter import EditFilter
from app.document.label_map import LabelMap
from app.document.pieces import pieces
from app.document.steps import (
    IMPORT_TEXT,
    ClassChange,
    Do,
    ImagePatch,
    ModelChange,
    PackedImagePatch,
    Prune,
    RecentHistory,
    Redo,
    Roles,
    Step,
    StepHeader,
    Undo,
)
from app.document.stroke import Box
from app.document.undo_stack import UndoStack
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError

Status = Literal["new", "started", "done"]


class Project(QObject):
    """The images, in order, and everything that was said of their pixels.

    Corrections need be in memory only while an image is shown or its changes are not stored.

    Attributes:
        undo_stack: the history of all images and classes.
        paint_only: edits change only pixels that show one of these labels (`IGNORE_INDEX`
            for no label); None for all.

    Signals:
        images_changed: images were added, or found at another place.
        corrections_changed(Path, Box): corrections in memory changed inside the box.
        classes_changed(ClassTable): the classes changed.
        status_changed(Path): an image is new, started or done now.
        models_changed(Roles): a step of the history lets other models serve.
        changed(HistoryChange): a step was made, undone, made again, or forgotten.
    """

    images_changed = Signal()
    corrections_changed = Signal(object, object)
    classes_changed = Signal(object)
    status_changed = Signal(object)
    models_changed = Signal(object)
    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.undo_stack = UndoStack(self)
        self.paint_only: frozenset[int] | None = None
        self.images: list[Path] = []
        self._classes = ClassTable()
        self._corrections: dict[Path, LabelMap] = {}
        self._statuses: dict[Path, Status] = {}
        self._revisions: dict[Path, int] = {}
        self._relabelings = 0

    @property
    def classes(self) -> ClassTable:
        """The classes as they are now."""
        return self._classes

    def set_classes(self, classes: ClassTable) -> None:
        """Take classes as they were loaded; this is no step of the history."""
        self._classes = classes
        self.classes_changed.emit(classes)

    def add_images(self, paths: Sequence[Path]) -> None:
        """Append images that are not there yet."""
        known = set(self.images)
        new = [path for path in dict.fromkeys(paths) if path not in known]
        if new:
            self.images += new
            self.images_changed.emit()

    def add_pages(self, pages: Mapping[Path, Sequence[Path]]) -> None:
        """Put the pages of files behind these files, unless they are there already."""
        known = set(self.images)
        self.images = [
            page
            for image in self.images
            for page in (image, *(p for p in pages.get(image, ()) if p not in known))
        ]
        self.images_changed.emit()

    def clear(self) -> None:
        """Forget all images and the history, for another project."""
        self.undo_stack.reset()
        self.images = []
        self.paint_only = None
        self._corrections, self._statuses, self._revisions = {}, {}, {}
        self.set_classes(ClassTable())
        self.images_changed.emit()

    def status(self, image: Path) -> Status:
        """Return whether an image is new, started (a person labeled some of it) or done."""
        return self._statuses.get(image, "new")

    def set_statuses(self, statuses: Mapping[Path, Status]) -> None:
        """Take what became of images."""
        for image, status in statuses.items():
            if self.status(image) != status:
                self._statuses[image] = status
                self.status_changed.emit(image)

    def corrections(self, image: Path) -> LabelMap | None:
        """Return an image's corrections if they are in memory."""
        return self._corrections.get(image)

    def set_corrections(self, image: Path, corrections: LabelMap) -> None:
        """Take an image's corrections, as they were loaded."""
        if self._corrections.get(image) is corrections:
            return
        self._corrections[image] = corrections
        corrections.changed.connect(partial(self.corrections_changed.emit, image))

    def drop_corrections(self, keep: set[Path]) -> None:
        """Let the corrections of all images but these leave memory; they must be stored."""
        self._corrections = {i: c for i, c in self._corrections.items() if i in keep}

    def revision(self, image: Path) -> tuple[int, int]:
        """Return a value that is another one after each change of an image's corrections."""
        return self._revisions.get(image, 0), self._relabelings

    def edit(
        self, image: Path, edit: Edit, shown: Callable[[Box], NDArray[np.uint8]] | None = None
    ) -> Box | None:
        """Change an image's corrections as one undoable step, where no filter forbids it.

        Args:
            image: one whose corrections are in memory.
            edit: what to set.
            shown: gives the labels that the image shows in a box, by which the filters
                judge; the corrections if None.

        Returns:
            where pixels changed, None if none did.
        """
        corrections = self._corrections[image]
        seen = shown or (lambda box: corrections.values[box.slices])
        allowed = EditFilter(self._classes.locked, self.paint_only)
        patches = tuple(
            patch
            for piece in pieces(edit)
            if (narrowed := allowed.narrow(piece, seen)) and (patch := corrections.patch(narrowed))
        )
        if not patches:
            return None
        found = tuple(ImagePatch(image, corrections.size, patch) for patch in patches)
        self._make(Step(self.undo_stack.next_number, edit.text, image, found))
        return functools.reduce(Box.united, (patch.box for patch in patches))

    def edit_classes(self, classes: ClassTable, text: str) -> None:
        """Change the classes, but no pixel, as one undoable step."""
        if classes != self._classes:
            change = ClassChange(self._classes, classes)
            self._make(Step(self.undo_stack.next_number, text, None, classes=change))

    def take_import(self, patches: Sequence[PackedImagePatch], classes: ClassTable) -> None:
        """Take labels that were read from files, on many images, as one undoable step.

        Args:
            patches: what changes; what stood there before must be up to date.
            classes: the classes, with those that are new.
        """
        change = ClassChange(self._classes, classes) if classes != self._classes else None
        if patches or change:
            shown = next((p.image for p in patches if p.image in self._corrections), None)
            image = shown or next((p.image for p in patches), None)
            number = self.undo_stack.next_number
            self._make(Step(number, IMPORT_TEXT, image, tuple(patches), change))

    def change_models(self, before: Roles, after: Roles, text: str) -> None:
        """Let other checkpoints of the timeline serve, as one undoable step."""
        if before != after:
            change = ModelChange(before, after)
            self._make(Step(self.undo_stack.next_number, text, None, models=change))

    def merge_class(self, source: int, target: int) -> None:
        """Give all pixels of one class to another, which stays alone; one undoable step.

        Raises:
            InputError: there is no such class.
        """
        self.classes.get(target)
        self._remove(source, target, "merge classes")

    def delete_class(self, label: int, target: int = IGNORE_INDEX) -> None:
        """Delete a class; its pixels get another one's label, or none; one undoable step.

        Raises:
            InputError: there is no such class.
        """
        self._remove(label, target, "delete class")

    def undo(self) -> None:
        """Take the last step back, if there is one.

        Raises:
            InputError: it cannot be loaded, or is being stored and reaches over all images.
        """
        header = self.undo_stack.to_undo()
        if header is not None:
            step = self._step(header)
            self._perform(step, forward=False)
            self.undo_stack.move(-1)
            self.changed.emit(Undo(step))

    def redo(self) -> None:
        """Make the last step taken back again, if there is one.

        Raises:
            InputError: see `undo`.
        """
        header = self.undo_stack.to_redo()
        if header is not None:
            step = self._step(header)
            self._perform(step, forward=True)
            self.undo_stack.move(1)
            self.changed.emit(Redo(step))

    def prune(self) -> bool:
        """Forget the oldest steps if the history is too large; return whether some were."""
        last = self.undo_stack.prune()
        if last is not None:
            self.changed.emit(Prune(last))
        return last is not None

    def go_back(self, history: RecentHistory, classes: ClassTable) -> None:
        """Take the history and the classes as they are stored, for what did not get there."""
        self.undo_stack.reset(history)
        self.set_classes(classes)
        self._relabelings += 1

    def _remove(self, label: int, target: int, text: str) -> None:
        after = self._classes.remove(label, target)
        change = ClassChange(self._classes, after, (label, target))
        step = Step(self.undo_stack.next_number, text, None, classes=change)
        for corrections in self._corrections.values():
            corrections.relabel(label, target)
        self._relabelings += 1
        self._make(step)

    def _make(self, step: Step) -> None:
        if not step.relabels:
            self._perform(step, forward=True)
        elif step.classes:
            self.set_classes(step.classes.after)
        self.undo_stack.push(step)
        self.changed.emit(Do(step))

    def _step(self, header: StepHeader) -> Step:
        step = self.undo_stack.step(header)
        if step.relabels and not self.undo_stack.is_stored(step.number):
            raise InputError(f"“{step.text}” is still being stored; undo it in a moment.")
        return step

    def _perform(self, step: Step, *, forward: bool) -> None:
        """Set in memory what a step sets, or what stood there before."""
        patches = self._relabeled_in_memory(step) if step.relabels else step.patches
        # All are unpacked before the first is set: one may be damaged.
        loaded = [
            (self._corrections[p.image], p.patch) for p in patches if p.image in self._corrections
        ]
        for found in patches:
            self._revisions[found.image] = self._revisions.get(found.image, 0) + 1
        for corrections, patch in loaded:
            (corrections.apply if forward else corrections.revert)(patch)
        self._relabelings += step.relabels
        if step.classes:
            self.set_classes(step.classes.after if forward else step.classes.before)
        if step.models:
            self.models_changed.emit(step.models.after if forward else step.models.before)

    def _relabeled_in_memory(self, step: Step) -> list[ImagePatch]:
        source = self.undo_stack.source
        assert source is not None
        return [
            ImagePatch(image, corrections.size, patch)
            for image, corrections in self._corrections.items()
            for patch in source.load_patches(step.number, image)
        ]
