"""Where the model is unsure: as a map over the image, and one place after the other."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Literal

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot

from app.document.document import ImageDocument
from app.document.regions.uncertain import (
    UncertainRegion,
    difference,
    uncertain_regions,
    worth,
)
from app.document.stroke import Box
from app.session import LabelingSession
from app.views.canvas.canvas_view import CanvasView
from app.views.canvas.layers import HeatMapLayer
from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.insight.drawing import UNSIGNED_COLORS, color_table

Measure = Literal["margin", "entropy"]

_MOST_CELLS = 1000
"""Cells a side of the map."""


class WhereNext(QObject):
    """Shows how unsure the model is, and goes where the next stroke brings most.

    Signals:
        shown_changed(bool): the map takes the place of the model's labels, or no more.
    """

    shown_changed = Signal(bool)

    def __init__(self, session: LabelingSession, canvas: CanvasView) -> None:
        super().__init__(canvas)
        self._session, self._canvas = session, canvas
        self._is_shown = False
        self._measure: Measure = "margin"
        self._seen: defaultdict[Path, list[Box]] = defaultdict(list)
        self._left: list[Path] = []
        self._awaited: Path | None = None
        session.prediction_changed.connect(self._on_prediction)
        session.document_changed.connect(self._on_document)
        session.image_failed.connect(self._give_up)

    def set_shown(self, shown: bool) -> None:
        """Show the map of uncertainty, or the labels again."""
        if shown != self._is_shown:
            self._is_shown = shown
            self.shown_changed.emit(shown)
            if shown:
                self._draw()
            else:
                self._canvas.set_heat_map(None)

    def set_measure(self, measure: Measure) -> None:
        """Show one less the margin of the two best classes, or the entropy of all."""
        self._measure = measure
        self._draw()

    def go(self) -> None:
        """Go to the most rewarding place of the image shown, else of another one."""
        document = self._session.document
        if document is None:
            return
        if document.uncertainty is None:
            self._session.said.emit("The model has not labeled this image yet.")
            return
        self._left = self._others(document)
        self._look(document)

    def _others(self, document: ImageDocument) -> list[Path]:
        """Return the other images, those first where a stroke brings most.

        Images that nobody has looked at yet follow in their order; one without a place that
        is worth a stroke is left out.
        """
        survey, images = self._session.review.survey, self._session.project.images
        places = survey.ranked(survey.labeled_colors())
        ranked = [path for _, path, region in places if region.box not in self._seen[path]]
        after = images.index(document.path) + 1
        unknown = [p for p in [*images[after:], *images[: after - 1]] if not survey.has_looked(p)]
        return list(dict.fromkeys([*ranked, *unknown]))

    def _look(self, document: ImageDocument) -> None:
        """Show the place to go to on this image, or turn to the next one that is left."""
        assert document.uncertainty is not None
        self._awaited = None
        corrections, seen = document.corrections.values, self._seen[document.path]
        places = uncertain_regions(
            document.uncertainty, corrections != IGNORE_INDEX, document.image, seen
        )
        if places:
            labeled = self._session.review.survey.labeled_colors()
            found = max(places, key=lambda region: worth(region, labeled))
            self._seen[document.path].append(found.box)
            self._canvas.show_box(found.box)
            differs = difference(found, labeled) if len(labeled) else None
            self._session.said.emit(self._reason(document, found, differs))
            return
        self._seen.pop(document.path, None)
        if self._left:
            self._awaited = self._left.pop(0)
            self._session.open_image(self._awaited)
        else:
            self._session.said.emit("There is no place left where the model is unsure.")

    def _reason(
        self, document: ImageDocument, found: UncertainRegion, differs: float | None
    ) -> str:
        """Say why this place; `differs` is None if nothing is labeled anywhere."""
        classes = self._session.classes
        labels = document.shown(found.box)
        label = int(np.bincount(labels.ravel()).argmax())
        name = f", most of it shown as {classes[label].name}" if label < len(classes) else ""
        colors = "nothing is labeled so far"
        if differs is not None:
            colors = f"colours {differs:.0%} unlike those labeled so far"
        return (
            f"The model is unsure here: {found.uncertainty:.0%} on average over "
            f"{found.pixels:,} pixels that nobody labeled{name}; {colors}."
        )

    @Slot()
    def _on_prediction(self) -> None:
        self._draw()
        document = self._session.document
        if document is not None and document.path == self._awaited:
            self._look(document)

    @Slot(object)
    def _on_document(self, document: ImageDocument | None) -> None:
        if document is None:
            self._seen.clear()
        if document is None or document.path != self._awaited:
            self._awaited = None
        if self._is_shown:
            self._canvas.set_heat_map(None)  # until the model has answered

    @Slot()
    def _give_up(self) -> None:
        self._awaited = None

    def _draw(self) -> None:
        document = self._session.document
        if not self._is_shown or document is None:
            return
        values = document.uncertainty if self._measure == "margin" else document.entropy
        if values is None:
            return
        step = -(-max(values.shape) // _MOST_CELLS)
        colors = color_table(UNSIGNED_COLORS)[values[::step, ::step]]
        self._canvas.set_heat_map(HeatMapLayer(colors, (step, step)))
