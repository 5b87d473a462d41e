"""Labels as the strokes say, in the model's thread."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from app.document.class_table import ClassTable
from app.document.project_classes import Outputs
from app.inference.loading import load_model
from app.inference.messages import LiveFile, LiveStrokes
from mdlstm_core.errors import InputError

if TYPE_CHECKING:
    import mdlstm_core.prediction as core
    from mdlstm_core.checkpoint import Checkpoint
    from mdlstm_core.learning.live_learner import LiveImage, LiveLearner
    from mdlstm_core.predictor import Predictor

_READING_SECONDS = 0.5
"""Spent on images that are not shown where a request catches up on them."""

_log = logging.getLogger(__name__)


class LiveFollower:
    """Follows strokes from the model before learning, or from the one that serves.

    A model that learned has the strokes right because it has seen them: there is nothing left
    in them to learn, and what it is sure of on them says little elsewhere. But strokes that are
    not followed are known to it alone.
    """

    def __init__(self) -> None:
        self._serving: Predictor | None = None
        self._base: Callable[[], str | Path | bytes] | None = None
        self._before: Predictor | None = None
        self._is_before_known = False
        self._learner: LiveLearner | None = None

    def use(self, serving: Predictor, base: Callable[[], str | Path | bytes] | None) -> None:
        """Take the model that serves from now on, and what gives the one that it learned from."""
        self._serving, self._base, self._is_before_known = serving, base, False

    def forget(self) -> None:
        """Give back the memory that features take."""
        self._learner = None

    def follow(self, strokes: LiveStrokes, *, catch_up: bool) -> core.Prediction | int:
        """Label the image shown as the strokes say, if all of them have been read.

        Args:
            strokes: on the image shown, and on others.
            catch_up: whether to read others that were not read before, some of them.

        Returns:
            the labels, or how many images were not read yet.

        Raises:
            InputError: the network gives no finite numbers.
            MemoryError: the computer's own memory does not suffice.
        """
        from mdlstm_core.learning.live_learner import LiveLearner

        assert self._serving is not None
        start = self._before_learning(self._serving) if strokes.are_all else self._serving
        if self._learner is None or self._learner.network is not start.network:
            self._learner = LiveLearner(start.network)
        shown, others = live_image(strokes.shown), [live_image(file) for file in strokes.others]
        if unread := self._learner.read([shown, *others], _READING_SECONDS if catch_up else 0.0):
            return unread
        outputs = strokes.classes.outputs(start.classes)
        found = self._learner.predict(shown, others, outputs.sources, outputs.labels)
        poor = _notice_of(self._learner.painted, outputs, strokes.classes.table)
        return dataclasses.replace(found, notice=" ".join(filter(None, (found.notice, poor))))

    def _before_learning(self, serving: Predictor) -> Predictor:
        """Return the model that the one that serves learned from, looking as closely as that.

        If it cannot be had, it is the one that serves.
        """
        from mdlstm_core.predictor import Predictor

        if self._before is None or not self._is_before_known:
            try:
                pixels = serving.checkpoint.config.working_pixels
                base = load_model(self._base(), pixels) if self._base else serving.checkpoint
                loaded = [
                    p for p in (serving, self._before) if p and _say_the_same(p.checkpoint, base)
                ]
                self._before = loaded[0] if loaded else Predictor(base, serving.device.device.type)
            except InputError as error:
                _log.warning("Live starts from the model that serves: %s", error)
                self._before = serving
            self._is_before_known = True
        return self._before


def _notice_of(painted: frozenset[int], outputs: Outputs, classes: ClassTable) -> str:
    """Say why strokes of these labels teach little, or nothing; empty if there is no reason."""
    from mdlstm_core.learning.poor_strokes import notice_of_one_class

    if len(painted) != 1:
        return ""
    (label,) = painted
    pairs = zip(outputs.sources, outputs.labels, strict=True)
    known = {label for source, label in pairs if source is not None}
    return notice_of_one_class(classes.get(label).name, knows_other=bool(known - painted))


def _say_the_same(one: Checkpoint, other: Checkpoint) -> bool:
    import torch

    if (one.config, one.classes) != (other.config, other.classes):
        return False
    return all(torch.equal(weight, other.weights[name]) for name, weight in one.weights.items())


def live_image(file: LiveFile) -> LiveImage:
    """Return what the core calls an image and its strokes."""
    from mdlstm_core.learning.live_learner import LiveImage

    return LiveImage(file.name, file.revision, file.image, file.corrections)
