"""A project and the journal that keeps it on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QThreadPool, QTimer, Signal, Slot

from app.document.class_table import ClassTable
from app.document.project import Project
from app.document.project_classes import ProjectClasses
from app.document.steps import Do, HistoryChange, Redo, Undo
from app.document.undo_stack import MOST_BYTES
from app.session.image_files import ImageFiles
from app.storage.changes import (
    Change,
    MarkDone,
    MoveImage,
    Receipt,
    SaveAccepted,
    SaveClasses,
    SavePixels,
    SaveWindow,
)
from app.storage.disk_worker import LoadedImage
from app.storage.journal import Journal
from app.storage.project_places import image_folders
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.display_window import DisplayWindow
from mdlstm_core.data.pages import image_file
from mdlstm_core.errors import InputError
from mdlstm_core.freed_memory import give_back

_IDLE_MS = 2000
"""After the last stroke, when memory is given back that was freed meanwhile."""


class StoredProject(QObject):
    """Records every change of a project, and loads what is not in memory.

    Attributes:
        project: the images, classes and history.
        journal: writes what changes.
        shown: the image whose corrections stay in memory.
        files: which files the images are.
        windows: what images of more than 8 bits are seen through, where the user chose.
        accepted: what was accepted of what a training changed, by image, as it is stored.
        pixels: how many of an image models look at, None for as trained.
        painted: the images on which a person set labels, in order; some may be bare again.

    Signals:
        said(str): something the user may want to know.
        warned(str): something went wrong, and what to do.
        pixels_changed(int | None): models are to look at another number of pixels.
        went_back: the history and the classes are those on disk again, because a change
            cannot be stored; label maps in memory may have it still.
    """

    said = Signal(str)
    warned = Signal(str)
    pixels_changed = Signal(object)
    went_back = Signal()

    def __init__(self, history_bytes: int = MOST_BYTES) -> None:
        super().__init__()
        self.project = Project()
        self.project.undo_stack.most_bytes = history_bytes
        self.journal = Journal()
        self.shown: Path | None = None
        self.files = ImageFiles(self.journal)
        self.windows: dict[Path, DisplayWindow] = {}
        self.accepted: dict[Path, str] = {}
        self.pixels: int | None = None
        self.painted: dict[Path, None] = {}
        self._model_classes: tuple[str, ...] = ()
        self._is_new = False
        self._is_ahead = False
        self._has_own_classes = False
        self._said_pruned = False
        self._idle = QTimer(self, singleShot=True, interval=_IDLE_MS)
        self._idle.timeout.connect(lambda: QThreadPool.globalInstance().start(give_back))
        self.project.changed.connect(self._on_changed)
        self.journal.receipt.connect(self._on_receipt)
        self.journal.failed.connect(self._on_failed)
        self.journal.recovered.connect(self._on_recovered)
        self.journal.refused.connect(self._on_refused)

    @property
    def path(self) -> Path | None:
        """Where the project is stored, None before one is opened."""
        return self.journal.file.path if self.journal.file else None

    def folders(self) -> list[Path]:
        """Return the folders whose images belong to the project, where that is known."""
        return image_folders(self.path, self.project.images) if self.path else []

    @property
    def classes_of_models(self) -> ProjectClasses:
        """The project's classes, and how its models call them."""
        return ProjectClasses(self.project.classes, self._model_classes)

    def open(self, path: Path) -> None:
        """Close the present project and open another one.

        Raises:
            InputError: it cannot be opened, or changes of the present one are not stored.
        """
        if not self.journal.store():
            raise InputError(
                "Another project cannot be opened while strokes of this one are not stored; "
                "make room on its disk."
            )
        is_ours = self.journal.open(path)
        self.shown = None
        self.project.clear()
        self._is_new, self._said_pruned = not path.exists(), False
        self._has_own_classes = self._is_ahead = False
        self._load()
        if not is_ours:
            self.warned.emit(
                f"{path} is open in another window or cannot be written: "
                "this one shows it, but does not change it."
            )

    def save(self) -> None:
        """Say where the work is stored; strokes that could not be stored are tried again."""
        if self.journal.is_failing and not self.journal.store():
            self.warned.emit("The strokes still cannot be stored; make room on the disk.")
        elif self.path is None or not self.path.exists():
            self.said.emit("There is nothing to save yet.")
        else:
            self.said.emit(f"Everything is saved in {self.path}.")

    def close(self) -> None:
        """Store what can be stored, and close the project."""
        self._idle.stop()
        self.journal.close()

    def check_writable(self) -> None:
        """Refuse a change of a project that is only looked at.

        Raises:
            InputError: it is.
        """
        if self.journal.is_read_only:
            raise InputError(
                f"{self.path} is open in another window or cannot be written: "
                "nothing can be changed here."
            )

    def use_model_classes(self, classes: Sequence[LabelClass]) -> None:
        """Take the classes of the model that serves, unless the project has its own.

        Raises:
            InputError: the project was labeled with another model's classes, none of which
                this one has.
        """
        stored = self.journal.file.classes() if self.journal.file else None
        names = tuple(c.name for c in classes)
        is_empty = stored is None and not self.project.undo_stack.count()
        is_blank = stored is None and self.project.classes == ClassTable()
        if (is_empty or is_blank) and not self._has_own_classes:
            table = ClassTable.of(classes)
            self._model_classes = names
            self.journal.first_classes = SaveClasses(table, names)
            if table != self.project.classes:
                self.project.set_classes(table)
            return
        own = tuple(c.name for c in self.project.classes.classes)
        labels = self.classes_of_models.labels_of(names)
        is_foreign = not set(names) & set(self._model_classes)
        if any(self._model_classes) and is_foreign and set(labels) == {IGNORE_INDEX}:
            raise InputError(
                f"This project was labeled with the classes {', '.join(own)}, the model has "
                f"{', '.join(names)}; start the program with --model and the project's model."
            )

    @property
    def can_choose_classes(self) -> bool:
        """Whether the project can still begin with other classes: nothing was done yet."""
        file = self.journal.file
        if file is None or self._has_own_classes or self.project.undo_stack.count():
            return False
        return not self.journal.is_read_only and file.classes() is None

    def start_with_classes(
        self, classes: Sequence[LabelClass | None], model: Sequence[LabelClass]
    ) -> bool:
        """Take a list of the user's in place of the model's classes; its places are labels.

        Args:
            classes: the list; None where a place has no class.
            model: what the model that serves has; it goes on with those of the same name.

        Returns:
            whether the project did; one in which something was done keeps its classes.
        """
        self.check_writable()
        if not self.can_choose_classes:
            return False
        table, names = ClassTable().take_list(classes), {c.name for c in model}
        self._has_own_classes = True
        self._model_classes = tuple(c.name if c and c.name in names else "" for c in classes)
        self.journal.first_classes = None
        self.journal.record(SaveClasses(table, self._model_classes))
        self.project.set_classes(table)
        return True

    def know_names(self, names: Mapping[int, str]) -> tuple[str, ...]:
        """Note what a model calls labels that none knew before; return all names by label."""
        self._model_classes = self.classes_of_models.known_with(names)
        return self._model_classes

    def check_file(self, loaded: LoadedImage) -> None:
        """Refuse a picture in the place of the one that was labeled; see `ImageFiles.check`.

        Raises:
            InputError: the file is another one, or of another size.
        """
        self.files.check(loaded)
        self._keep_window(loaded)

    def _keep_window(self, loaded: LoadedImage) -> None:
        """Store what an image is seen through, if that was chosen and is another one."""
        window = loaded.picture.window if loaded.is_windowed else None
        if window is not None and window != self.windows.get(loaded.path):
            self.windows[loaded.path] = window
            if not self.journal.is_read_only:
                self.journal.record(SaveWindow(loaded.path, window))

    def keep_accepted(self, image: Path, changes: str) -> None:
        """Store what was accepted of what a training changed on an image (see `PackedChange`)."""
        self.accepted[image] = changes
        if not self.journal.is_read_only:
            self.journal.record(SaveAccepted(image, changes))

    def look_at(self, pixels: int | None) -> None:
        """Note at how many pixels of an image models are to look, None for as trained."""
        self.pixels = pixels
        if self.journal.file is not None and not self.journal.is_read_only:
            self.journal.record(SavePixels(pixels))
        self.pixels_changed.emit(pixels)

    def accept_file(self, image: Path) -> None:
        """Take a file that `check_file` refused for the picture that was labeled."""
        self.check_writable()
        self.files.accept(image)

    def mark_done(self, image: Path, size: tuple[int, int], *, done: bool) -> None:
        """Note that the user is done with an image of this height and width, or is not."""
        self.check_writable()
        self.journal.record(MarkDone(image, *size, done))
        self.files.save(image)

    def move_images(self, moved: Mapping[Path, Path]) -> list[Path]:
        """Take images for missing ones, old paths to new; return the new ones.

        Raises:
            InputError: the project cannot be written.
        """
        self.check_writable()
        free = {o: n for o, n in moved.items() if self.project.revision(n)[0] == 0}
        missing, unknown = self.files.missing, self.files.unknown_of(moved.values())
        free = {o: n for o, n in free.items() if n in unknown and o in missing}
        for old, new in free.items():
            self.journal.record(MoveImage(old, new))
        # The history names images by their paths: it is read again.
        if not self.journal.store() or self.journal.file is None:
            raise InputError("Images cannot be found again while changes are not stored.")
        self.project.undo_stack.reset(self.journal.file.recent_history())
        self.project.drop_corrections({self.shown} - set(free.values()) if self.shown else set())
        there = {image.path for image in self.journal.file.images()}
        free = {o: n for o, n in free.items() if o not in there}
        for old, new in free.items():
            self.files.move(old, new)
            of_images: tuple[dict[Path, Any], ...] = self.windows, self.accepted, self.painted
            for kept in of_images:
                if old in kept:
                    kept[new] = kept.pop(old)
            self.project.set_statuses({new: self.project.status(old), old: "new"})
        return list(free.values())

    def labels_of(self, image: Path) -> NDArray[np.uint8] | None:
        """Return an image's label map with all changes; for other threads."""
        return self.journal.load_labels(image)

    def labels_call(self, image: Path) -> Callable[[], NDArray[np.uint8]]:
        """Return a call that gives `labels_of` in any thread; one empty pixel if none are there."""
        return partial(self.journal.some_labels, image)

    def labeled_images(self) -> list[Path]:
        """Return the images that may have labels of a person; painted ones also if not there."""
        stored = [found.path for found in self.journal.file.images()] if self.journal.file else []
        found = dict.fromkeys([*self.project.images, *stored])
        return [
            image
            for image in found
            if (image not in self.files.missing or image in self.painted)
            and (self.project.corrections(image) or self.project.status(image) != "new")
        ]

    def release(self) -> None:
        """Let corrections leave memory that are stored and not shown."""
        if not self.journal.has_unsaved:
            self.project.drop_corrections({self.shown} if self.shown else set())

    def _load(self) -> None:
        """Take from the file what the document keeps in memory."""
        file = self.journal.file
        assert file is not None
        images = file.images()
        self.files.load(images)
        self.windows, self.accepted = file.windows(), file.accepted()
        self.pixels = file.pixels()
        self.pixels_changed.emit(self.pixels)
        self.painted = dict.fromkeys(i.path for i in images if i.is_painted)
        self.project.set_classes(file.classes() or ClassTable())
        self._model_classes = file.model_classes()
        self.project.undo_stack.source = file
        self.project.undo_stack.reset(file.recent_history())
        self.project.add_images([i.path for i in images if image_file(i.path).is_file()])
        self.project.set_statuses({i.path: i.status for i in images})
        if missing := self.files.missing:
            first = next(iter(missing))
            self.warned.emit(
                f"{len(missing)} labeled images are missing, {first} for one; "
                "open the folder where they are now."
            )

    @Slot(object)
    def _on_changed(self, change: HistoryChange) -> None:
        self.journal.record(change)
        if isinstance(change, Do | Undo | Redo):
            self.painted |= dict.fromkeys(found.image for found in change.step.patches)
        if isinstance(change, Do):
            for found in change.step.patches:
                self.files.save(found.image)

    @Slot(object)
    def _on_receipt(self, receipt: Receipt) -> None:
        for number, size in receipt.sizes.items():
            self.project.undo_stack.mark_stored(number, size)
        self.project.set_statuses(receipt.statuses)
        self.release()
        self._idle.start()
        if self._is_new:
            self._is_new, what = False, "strokes" if receipt.sizes else "settings"
            self.said.emit(f"Your {what} are stored in {self.path}.")
        self._go_back()
        self._prune()

    @Slot(object, str)
    def _on_refused(self, change: Change, reason: str) -> None:
        """Let go of a change that can never be stored, so that what follows is."""
        if isinstance(change, Do | Undo | Redo):
            self._is_ahead = True
            what = f"“{change.step.text}” cannot be stored and is taken back"
        else:
            what = "A change cannot be stored and is left out"
        self.warned.emit(f"{what}: {reason}")
        self._go_back()

    def _go_back(self) -> None:
        """Take what is on disk for true, once all that can be stored is."""
        file = self.journal.file
        if self._is_ahead and file is not None and not self.journal.has_unsaved:
            self._is_ahead = False
            try:
                self.project.go_back(file.recent_history(), file.classes() or ClassTable())
            except InputError as error:
                self.warned.emit(str(error))
                return
            self.went_back.emit()

    def limit_history(self, most_bytes: int) -> None:
        """Hold the history to so many bytes from now on; the oldest steps go first."""
        self.project.undo_stack.most_bytes, self._said_pruned = most_bytes, False
        if not self.journal.is_read_only:
            self._prune()

    def _prune(self) -> None:
        if self.project.prune() and not self._said_pruned:
            self._said_pruned = True
            most = self.project.undo_stack.most_bytes >> 20
            self.said.emit(
                f"The oldest steps cannot be undone any more: the history is held to {most} MB."
            )

    @Slot(str)
    def _on_failed(self, reason: str) -> None:
        self.warned.emit(f"Strokes are kept in memory only: {reason}")

    @Slot()
    def _on_recovered(self) -> None:
        self.said.emit("All strokes are stored again.")
