"""What a stroke or a training changed in the logits of the pinned pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.inference.insight_messages import WhyAnswer, WhyRequest

if TYPE_CHECKING:
    from mdlstm_core.insight.queries import Pixel

_LEAST = 1e-6
"""A smaller change is rounding."""

_MODEL = "another model, compared with the one before"
_STROKE = "the last stroke"
_PREVIEW = "the last stroke, if the last layer followed it"
_TEXTS = {
    "": "",
    _MODEL: "Compared with the model before: last column.",
    _STROKE: "Your last stroke changed the logits: last column.",
    _PREVIEW: "With the last layer fit to your last stroke too: last column.",
}


class Changes:
    """Compares each answer for a pixel with the one before.

    Attributes:
        by_class: by how much each class's logit changed, by its name; empty if none did.
        cause: what changed them, for files.
    """

    def __init__(self) -> None:
        self._pixel: Pixel | None = None
        self._followed: Mapping[str, float] = {}
        self._logits: Mapping[str, float] = {}
        self._before: Mapping[str, float] = {}
        self._is_new_model = self._is_trial = False
        self.by_class: Mapping[str, float] = {}
        self.cause = ""

    @property
    def text(self) -> str:
        """What changed them, for the user."""
        return _TEXTS[self.cause]

    def model_changed(self, *, is_trial: bool = False) -> None:
        """Compare the next answer with the model before.

        Args:
            is_trial: it is one on the way of a learning; the model that comes of it is compared
                with the one before that learning too.
        """
        if not self._is_trial:
            # Nothing is known of a model that came and went unseen.
            self._before = {} if self._is_new_model else self._logits
        self._is_new_model, self._is_trial = True, is_trial

    def take(self, answer: WhyAnswer) -> None:
        """Compare an answer with the one before, if that is of the same pixel."""
        assert isinstance(answer.request, WhyRequest)
        names = (c.name for c in answer.classes)
        logits = dict(zip(names, answer.parts.logits.tolist(), strict=True))
        if answer.request.pixel != self._pixel:
            self.by_class, self.cause, self._before = {}, "", {}
        elif self._is_new_model:
            self.by_class, self.cause = {}, ""
            self._compare(self._before, logits, _MODEL)
        elif self._followed and answer.followed:
            cause = _STROKE if answer.request.is_live else _PREVIEW
            self._compare(self._followed, answer.followed, cause)
        self._pixel, self._logits, self._followed = answer.request.pixel, logits, answer.followed
        self._is_new_model = False

    def _compare(self, before: Mapping[str, float], now: Mapping[str, float], cause: str) -> None:
        found = {name: now[name] - before[name] for name in now if name in before}
        if any(abs(change) > _LEAST for change in found.values()):
            self.by_class, self.cause = found, cause
