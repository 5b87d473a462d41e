"""The session that the window works on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from app.document.class_table import ClassTable
from app.document.document import ImageDocument
from app.document.edit import Edit
from app.document.label_map import LabelMap
from app.document.undo_stack import MOST_BYTES
from app.inference.messages import ModelInfo
from app.inference.model_client import ModelClient
from app.session.exchanger import Exchanger
from app.session.history_walk import HistoryWalk
from app.session.insight import Insight
from app.session.labeler import Labeler
from app.session.moved_images import MovedImages
from app.session.opening import images_beside, project_of, projects_and_images
from app.session.page_counter import PageCounter
from app.session.review import Review
from app.session.stored_project import StoredProject
from app.session.teacher import Teacher
from app.storage.disk_worker import DiskWorker, LoadedImage
from mdlstm_core.config import DEFAULT_MODEL, IGNORE_INDEX, LabelClass
from mdlstm_core.data.display_window import DisplayWindow, Percentiles
from mdlstm_core.data.previews import Preview
from mdlstm_core.errors import InputError


class LabelingSession(QObject):
    """What the user works on, and the model that works along.

    Attributes:
        labeler: has the model say what is on the image shown.
        teacher: loads the project's model, lets it learn, and keeps its timeline.
        moved: looks for images that are not where they were.
        review: what another model changed, and what it says of images not shown.
        may_leave: ends what is being drawn, and says whether all of it is worked out.

    Signals:
        document_changed(ImageDocument | None): another image is shown.
        image_asked(Path): an image is being read, to be shown.
        preview_loaded(Path, Preview): the image that was asked for, small, until it is read.
        image_failed(Path, str): an image cannot be opened, and why.
        classes_changed(tuple[LabelClass, ...]): what can be painted; empty if unknown yet.
        model_changed(ModelInfo | None): another model serves, or none does.
        prediction_changed: the model said something new of the image shown.
        live_changed(bool): the model follows the strokes from now on, or no more.
        learning_changed(bool): learning began or ended.
        progressed(Progress): a step of learning is done.
        exported(Path): a label map is on disk.
        said(str): something the user may want to know.
        warned(str): something went wrong, and what to do.
    """

    document_changed = Signal(object)
    image_asked = Signal(object)
    preview_loaded = Signal(object, object)
    image_failed = Signal(object, str)
    classes_changed = Signal(object)
    model_changed = Signal(object)
    prediction_changed = Signal()
    live_changed = Signal(bool)
    learning_changed = Signal(bool)
    progressed = Signal(object)
    exported = Signal(object)
    said = Signal(str)
    warned = Signal(str)

    def __init__(
        self,
        base_model: str | Path = DEFAULT_MODEL,
        device: str = "auto",
        history_bytes: int = MOST_BYTES,
    ) -> None:
        super().__init__()
        self.stored = StoredProject(history_bytes)
        self.project, self.journal = self.stored.project, self.stored.journal
        self.document: ImageDocument | None = None
        self.may_leave: Callable[[], bool] = lambda: True
        self._wanted: Path | None = None
        self._held: Callable[[], None] | None = None
        self._left: ImageDocument | None = None
        self._asked: object = None
        self._is_started = False
        self._disk, self._pages = DiskWorker(), PageCounter()
        self._client = ModelClient()
        self.teacher = Teacher(self.stored, self._client, base_model, device)
        self.labeler = Labeler(self.stored, self._client)
        self.exchanger = Exchanger(self.stored, self.teacher)
        self.insight = Insight(self._client, self.teacher, self.labeler)
        self.review = Review(self.stored, self._client, self.teacher, self.edit)
        self.moved = MovedImages(self.stored)
        self._walk = HistoryWalk(self.project, self._shown_path, self.open_image, self._change)
        self._connect()

    def _connect(self) -> None:
        for part in (self.stored, self.teacher, self.review):
            part.said.connect(self.said)
            part.warned.connect(self.warned)
        self.project.classes_changed.connect(lambda c: self.classes_changed.emit(c.by_label()))
        self.project.changed.connect(self.insight.set_changed)
        self.document_changed.connect(self.insight.set_document)
        self._disk.preview_loaded.connect(self._on_preview_loaded)
        self._disk.loaded.connect(self._on_loaded)
        self._disk.load_failed.connect(self._on_load_failed)
        self.moved.searched.connect(self._on_searched)
        self._pages.found.connect(self.project.add_pages)
        self.stored.went_back.connect(self._on_went_back)
        self.image_asked.connect(self._walk.on_asked)
        self.document_changed.connect(self._walk.on_document)
        self._disk.exported.connect(self._on_exported)
        self._disk.export_failed.connect(self.warned)
        self.labeler.answered.connect(self.prediction_changed)
        self.labeler.live_changed.connect(self.live_changed)
        self._client.failed.connect(self.warned)
        self._client.noticed.connect(self.said)
        self._client.progressed.connect(self.progressed)
        self.teacher.model_changed.connect(self._on_model)
        self.teacher.learning_changed.connect(self.learning_changed)

    @property
    def project_path(self) -> Path | None:
        """Where the strokes are stored, None before an image was opened."""
        return self.stored.path

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The project's classes at the places of their labels; one that is gone has no name."""
        return self.project.classes.by_label()

    @property
    def model(self) -> ModelInfo | None:
        """The model that serves, None if none does."""
        return self.teacher.model

    @property
    def is_learning(self) -> bool:
        """Whether learning is under way."""
        return self._client.is_learning

    def start_model(self) -> None:
        """Load the model in its thread: the project's own, or the one to start from."""
        self._is_started = True
        self.teacher.start()

    def open_paths(self, paths: list[Path]) -> None:
        """Open images, folders of images, or a project file, and show the first image.

        Images of another folder open that folder's project: what was painted before is
        stored already.
        """
        try:
            projects, images = projects_and_images(paths)
            if projects or images:
                self._open_given(projects, images)
        except InputError as error:
            self.warned.emit(str(error))

    def open_image(self, image: Path | None) -> None:
        """Show an image of the project as soon as it is read."""
        if image is not None and not (self._shown_path() == self._wanted == image):
            self._load(image)

    def _shown_path(self) -> Path | None:
        return self.document.path if self.document else None

    def set_display_window(self, window: DisplayWindow | Percentiles) -> None:
        """See the image shown, one of more than 8 bits, through another window."""
        if self.document is not None and self._wanted == self.document.path:
            self._load(self.document.path, window)

    def edit(self, image: Path, edit: Edit) -> None:
        """Change the corrections of an image that is shown; `journal.stored` acknowledges it.

        What shows a locked class, or is outside "paint only on", stays as it is.
        """
        document = next((d for d in (self.document, self._left) if d and d.path == image), None)
        shown = document.shown if document else None
        self._change(lambda: self.project.edit(image, edit, shown))

    def edit_classes(self, classes: ClassTable, text: str) -> None:
        """Change the classes, but no pixel, as one undoable step, which `text` names."""
        self._change(lambda: self.project.edit_classes(classes, text))

    def merge_class(self, source: int, target: int) -> None:
        """Give all pixels of one class, in all images, to another one; undoable."""
        self._change(lambda: self.project.merge_class(source, target), takes_class=True)

    def delete_class(self, label: int, target: int = IGNORE_INDEX) -> None:
        """Delete a class; its pixels in all images get another label, or none; undoable."""
        self._change(lambda: self.project.delete_class(label, target), takes_class=True)

    def mark_done(self, done: bool) -> None:
        """Note that the user is done with the image shown, or is not."""
        if (document := self.document) is not None:
            size = document.height, document.width
            self._change(lambda: self.stored.mark_done(document.path, size, done=done))

    def accept_image(self, image: Path) -> None:
        """Show a file that was refused because it is not the one that was labeled."""
        self._change(lambda: self.stored.accept_file(image))
        self.open_image(image)

    def undo(self) -> None:
        """Take back the last step; if it was on another image, that image is shown first."""
        self._walk.undo()

    def redo(self) -> None:
        """Make the last step taken back again; its image is shown first."""
        self._walk.redo()

    @Slot()
    def go_on(self) -> None:
        """Show the image that waited until the one before could be left."""
        held, self._held = self._held, None
        if held is not None:
            held()

    def _change(self, change: Callable[[], object], *, takes_class: bool = False) -> None:
        """Do what changes the project, or say why it cannot be changed."""
        try:
            self.stored.check_writable()
            if takes_class and not self.may_leave():  # what is drawn may be of that class
                raise InputError("What you drew is still being worked out; try again after that.")
            change()
        except InputError as error:
            self.warned.emit(str(error))

    @property
    def is_live(self) -> bool:
        """Whether the model follows the strokes."""
        return self.labeler.is_live

    def set_live(self, on: bool) -> None:
        """Let the model follow each stroke, or show its own answer again."""
        self.labeler.set_live(on)

    def learn(self, seconds: float) -> None:
        """Learn from all corrections of the project, from the model it started with."""
        self._change(lambda: self.teacher.learn(seconds))

    def use_model(self, model: str | Path) -> None:
        """Let another model serve: a shipped one's name, or a file."""
        self._change(lambda: self.teacher.use(model))

    def export_label_map(self, path: Path) -> None:
        """Write what is shown of the image as an indexed PNG, off the window's thread."""
        if path in self.project.images:
            self.warned.emit(f"{path} is one of the images; export under another name.")
        elif self.document is not None and self.document.prediction is not None:
            self._disk.export_label_map(path, self.document.displayed, self.classes)

    def close(self) -> None:
        """End the threads and close the files; `journal.has_unsaved` tells beforehand."""
        self._is_started = False
        askers = self.exchanger, self._client, self.review, self.teacher.timeline
        for part in (*askers, self.moved, self._pages, self._disk):
            part.close()
        self.stored.close()

    def _request_of(self, image: Path) -> object:
        """Return what an image's labels depend on: if it changes, they are read again."""
        return self.project_path, self.project.revision(image)

    def _open_given(self, projects: list[Path], images: list[Path]) -> None:
        """Open a project and show its first image.

        Raises:
            InputError: it cannot be opened.
        """
        path = project_of(projects, images)
        if self.project_path != path and not projects and self.moved.search(images):
            return  # they may be images that the present project misses
        self._open_project(path)
        given = images or images_beside(path, self.project.images)
        self.project.add_images(given)
        self._pages.count(given)
        self.open_image(next(iter(images or self.project.images), None))
        self.moved.search(given)

    @Slot(object, object)
    def _on_searched(self, found: dict[Path, Path], images: list[Path]) -> None:
        if self._shown_path() in found.values():
            self._leave(None)  # it is shown again with the labels that are its own
        try:
            moved = self.stored.move_images(found) if found else []
            if not moved:
                if not set(images) <= set(self.project.images):  # they are another project's
                    self.stored.files.missing.clear()
                    self._open_given([], images)
                return
        except InputError as error:
            self.warned.emit(str(error))
            return
        self.project.add_images(moved)
        self.said.emit(f"{len(moved)} images that were missing are found again.")
        self._load(moved[0])

    @Slot()
    def _on_went_back(self) -> None:
        """Read the image shown again: in memory it has what could not be stored."""
        self._leave(None)  # ends a gesture under way: its stroke still counts
        self.project.drop_corrections(set())
        if self._wanted is not None:
            self._load(self._wanted)

    def _load(self, image: Path, window: DisplayWindow | Percentiles | None = None) -> None:
        """Have an image and its labels read, to show it."""
        self._wanted, self._asked = image, self._request_of(image)
        labels = partial(self.stored.labels_of, image)
        seen = window or self.stored.windows.get(image)
        self.image_asked.emit(image)
        self._disk.load(image, labels, self._asked, seen, is_shown=window is not None)

    def _open_project(self, path: Path) -> None:
        """Make `path` the project file, unless it is already.

        Raises:
            InputError: it cannot be opened, or strokes of the present one are not stored.
        """
        if self.project_path == path:
            return
        before = self.document
        self._leave(None)  # ends a gesture under way: its stroke still counts
        try:
            self.stored.open(path)
        except InputError:
            self._leave(before)
            raise
        self._wanted = None
        self._pages.stop()
        self.teacher.forget()
        if self._is_started:
            self.start_model()

    def _leave(self, document: ImageDocument | None) -> None:
        """Show another document; a gesture on the one before ends while that is told."""
        self._left, self.document = self.document, document
        self.document_changed.emit(document)
        self._left = None
        self.labeler.set_document(document)
        self.review.set_document(document)

    @Slot(object, object)
    def _on_preview_loaded(self, path: Path, preview: Preview) -> None:
        if path == self._wanted and self.may_leave():
            self.preview_loaded.emit(path, preview)
        elif path == self._wanted:
            self._held = partial(self._on_preview_loaded, path, preview)

    @Slot(object)
    def _on_loaded(self, loaded: LoadedImage) -> None:
        path = loaded.path
        if path != self._wanted or loaded.request is not self._asked:
            return  # another was asked for, or the same once more: what it was may be past
        if not self.may_leave():
            self._held = partial(self._on_loaded, loaded)
            return
        corrections = self.project.corrections(path)
        if corrections is None and loaded.request != self._request_of(path):
            self._load(path)  # its labels changed meanwhile
            return
        try:
            self.stored.check_file(loaded)
        except InputError as error:
            self._on_load_failed(path, loaded.request, str(error))
            return
        if corrections is None:
            blank = loaded.blank
            corrections = LabelMap(blank if loaded.labels is None else loaded.labels)
            self.project.set_corrections(path, corrections)
        self.stored.shown = path
        self._leave(ImageDocument(path, loaded.picture.rgb, corrections, loaded.picture))
        self.stored.release()
        self._walk.go_on()

    @Slot(object, object, str)
    def _on_load_failed(self, path: Path, request: object, reason: str) -> None:
        if request is self._asked:
            self._wanted = self._shown_path()
            self.image_failed.emit(path, reason)
            self.warned.emit(self._walk.told(path, reason))

    @Slot(object)
    def _on_model(self, model: ModelInfo | None) -> None:
        self.model_changed.emit(model)
        self.labeler.set_model(model)

    @Slot(object)
    def _on_exported(self, path: Path) -> None:
        self.exported.emit(path)
        self.said.emit(f"Exported {path}.")
