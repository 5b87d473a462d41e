"""What panels and the status line ask the session for, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from PySide6.QtGui import QAction

from app.document.document import ImageDocument
from app.inference.messages import Progress
from app.session import LabelingSession
from app.views.actions import LOOK_SIZES
from app.views.canvas.canvas_view import CanvasView
from app.views.class_edits import ClassEdits
from app.views.panels.classes_panel import ClassesPanel
from app.views.panels.images_panel import ImagesPanel
from app.views.panels.learning_panel import LearningPanel
from app.views.status_line import BusyBar, StatusLine
from mdlstm_core.errors import InputError

LOOKS: Mapping[str, int | None] = {
    "look-trained": None,
    **{f"look-{width * height}": width * height for width, height in LOOK_SIZES},
}
"""How many pixels of an image each action lets models look at, None for as trained."""


def link_classes(panel: ClassesPanel, canvas: CanvasView, session: LabelingSession) -> None:
    """Show the session's classes, edit them, and hide on the canvas what is hidden."""
    ClassEdits(panel, session)
    project = session.project

    def show_hidden() -> None:
        classes, solo = project.classes.classes, panel.model.solo
        others = (c.label for c in classes if c.label != solo)
        hidden = (c.label for c in classes if c.hidden)
        canvas.set_hidden(frozenset(hidden if solo is None else others))

    project.classes_changed.connect(show_hidden)
    panel.solo_changed.connect(show_hidden)
    canvas.label_picked.connect(panel.choose_label)
    show_hidden()


def link_images(panel: ImagesPanel, session: LabelingSession) -> None:
    """List the project's images with their status."""
    project = session.project
    panel.set_status_source(project.status)
    project.status_changed.connect(panel.refresh_status)
    panel.done_asked.connect(session.mark_done)
    project.images_changed.connect(lambda: panel.set_images(project.images))
    panel.image_chosen.connect(session.open_image)
    panel.set_images(project.images)


def link_canvas(canvas: CanvasView, busy: BusyBar, session: LabelingSession) -> None:
    """Store what is painted, show previews, and say what is being worked out."""

    def on_work(text: str) -> None:
        if text:
            busy.begin("work", text)
        else:
            busy.end("work")

    canvas.edit_finished.connect(session.edit)
    session.may_leave = canvas.may_leave
    canvas.settled.connect(session.go_on)
    canvas.window_chosen.connect(session.set_display_window)
    canvas.work_changed.connect(on_work)
    canvas.work_failed.connect(session.warned)
    session.preview_loaded.connect(lambda path, preview: canvas.set_preview(path, *preview))


def link_live(
    action: QAction, panel: LearningPanel, status: StatusLine, session: LabelingSession
) -> None:
    """Let the switch say, wherever it stands, whether the model follows the strokes."""

    def say() -> None:
        others = session.labeler.left_out
        images = "image" if others == 1 else "images"
        left_out = f"Strokes on {others} more {images} do not count in it." if others else ""
        panel.set_live(session.is_live, left_out)
        status.set_live(session.is_live, left_out)

    def show(on: bool) -> None:
        action.setChecked(on)
        say()
        if session.document is not None and session.model is not None:
            status.busy.begin("predict", "Labeling …")

    def show_reading(read: int, images: int) -> None:
        text = f"Reading your strokes on other images: {read} of {images} …"
        if not status.busy.is_under_way("predict"):
            status.busy.begin("predict", text)
        status.busy.progress("predict", text, read, images)

    panel.set_live_action(action)
    session.live_changed.connect(show)
    session.labeler.left_out_changed.connect(say)
    session.labeler.strokes_read.connect(show_reading)


def look_slots(session: LabelingSession) -> dict[str, Callable[[], None]]:
    """Return what the actions call that say how closely the model looks."""

    def look_at(pixels: int | None) -> None:
        try:
            session.teacher.look_at(pixels)
        except InputError as error:
            session.stored.pixels_changed.emit(session.stored.pixels)  # as it was
            session.warned.emit(str(error))

    return {name: partial(look_at, pixels) for name, pixels in LOOKS.items()}


def link_look(actions: Mapping[str, QAction], busy: BusyBar, session: LabelingSession) -> None:
    """Show how closely the model looks, and that it labels the image anew."""

    def show(chosen: int | None) -> None:
        for name, pixels in LOOKS.items():
            actions[name].setChecked(pixels == chosen)
        if session.document is not None and session.model is not None:
            busy.begin("predict", "Labeling …")

    session.stored.pixels_changed.connect(show)
    show(session.stored.pixels)


def link_activity(busy: BusyBar, session: LabelingSession) -> None:
    """Show what the session is busy with, when it takes long."""

    def on_document(document: ImageDocument | None) -> None:
        busy.end("image")
        if document is not None and session.model is not None:
            busy.begin("predict", "Labeling …")
        else:
            busy.end("predict")

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

    looking = "Looking for moved images …"
    session.moved.began.connect(lambda: busy.begin("search", looking))
    session.moved.progressed.connect(lambda n, whole: busy.progress("search", looking, n, whole))
    session.moved.ended.connect(lambda: busy.end("search"))
    session.image_asked.connect(lambda image: busy.begin("image", f"Opening {image.name} …"))
    session.document_changed.connect(on_document)
    session.image_failed.connect(lambda _image, _reason: busy.end("image"))
    session.model_changed.connect(lambda _info: busy.end("model"))
    session.prediction_changed.connect(lambda: busy.end("predict"))
    session.exported.connect(lambda _path: busy.end("export"))
    session.learning_changed.connect(on_learning)
    session.progressed.connect(on_progress)
    session.warned.connect(on_warned)
