"""A project's labels out to files and in again, off the window's thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from PySide6.QtCore import QObject, QRunnable, QThreadPool, Signal, Slot

from app.exchange.exporting import Whose, labels_source
from app.exchange.importing import ImportChanges, ImportPlan, changes_of, plan_import
from app.exchange.model_fill import ModelFill, with_model
from app.exchange.project_view import ProjectImage, ProjectView
from app.inference.loading import load_model
from app.session.stored_project import StoredProject
from app.session.teacher import Teacher
from app.storage.changes import Fingerprint
from app.storage.fingerprint import fingerprint_of
from mdlstm_core.data.pages import image_file
from mdlstm_core.errors import InputError
from mdlstm_core.formats.class_mapping import map_classes
from mdlstm_core.formats.exchange import LabelMap, LabelSource, ReadOptions, Record, WriteOptions
from mdlstm_core.formats.registry import load_format
from mdlstm_core.formats.target import writing

if TYPE_CHECKING:
    from mdlstm_core.checkpoint import Checkpoint

_log = logging.getLogger(__name__)
_MOST_TIMES = 20
"""How often images are read again that were painted on meanwhile."""


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Attributes:
        format: the format's name.
        folder: where to write.
        which: this image, those marked done, or all.
        whose: what a person set, or also the model's labels for the rest.
        renames: what classes are called in the export, by name; see `map_classes`.
        images: write the images as well.
        overwrite: replace files that are there.
        shown: the image shown.
    """

    format: str
    folder: Path
    which: Literal["this", "done", "all"] = "all"
    whose: Whose = "person"
    renames: Mapping[str, str] = field(default_factory=dict)
    images: bool = True
    overwrite: bool = False
    shown: Path | None = None


class _Import(NamedTuple):
    """An import under way: what it was asked for, and the project when it began."""

    plan: ImportPlan
    view: ProjectView
    revisions: dict[Path, tuple[int, int]]
    overwrite: bool
    times: int = 1


class _Found(NamedTuple):
    """What an import is to change, and what files its images are."""

    asked: _Import
    changes: ImportChanges
    files: dict[Path, Fingerprint]


