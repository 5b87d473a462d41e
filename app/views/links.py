"""What panels and the status line ask the session for, and what it answers."""

from __future__ import annotations

from pathlib import Path

from app.document.document import ImageDocument
from app.inference.messages import Progress
from app.session import LabelingSession
from app.views.panels.class_list import ClassRow
from app.views.panels.classes_panel import ClassesPanel
from app.views.panels.image_list import ImageStatus
from app.views.panels.images_panel import ImagesPanel
from app.views.status_line import BusyBar
from mdlstm_core.config import LabelClass


def link_classes(panel: ClassesPanel, session: LabelingSession) -> None:
    """Show the session's classes."""

    def show(classes: tuple[LabelClass, ...]) -> None:
        panel.set_classes([ClassRow(n, c.name, c.color) for n, c in enumerate(classes)])

    session.classes_changed.connect(show)
    show(session.classes)


def link_images(panel: ImagesPanel, session: LabelingSession) -> None:
    """List the project's images with their status."""
    project = session.project
    stored: set[Path] = set()

    def list_images() -> None:
        stored.clear()
        if session.journal.file is not None:
            stored.update(session.journal.file.images())
        panel.set_images(project.images)

    def status(image: Path) -> ImageStatus:
        corrections = project.corrections(image)
        if corrections is None:
            return "started" if image in stored else "new"
        return "new" if corrections.is_empty else "started"

    panel.set_status_source(status)
    project.images_changed.connect(list_images)
    project.corrections_changed.connect(lambda image, _box: panel.refresh_status(image))
    panel.image_chosen.connect(session.open_image)
    list_images()


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
