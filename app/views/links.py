"""What panels and the status line ask the session for, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from app.document.document import ImageDocument
from app.document.project import Project
from app.inference.messages import Progress
from app.session import LabelingSession
from app.views.class_edits import ClassEdits, ClassKeeper
from app.views.panels.class_list import ClassRow
from app.views.panels.classes_panel import ClassesPanel
from app.views.panels.image_list import ImageStatus
from app.views.panels.images_panel import ImagesPanel
from app.views.status_line import BusyBar
from mdlstm_core.config import LabelClass


@runtime_checkable
class StatusKeeper(Protocol):
    """A project that knows what became of its images."""

    @property
    def status_changed(self) -> Any:
        """The signal that an image has another status."""

    def status(self, image: Path) -> ImageStatus:
        """Return the status of an image."""


@runtime_checkable
class DoneKeeper(Protocol):
    """A session that notes when the user is done with the image shown."""

    def mark_done(self, done: bool) -> None:
        """Note that the image shown is done, or is not."""


def link_classes(panel: ClassesPanel, session: LabelingSession) -> None:
    """Show the session's classes, and edit them if it can."""
    if isinstance(session, ClassKeeper):
        ClassEdits(panel, session)
        return

    def show(classes: tuple[LabelClass, ...]) -> None:
        panel.set_classes([ClassRow(n, c.name, c.color) for n, c in enumerate(classes)])

    session.classes_changed.connect(show)
    show(session.classes)


def link_images(panel: ImagesPanel, session: LabelingSession) -> None:
    """List the project's images with their status."""
    project = session.project
    if isinstance(project, StatusKeeper):
        panel.set_status_source(project.status)
        project.status_changed.connect(panel.refresh_status)
    else:
        panel.set_status_source(_status_from_corrections(project))
        project.corrections_changed.connect(lambda image, _box: panel.refresh_status(image))
    if isinstance(session, DoneKeeper):
        panel.done_asked.connect(session.mark_done)
    project.images_changed.connect(lambda: panel.set_images(project.images))
    panel.image_chosen.connect(session.open_image)
    panel.set_images(project.images)


def _status_from_corrections(project: Project) -> Callable[[Path], ImageStatus]:
    """Return a function that knows only what is in memory."""

    def status(image: Path) -> ImageStatus:
        corrections = project.corrections(image)
        return "new" if corrections is None or corrections.is_empty else "started"

    return status


def link_activity(busy: BusyBar, session: LabelingSession) -> None:
    """Show what the session is busy with, when it takes long."""

    def on_document(document: ImageDocument | None) -> None:
        busy.end("image")
        if document is not None and session.model is not None:
            busy.begin("predict", "Labeling …")

    def on_learning(learning: bool) -> None:
        if learning:
            busy.begin("learn", "Learning …")
        else:
            busy.end("learn")

    def on_progress(progress: Progress) -> None:
        busy.progress("learn", "Learning …", progress.step, progress.steps)

    def on_warned() -> None:
        for job in ("model", "predict", "export", "image"):
            busy.end(job)

    session.document_changed.connect(on_document)
    session.image_failed.connect(lambda _image, _reason: busy.end("image"))
    session.model_changed.connect(lambda _info: busy.end("model"))
    session.prediction_changed.connect(lambda: busy.end("predict"))
    session.exported.connect(lambda _path: busy.end("export"))
    session.learning_changed.connect(on_learning)
    session.progressed.connect(on_progress)
    session.warned.connect(on_warned)