class Exchanger(QObject):
    """Exports and imports in a thread of its own, one after the other.

    Signals:
        planned(ImportPlan): what was read, and what it would become.
        unreadable(str): what was to be imported cannot be read, and why.
        began(str): something is under way, in words.
        progressed(str, int, int): in words, how many images are done, and of how many.
        ended: nothing is under way any more.
        said(str): what was done.
        warned(str): what could not be done, and the mend.
    """

    planned = Signal(object)
    unreadable = Signal(str)
    began = Signal(str)
    progressed = Signal(str, int, int)
    ended = Signal()
    said = Signal(str)
    warned = Signal(str)
    _found = Signal(object)

    def __init__(self, stored: StoredProject, teacher: Teacher) -> None:
        super().__init__()
        self._stored, self._teacher = stored, teacher
        self._stop = threading.Event()
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._found.connect(self._on_found)

    def export(self, request: ExportRequest) -> None:
        """Write labels of the project, all or none."""
        view, images = self._view(), self._chosen(request)
        source = (self._teacher.source or self._teacher.base) if request.whose == "all" else None
        model = None if source is None else partial(load_model, source, self._stored.pixels)
        text = f"Exporting to {request.folder.name} …"

        def write() -> None:
            sound, broken = _sound(view, images)
            try:
                count = self._export(request, view, sound, model, text)
            except InputError as error:
                raise InputError(" ".join([str(error), *_left_out(broken)])) from error
            self.said.emit(f"{_images(count)} exported to {request.folder}.")
            self.ended.emit()
            self._tell_left_out(broken)

        self._run(text, write)

    def plan(self, format_name: str, path: Path, options: ReadOptions) -> None:
        """Look what is to be imported; `planned` tells."""
        view = self._view()

        def read() -> None:
            source = load_format(format_name).read(path, options)
            self.planned.emit(plan_import(source, view))
            self.ended.emit()

        self._run(f"Reading {path.name} …", read, self.unreadable.emit)

    def run_import(self, source: LabelSource, renames: Mapping[str, str], overwrite: bool) -> None:
        """Bring what was planned into the project, as one undoable step.

        Args:
            source: of the plan.
            renames: what classes become that do not keep their names.
            overwrite: replace labels of a person.
        """
        try:
            self._stored.check_writable()
            view = self._view()
            plan = plan_import(source, view, renames)
        except InputError as error:
            self.warned.emit(str(error))
            return
        self._read(_Import(plan, view, self._revisions(plan), overwrite))

    def close(self) -> None:
        """End what is under way; nothing of it is kept."""
        self._stop.set()
        self._pool.waitForDone()

    def _view(self) -> ProjectView:
        """Return the project as it is now."""
        project, path = self._stored.project, self._stored.path
        images = tuple(ProjectImage(path, project.status(path)) for path in project.images)
        classes = self._stored.classes_of_models
        files, labels = self._stored.files, self._stored.labels_of
        return ProjectView(path or Path(), classes, images, labels, files.known)

    def _chosen(self, request: ExportRequest) -> list[ProjectImage]:
        images = self._view().images
        if request.which == "this":
            return [image for image in images if image.path == request.shown]
        return [i for i in images if i.status == "done" or request.which == "all"]

    def _export(
        self,
        request: ExportRequest,
        view: ProjectView,
        images: list[ProjectImage],
        model: Callable[[], Checkpoint] | None,
        text: str,
    ) -> int:
        """Write the labels; in the pool's thread. Return how many images have them."""
        exchange_format, fill = load_format(request.format), None
        if model is not None:
            checkpoint = model()
            view = replace(view, classes=with_model(view.classes, checkpoint))
            labels = view.classes.labels_of([c.name for c in checkpoint.classes])
            fill = ModelFill(checkpoint, self._teacher.device, labels)
        source = labels_source(view, images, fill)
        mapping = map_classes(source.classes, None, request.renames)
        exchange_format.check(mapping.classes)
        records = mapping.apply(source).records
        done = _Counter(self, text, len(records))
        counted = LabelSource(mapping.classes, tuple(done.counted(record) for record in records))
        with writing(request.folder, overwrite=request.overwrite) as target:
            exchange_format.write(counted, target, WriteOptions(images=request.images))
        return len(records)

    def _revisions(self, plan: ImportPlan) -> dict[Path, tuple[int, int]]:
        return {image: self._stored.project.revision(image) for image in plan.places.values()}

    def _read(self, asked: _Import, only: set[Path] | None = None) -> None:
        """Work out in the pool's thread what an import changes."""
        text = "Importing labels …"
        done = _Counter(self, text, len(asked.plan.source.records))

        def read() -> None:
            changes = changes_of(
                asked.plan,
                asked.view,
                overwrite=asked.overwrite,
                only=only,
                on_record=done.step,
                stop=self._stop,
            )
            images = [found.image for found in changes.patches]
            files = {i: fingerprint_of(i) for i in images if image_file(i).is_file()}
            if not self._stop.is_set():
                self._found.emit(_Found(asked, changes, files))

        self._run(text, read)

    @Slot(object)
    def _on_found(self, found: _Found) -> None:
        """Take what was read into the project, unless it was painted on meanwhile."""
        asked, changes = found.asked, found.changes
        now = self._revisions(asked.plan)
        if asked.view.classes != self._stored.classes_of_models:
            self._fail("The classes changed meanwhile, nothing was imported; do it again.")
        elif now == asked.revisions:
            self._take(found)
        elif asked.times < _MOST_TIMES:
            self._read(asked._replace(revisions=now, times=asked.times + 1))
        else:
            self._fail("The images change all the time, nothing was imported; do it again.")
        self._tell_left_out(list(changes.broken.values()))

    def _tell_left_out(self, broken: Sequence[InputError]) -> None:
        for text in _left_out(broken):
            self.warned.emit(text)

    def _fail(self, text: str) -> None:
        self.ended.emit()
        self.warned.emit(text)

    def _take(self, found: _Found) -> None:
        plan, changes = found.asked.plan, found.changes
        project = self._stored.project
        try:
            self._stored.check_writable()
            if not project.classes.classes:  # no model has given it any yet
                self._stored.start_with_classes(plan.table.by_label(), ())
            self._stored.files.note(found.files)
            changed = {patch.image for patch in changes.patches}
            project.add_images([image for image in plan.new_images if image in changed])
            project.take_import(changes.patches, plan.table)
        except InputError as error:
            self._fail(str(error))
            return
        self.ended.emit()
        text = f"Labels of {_images(len(changes.patches))} imported; undo takes them back."
        if kept := len(changes.kept):
            text += f" {_images(kept)} {'keeps' if kept == 1 else 'keep'} labels of yours."
        if changes.same:
            text += f" {_images(changes.same)} had these labels already."
        self.said.emit(text)

    def _run(
        self, text: str, work: Callable[[], None], fail: Callable[[str], None] | None = None
    ) -> None:
        def tell(reason: str) -> None:
            self.ended.emit()
            (fail or self.warned.emit)(reason)

        self.began.emit(text)
        self._pool.start(_Work(work, tell))

    def check_stop(self) -> None:
        """End what is under way if the window closes.

        Raises:
            InputError: it does.
        """
        if self._stop.is_set():
            raise InputError("It was stopped; nothing was written.")


def _sound(
    view: ProjectView, images: Sequence[ProjectImage]
) -> tuple[list[ProjectImage], list[InputError]]:
    """Return the images that are those that were labeled, and what is wrong with the others."""
    sound, broken = [], []
    for image in images:
        try:
            view.check(image.path)
        except InputError as error:
            _log.warning("left out of an export", exc_info=True)
            broken.append(error)
        else:
            sound.append(image)
    return sound, broken


def _left_out(broken: Sequence[InputError]) -> list[str]:
    """Return what is said of images that are left out, nothing if there are none."""
    return [f"Left out: {_images(len(broken))}. {broken[0]}"] if broken else []


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


class _Counter:
    """Tells how many records are done."""

    def __init__(self, exchanger: Exchanger, text: str, whole: int) -> None:
        self._exchanger, self._text, self._whole, self._done = exchanger, text, whole, 0

    def step(self) -> None:
        """Note that one more is done."""
        self._done += 1
        self._exchanger.progressed.emit(self._text, self._done, self._whole)

    def counted(self, record: Record) -> Record:
        """Return a record that is counted when it is loaded."""

        def load() -> LabelMap:
            self._exchanger.check_stop()
            labels = record.load()
            self.step()
            return labels

        return record._replace(load=load)


class _Work(QRunnable):
    """Some work, and whom to tell in one sentence when it fails."""

    def __init__(self, work: Callable[[], None], fail: Callable[[str], None]) -> None:
        super().__init__()
        self._work, self._fail = work, fail

    def run(self) -> None:
        """Do the work; called in the pool's thread."""
        try:
            self._work()
        except InputError as error:
            self._fail(str(error))
        except MemoryError:
            _log.exception("out of memory")
            self._fail("There is not enough memory; close other programs and try again.")
        except Exception as error:
            _log.exception("exporting or importing")
            self._fail(f"Something unexpected happened ({type(error).__name__}); see the log.")
