"""Small pictures of what the models of the timeline say, for its rows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Slot

from app.document.document import ImageDocument, corrected_over
from app.inference.survey_worker import Look
from app.session import LabelingSession
from app.session.survey import Source
from mdlstm_core.config import IGNORE_INDEX, LabelClass

_SIDE = 144
"""Pixels of the longer side."""


class TimelinePictures(QObject):
    """Gives a checkpoint its picture, the first time that it labels the image shown.

    That is when it begins to serve. While Live is on, labels that follow the strokes are shown
    and not those of the checkpoint: then it is when the survey has looked with it. So it is
    for the one that the project started with, which served before there was a timeline.
    """

    def __init__(self, session: LabelingSession, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._teacher = session, session.teacher
        self._models: dict[int, Source] = {}
        teacher, survey = session.teacher, session.review.survey
        for changed in (teacher.model_changed, teacher.model_replaced, teacher.timeline.changed):
            changed.connect(self._note)
        session.prediction_changed.connect(self._on_prediction)
        survey.looked.connect(self._on_looked)

    @Slot()
    def _note(self) -> None:
        """Note which models those checkpoints are that have no picture yet, and may get one."""
        rows, source = self._teacher.timeline.rows, self._teacher.source
        pair = self._session.review.changes.models or ()
        lacking = {row.number for row in rows if not row.thumbnail}
        serving = self._teacher.serving if lacking else None
        found: dict[int, Source | None] = dict(self._models)
        if serving is not None:
            found[serving.number] = source
            # The second model of all: it took the place of the first one.
            if [row.number for row in rows] == [1, 2] and pair and pair[1] is source:
                found[1] = pair[0]
        held = [source, *pair] if source is not None else []
        self._models = {
            number: model
            for number, model in found.items()
            if model is not None and number in lacking and any(model is one for one in held)
        }
        self._look()

    @Slot()
    def _on_prediction(self) -> None:
        serving, document = self._teacher.serving, self._session.document
        if serving is not None and document is not None and not self._session.is_live:
            self._keep(serving.number, document, document.displayed)

    @Slot(object)
    def _on_looked(self, look: Look) -> None:
        document = self._session.document
        if document is not None and document.path == look.image_path:
            self._look()

    def _look(self) -> None:
        """Give those their pictures that have looked at the image shown."""
        document = self._session.document
        for number, model in list(self._models.items()):
            if document is None:
                return
            look = self._session.review.survey.look(model, document.path)
            if look is not None and look.shape == document.corrections.size:
                labels = self._session.stored.classes_of_models.labels_of(look.names)
                said = look.label_map(labels)
                self._keep(number, document, corrected_over(document.corrections.values, said))

    def _keep(self, number: int, document: ImageDocument, shown: NDArray[np.uint8]) -> None:
        row = self._teacher.timeline.row(number)
        if self._models.pop(number, None) is not None and row is not None and not row.thumbnail:
            classes = self._session.classes
            self._teacher.timeline.set_thumbnail(number, thumbnail(document.image, shown, classes))


def thumbnail(
    image_HW3: NDArray[np.uint8], labels_HW: NDArray[np.uint8], classes: tuple[LabelClass, ...]
) -> bytes:
    """Return a small picture (PNG) of an image with labels over it."""
    step = -(-max(labels_HW.shape) // _SIDE)
    rgb, labels = np.ascontiguousarray(image_HW3[::step, ::step]), labels_HW[::step, ::step]
    colors = np.full((256, 3), 128, dtype=np.uint8)
    for label, found in enumerate(classes):
        colors[label] = found.color
    mixed: NDArray[np.uint8] = cv2.addWeighted(rgb, 0.5, colors[labels], 0.5, 0)
    picture = np.where((labels == IGNORE_INDEX)[..., np.newaxis], rgb, mixed)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return encoded.tobytes()
