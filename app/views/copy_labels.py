"""Copying what a person set on the image before, for sequences that change little."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt

from app.document.edit import Edit
from app.document.regions.taken_over import copied
from app.session import LabelingSession
from app.views.canvas.canvas_view import CanvasView
from app.views.tools.tool import Pending
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError

_Load = Callable[[], NDArray[np.uint8] | None]


def copy_from_previous(session: LabelingSession, canvas: CanvasView) -> None:
    """Copy the labels of the image before to where nothing is set; undoable, off the thread."""
    document = session.document
    if document is None:
        return
    if not canvas.may_leave():  # what is drawn already is not to be covered
        canvas.settled.connect(
            partial(_copy_if_shown, session, canvas, document.path),
            Qt.ConnectionType.SingleShotConnection,
        )
        return
    place = session.project.images.index(document.path)
    if place == 0:
        session.said.emit("This is the first image: there is none before it to copy from.")
        return
    previous = session.project.images[place - 1]
    in_memory = session.project.corrections(previous)
    load: _Load = in_memory.frozen() if in_memory else partial(session.stored.labels_of, previous)
    compute = partial(_edit, previous, load, document.corrections.snapshot())
    canvas.work_out(Pending(compute, "Copying labels"))


def _copy_if_shown(session: LabelingSession, canvas: CanvasView, image: Path) -> None:
    """Copy now that all that was drawn is worked out, unless another image is shown by now."""
    if session.document is not None and session.document.path == image:
        copy_from_previous(session, canvas)


def _edit(previous: Path, load: _Load, corrections_HW: NDArray[np.uint8]) -> Edit:
    """Return the edit that copies.

    Raises:
        InputError: there is nothing to copy, or the images differ in size.
    """
    labels = load()
    if labels is None or (labels == IGNORE_INDEX).all():
        raise InputError(f"{previous.name}, the image before, has no labels of yours to copy.")
    edit = copied(labels, corrections_HW)
    if edit is None:
        raise InputError(f"All that is labeled on {previous.name} is labeled here already.")
    return edit
