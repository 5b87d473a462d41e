"""What follows a training: what it changed, and where to look next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from app.document.document import ImageDocument
from app.document.edit import Edit
from app.inference.model_client import ModelClient
from app.session.change_review import ChangeReview
from app.session.stored_project import StoredProject
from app.session.survey import Source, Survey
from app.session.teacher import Teacher


class Review(QObject):
    """Compares each model with the one that it took the place of.

    Attributes:
        survey: what the models say of images that are not shown.
        changes: what the model that serves changed.

    Signals:
        said(str): something the user may want to know.
        warned(str): something went wrong, and what to do.
    """

    said = Signal(str)
    warned = Signal(str)

    def __init__(
        self,
        stored: StoredProject,
        client: ModelClient,
        teacher: Teacher,
        edit: Callable[[Path, Edit], object],
    ) -> None:
        super().__init__()
        self.survey = Survey(stored, client, teacher)
        self.changes = ChangeReview(stored, self.survey, edit)
        self._stored, self._teacher = stored, teacher
        self.changes.said.connect(self.said)
        self.changes.warned.connect(self.warned)
        teacher.model_changed.connect(self._on_model_changed)
        teacher.model_replaced.connect(self.changes.compare)

    def set_document(self, document: ImageDocument | None) -> None:
        """Turn to another image."""
        self.survey.set_document(document)
        self.changes.set_document(document)

    def compare(self, before: Source, after: Source) -> None:
        """Compare two models of the timeline."""
        self.changes.compare(before, after)

    def close(self) -> None:
        """End the threads."""
        self.survey.close()
        self.changes.close()

    @Slot(object)
    def _on_model_changed(self, model: object) -> None:
        """Begin anew with another project's model, or with models that look at another scale.

        One that is tried out leaves all as it was.
        """
        if model is None:
            self.changes.clear()
            self.survey.forget()
        elif self._teacher.settled_source is None:
            return
        elif self.changes.models is None:
            self.survey.set_models()
        elif self.survey.pixels != self._stored.pixels:
            self.changes.compare(*self.changes.models)
