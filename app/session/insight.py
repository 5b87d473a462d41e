"""Questions about the model that serves, on the image shown."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal, Slot

from app.document.document import ImageDocument
from app.document.steps import HistoryChange, Prune
from app.inference.insight_messages import (
    Asked,
    ForgetRequest,
    GradientRequest,
    HealthRequest,
    HidingRequest,
    InsightAnswer,
    MapRequest,
    PairRequest,
    Refusal,
    SavedAnswer,
    SaveRequest,
    SheetRequest,
    WhyRequest,
)
from app.inference.messages import Learned, ModelInfo
from app.inference.model_client import ModelClient
from app.session.labeler import Labeler
from app.session.teacher import Teacher
from mdlstm_core.config import LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.insight.queries import ContextQuery, GateQuery, Pixel

if TYPE_CHECKING:
    from mdlstm_core.insight.context import ContextMap

Before = Literal["learning", "base"]
"""Which model to compare with: that before the last learning, or that the project began with."""


class _Learning(NamedTuple):
    """Where the model before a learning is from, and what came of it."""

    before: str | Path | bytes
    after: bytes


class Insight(QObject):
    """Asks the model's thread, and hands on only the answers that are still wanted.

    Signals:
        answered(InsightAnswer): to a question about the image shown, in the order asked.
        strokes_changed: what a person painted on the image shown changed.
        saved(str): files were written, and where.
        save_failed(str): files could not be written, and why.
    """

    answered = Signal(object)
    strokes_changed = Signal()
    saved = Signal(str)
    save_failed = Signal(str)

    def __init__(self, client: ModelClient, teacher: Teacher, labeler: Labeler) -> None:
        super().__init__()
        self._client, self._teacher, self._labeler = client, teacher, labeler
        self._document: ImageDocument | None = None
        self._asked: dict[type[Asked], Asked] = {}
        self._may_be_kept = False
        # Two: what the last one brought may not be stored, and never serve.
        self._learnings: deque[_Learning] = deque(maxlen=2)
        client.insight_answered.connect(self._on_answered)
        teacher.learned.connect(self._on_learned)
        teacher.model_changed.connect(self._on_model)

    @Slot(object)
    def set_document(self, document: ImageDocument | None) -> None:
        """Ask about another image."""
        self._document = document
        self._asked.clear()
        if document is None:
            self.forget()

    @Slot(object)
    def set_changed(self, change: HistoryChange) -> None:
        """Take note that what a person painted changed."""
        if not isinstance(change, Prune):
            self.strokes_changed.emit()

    @property
    def is_ready(self) -> bool:
        """Whether there is an image, and a model to be asked."""
        return self._document is not None and self._teacher.model is not None

    @property
    def model_classes(self) -> tuple[LabelClass, ...]:
        """The classes of the model that serves, in the order of its logits."""
        return self._teacher.model.classes if self._teacher.model else ()

    @property
    def is_trial(self) -> bool:
        """Whether the model that serves is one on the way of a learning, which goes on."""
        return self._teacher.settled_source is None

    def other_class(self, pixel: Pixel, model_class: str) -> str:
        """Return the name of the class that a pixel is drawn in if it is not that one, or empty."""
        return self._labeler.other_class(*pixel, model_class)

    def ask_map(self, query: GateQuery) -> None:
        """Ask for a map."""
        if (image := self._image()) is not None:
            self._send(MapRequest(*image, query))

    def ask_sheet(self, query: GateQuery) -> None:
        """Ask for all maps of the query's layer."""
        if (image := self._image()) is not None:
            self._send(SheetRequest(*image, query))

    def ask_pair(self, query: GateQuery, before: Before) -> None:
        """Ask for the map of the model before and of the one that serves.

        Raises:
            InputError: there is no model before.
        """
        model = self._teacher.base if before == "base" else self._before_learning
        if model is None:
            raise InputError(
                "The model that serves has not learned since this project was opened; let it learn "
                "(L), or compare with the model that the project began with."
            )
        if (image := self._image()) is not None:
            self._send(PairRequest(*image, query, model))

    def ask_why(self, pixel: Pixel, *, with_strokes: bool = False) -> None:
        """Ask for the parts of a pixel's logits, and what they are if the strokes are followed.

        While the model follows the strokes anyway, these are always told.
        """
        image, document = self._image(), self._document
        if image is not None and document is not None:
            is_live = self._labeler.is_live
            strokes = self._labeler.strokes_on(document) if with_strokes or is_live else None
            self._send(WhyRequest(*image, pixel, strokes, is_live))

    def ask_gradient(self, query: ContextQuery) -> None:
        """Ask for the gradient of a pixel's logit."""
        if (image := self._image()) is not None:
            self._send(GradientRequest(*image, query))

    def ask_hiding(self, query: ContextQuery, so_far: ContextMap | None = None) -> None:
        """Ask to hide patches of the image, further ones if some are."""
        if (image := self._image()) is not None:
            self._send(HidingRequest(*image, query, so_far))

    def ask_health(self) -> None:
        """Ask how the gates work, and how they did before the last learning."""
        if (image := self._image()) is not None:
            self._send(HealthRequest(*image, self._before_learning))

    def save(self, shown: tuple[Asked, ...], folder: Path) -> None:
        """Write what is shown into a folder; `saved` or `save_failed` follows."""
        info = self._teacher.model
        if info is not None:
            model = "the project's model" if isinstance(info.source, bytes) else str(info.source)
            if self.is_trial:
                model = "a model on the way of a learning"
            self._send(SaveRequest(shown[0].image_path, shown[0].image, shown, model, folder))

    def forget(self) -> None:
        """Give back the memory that answering took, and drop what is still asked."""
        self._asked.clear()
        if self._may_be_kept:
            self._may_be_kept = False
            self._client.send(ForgetRequest())

    @property
    def _before_learning(self) -> str | Path | bytes | None:
        """The model before the learning that the one that serves is of; None if it is of none."""
        source = self._teacher.source
        if self.is_trial:
            return source  # it stays if that learning is cancelled
        return next((a.before for a in reversed(self._learnings) if a.after == source), None)

    def _image(self) -> tuple[Path, NDArray[np.uint8]] | None:
        """Return what every question is about, None if there is nothing or nobody to ask."""
        document = self._document
        return (document.path, document.image) if document and self.is_ready else None

    def _send(self, request: Asked) -> None:
        self._asked[type(request)] = request
        self._may_be_kept = True
        self._client.send(request)

    @Slot(object)
    def _on_answered(self, answer: InsightAnswer) -> None:
        request, document = answer.request, self._document
        if isinstance(request, SaveRequest):
            self._on_saved(answer)
            return
        # An answer to an older question of this kind is shown until the newer one comes: it
        # would never be seen otherwise while the pointer moves.
        if not isinstance(request, Asked) or type(request) not in self._asked:
            return
        if document is None or request.image is not document.image:
            return
        self.answered.emit(answer)

    def _on_saved(self, answer: InsightAnswer) -> None:
        if isinstance(answer, Refusal):
            self.save_failed.emit(answer.reason)
        elif isinstance(answer, SavedAnswer):
            count = len(answer.paths)
            self.saved.emit(f"Saved {count} files in {answer.paths[0].parent}.")

    @Slot(object)
    def _on_learned(self, learned: Learned) -> None:
        source = self._teacher.source
        if source is not None:
            self._learnings.append(_Learning(source, learned.checkpoint))

    @Slot(object)
    def _on_model(self, info: ModelInfo | None) -> None:
        if info is None:
            self._learnings.clear()
