"""Answers questions about the model that serves, in the model's thread."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.document.project_classes import Outputs
from app.inference.insight_messages import (
    Asked,
    ContextAnswer,
    ContextRequest,
    ForgetRequest,
    GradientRequest,
    HealthAnswer,
    HealthRequest,
    HidingRequest,
    InsightAnswer,
    InsightRequest,
    MapAnswer,
    MapRequest,
    PairAnswer,
    PairRequest,
    Refusal,
    SavedAnswer,
    SaveRequest,
    SheetAnswer,
    SheetRequest,
    SweepRequest,
    WhyAnswer,
    WhyRequest,
)
from app.inference.live_follower import live_image
from app.inference.loading import load_model
from app.inference.messages import LiveStrokes
from mdlstm_core.config import DIRECTIONS, STATES
from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder
from mdlstm_core.insight.drawing import SIGNED_COLORS, UNSIGNED_COLORS, color_table
from mdlstm_core.insight.look import explained_look
from mdlstm_core.insight.queries import GateQuery

if TYPE_CHECKING:
    from mdlstm_core.insight.context import ContextMap
    from mdlstm_core.insight.health import DirectionHealth
    from mdlstm_core.insight.origin import Origin
    from mdlstm_core.insight.recording import Recording
    from mdlstm_core.learning.last_layer import LastLayerFit
    from mdlstm_core.network import LabelingNetwork
    from mdlstm_core.predictor import Predictor

_log = logging.getLogger(__name__)


@dataclass
class _Followed:
    """The network fit to strokes, which it belongs to, and its outputs."""

    strokes: Hashable
    network: LabelingNetwork
    outputs: Outputs


class InsightHandler:
    """Keeps the way of a model over one image while questions about it come.

    Kept are the inputs of its 2D-LSTM layers, 2 MB for an image of usual size, and not
    their states; of another model or of strokes only what the last question was about; after
    a `ForgetRequest`, nothing.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._predictor: Predictor | None = None
        self._image: NDArray[np.uint8] | None = None
        self._recording: Recording | None = None
        self._fit: LastLayerFit | None = None
        self._followed: _Followed | None = None
        self._other: tuple[tuple[str | Path | bytes, int], Predictor] | None = None
        self._other_recording: Recording | None = None

    def answer(self, request: InsightRequest, predictor: Predictor | None) -> InsightAnswer:
        """Return the answer, a `Refusal` in one sentence if there is none."""
        if isinstance(request, ForgetRequest):
            self._forget()
            return InsightAnswer(request)
        if predictor is None:
            return Refusal(request, "No model is loaded yet.")
        try:
            return self._answer(request, predictor)
        except InputError as error:
            if isinstance(request, SaveRequest):  # when the program closes, nobody else says it
                _log.warning("not saved: %s", error)
            return Refusal(request, str(error))
        except MemoryError:
            _log.exception("out of memory")
            return Refusal(
                request, "There is not enough memory for this; close other programs and try again."
            )

    def _answer(self, request: Asked, predictor: Predictor) -> InsightAnswer:
        if isinstance(request, SaveRequest):
            is_kept = self._recording is not None
            try:
                return SavedAnswer(request, self._save(request, predictor))
            finally:
                if not is_kept:  # the panel was closed meanwhile
                    self._forget()
        self._drop_unasked(request)
        return self._found(request, predictor)

    def _drop_unasked(self, request: Asked) -> None:
        """Give back what earlier questions took and this one does not ask for."""
        if not isinstance(request, WhyRequest | ContextRequest):
            self._fit = self._followed = None
        if not isinstance(request, PairRequest | HealthRequest):
            self._other = self._other_recording = None

    def _found(self, request: Asked, predictor: Predictor) -> InsightAnswer:
        from mdlstm_core.insight.context import occlusion

        recording = self._recorded(request.image, predictor)
        match request:
            case WhyRequest():
                return self._why(request, predictor, recording)
            case GradientRequest():
                found = predictor.gradient(request.image, request.query)
                return ContextAnswer(request, found, notice=_joined(recording, found))
            case HidingRequest():
                found = occlusion(
                    predictor.network, request.image, request.query, so_far=request.so_far
                )
                return ContextAnswer(request, found, notice=_joined(recording, found))
        return self._maps(request, predictor, recording)

    def _maps(self, request: Asked, predictor: Predictor, recording: Recording) -> InsightAnswer:
        from mdlstm_core.insight.gates import compare, gate_map, gate_maps
        from mdlstm_core.insight.health import health

        # Loaded here: the window draws with them, and must not wait for that.
        for name in (SIGNED_COLORS, UNSIGNED_COLORS):
            color_table(name)
        notice = recording.notice
        match request:
            case MapRequest():
                return MapAnswer(request, gate_map(recording, request.query), notice=notice)
            case SheetRequest():
                maps = gate_maps(recording, queries_of_sheet(request.query))
                return SheetAnswer(request, tuple(maps), notice=notice)
            case PairRequest():
                before = self._recorded_before(request.before, request.image, predictor)
                pair = compare(before, recording, request.query)
                return PairAnswer(request, pair, notice=notice)
            case HealthRequest():
                rows: tuple[DirectionHealth, ...] = ()
                if request.before is not None:
                    rows = health(self._recorded_before(request.before, request.image, predictor))
                return HealthAnswer(request, health(recording), rows, notice=notice)
        raise AssertionError(request)

    def _recorded(self, image: NDArray[np.uint8], predictor: Predictor) -> Recording:
        """Return the model's way over an image, the one kept if it is that."""
        if predictor is not self._predictor or image is not self._image:
            self._followed = self._other_recording = self._recording = None
            if predictor is not self._predictor:
                self._fit = None
            self._predictor, self._image = predictor, image
        if self._recording is None:
            self._recording = predictor.record(image)
        return self._recording

    def _recorded_before(
        self, model: str | Path | bytes, image: NDArray[np.uint8], predictor: Predictor
    ) -> Recording:
        """Return the other model's way over the image, as closely as the one that serves looks."""
        from mdlstm_core.predictor import Predictor as Loaded

        asked = model, predictor.checkpoint.config.working_pixels
        if self._other is None or self._other[0] != asked:
            device = predictor.device.device.type
            self._other = asked, Loaded(load_model(*asked), device)
            self._other_recording = None
        if self._other_recording is None:
            self._other_recording = self._other[1].record(image, logits=False)
        return self._other_recording

    def _why(
        self, request: WhyRequest, predictor: Predictor, recording: Recording
    ) -> InsightAnswer:
        from mdlstm_core.insight.contributions import contributions

        parts, classes = contributions(recording, request.pixel), predictor.classes
        followed: dict[str, float] = {}
        if request.strokes is not None:
            now = self._follow(request.strokes, predictor)
            with_strokes = contributions(replace(recording, network=now.network), request.pixel)
            names = (c.name for c in now.outputs.classes)
            followed = dict(zip(names, with_strokes.logits.tolist(), strict=True))
            if request.is_live:
                parts, classes = with_strokes, now.outputs.classes
        return WhyAnswer(request, parts, classes, followed, notice=recording.notice)

    def _follow(self, strokes: LiveStrokes, predictor: Predictor) -> _Followed:
        """Return the network with its last layer fit to the strokes."""
        from mdlstm_core.learning.last_layer import LastLayerFit

        files = (strokes.shown, *strokes.others)
        key = (tuple((file.name, file.revision) for file in files), strokes.classes)
        if self._followed is None or self._followed.strokes != key:
            if self._fit is None:
                self._fit = LastLayerFit(predictor.network)
            outputs = strokes.classes.outputs(predictor.classes)
            images = [live_image(file) for file in files]
            network = self._fit.fitted(images, outputs.sources, outputs.labels)
            self._followed = _Followed(key, network, outputs)
        return self._followed

    def _save(self, request: SaveRequest, predictor: Predictor) -> tuple[Path, ...]:
        """Write what is shown with the same code as `mdlstm gates`."""
        from mdlstm_core.insight.origin import Origin

        make_folder(request.folder)
        size = request.image.shape[0], request.image.shape[1]
        look = explained_look(predictor.checkpoint.config)
        origin = Origin(request.image_path, size, request.model, look, request.folder)
        return tuple(
            path for shown in request.shown for path in self._save_one(shown, predictor, origin)
        )

    def _save_one(self, shown: Asked, predictor: Predictor, origin: Origin) -> list[Path]:
        from mdlstm_core.insight import export, export_figures

        if isinstance(shown, HidingRequest) and shown.so_far is not None:
            name = predictor.classes[shown.so_far.class_index].name
            return export.save_context(shown.so_far, "occlusion", origin, name)
        answer = self._found(shown, predictor)
        match answer:
            case MapAnswer() if isinstance(shown, SweepRequest):
                return export.save_sweep(answer.found, shown.diagonal, origin, shown.pin)
            case MapAnswer():
                return export.save_map(answer.found, origin)
            case SheetAnswer():
                maps = [path for found in answer.maps for path in export.save_map(found, origin)]
                return [*maps, *export.save_contact_sheet(answer.maps, origin)]
            case PairAnswer():
                return self._save_pair(answer, origin)
            case WhyAnswer():
                return _save_parts(answer, origin)
            case ContextAnswer():
                kind = "gradient" if isinstance(shown, GradientRequest) else "occlusion"
                name = predictor.classes[answer.found.class_index].name
                return export.save_context(answer.found, kind, origin, name)
            case HealthAnswer():
                return export_figures.save_health(answer.rows, origin, answer.before)
        raise AssertionError(answer)

    def _save_pair(self, answer: PairAnswer, origin: Origin) -> list[Path]:
        from mdlstm_core.insight.export import save_pair

        request = answer.request
        assert isinstance(request, PairRequest)
        assert self._other is not None
        name = "model before" if isinstance(request.before, bytes) else str(request.before)
        look = explained_look(self._other[1].checkpoint.config)
        return save_pair(answer.pair, replace(origin, model=name, look=look), origin)


def _joined(recording: Recording, found: ContextMap) -> str:
    """Return the notices of both, each once."""
    return " ".join(dict.fromkeys(filter(None, (recording.notice, found.notice))))


def queries_of_sheet(query: GateQuery) -> list[GateQuery]:
    """Return what a contact sheet shows: all states of all directions of a query's layer."""
    return [
        replace(query, direction=direction, gate=gate)
        for direction in range(len(DIRECTIONS))
        for gate in STATES
    ]


def _save_parts(answer: WhyAnswer, origin: Origin) -> list[Path]:
    from mdlstm_core.insight.export_figures import LogitChanges, save_contributions

    request = answer.request
    assert isinstance(request, WhyRequest)
    if request.is_live:
        origin = replace(origin, model=f"{origin.model}, its last layer fit to the strokes")
    changes = LogitChanges(request.cause, request.changes) if request.changes else None
    return save_contributions(answer.parts, origin, [c.name for c in answer.classes], changes)
