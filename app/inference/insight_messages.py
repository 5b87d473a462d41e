"""Questions about the model that serves, and their answers: frozen, with immutable arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.inference.messages import LiveStrokes
from mdlstm_core.config import LabelClass
from mdlstm_core.insight.queries import ContextQuery, GateQuery, Pixel

if TYPE_CHECKING:
    from mdlstm_core.insight.context import ContextMap
    from mdlstm_core.insight.contributions import Contributions
    from mdlstm_core.insight.gates import GateMap, MapPair
    from mdlstm_core.insight.health import DirectionHealth


@dataclass(frozen=True)
class Asked:
    """What all questions say: the image H×W×3 that they are about."""

    image_path: Path
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class MapRequest(Asked):
    """Show one state of the network over the image."""

    query: GateQuery


@dataclass(frozen=True)
class SweepRequest(MapRequest):
    """Show one state as far as the sweep has got; asked for to be written to files.

    Attributes:
        diagonal: that the wavefront is at, from 0.
        pin: the pixel whose reach is told apart, None without one.
    """

    diagonal: int
    pin: Pixel | None


@dataclass(frozen=True)
class SheetRequest(Asked):
    """Show all states of a layer in all directions; of the query only layer and unit count."""

    query: GateQuery


@dataclass(frozen=True)
class PairRequest(Asked):
    """Show a state of another model and of the one that serves."""

    query: GateQuery
    before: str | Path | bytes


@dataclass(frozen=True)
class WhyRequest(Asked):
    """Split the logits of a pixel.

    Attributes:
        pixel: of the image.
        strokes: what a person painted, to say what following it changes; None not to.
        is_live: whether the model follows the strokes: then its logits are those split.
        changes, cause: by how much each class's logit is told to have changed, by its name,
            and by what, to be written to files; empty if it is not told.
    """

    pixel: Pixel
    strokes: LiveStrokes | None = None
    is_live: bool = False
    changes: Mapping[str, float] = field(default_factory=dict)
    cause: str = ""


@dataclass(frozen=True)
class ContextRequest(Asked):
    """Show the context that a pixel used."""

    query: ContextQuery


@dataclass(frozen=True)
class GradientRequest(ContextRequest):
    """Show the gradient of a pixel's logit with respect to the image."""


@dataclass(frozen=True)
class HidingRequest(ContextRequest):
    """Hide further patches of the image, for the query's seconds; `so_far` are those before."""

    so_far: ContextMap | None = None


@dataclass(frozen=True)
class HealthRequest(Asked):
    """Tell how saturated the gates are and how the cell state grows.

    Attributes:
        before: the model before the last learning, to be told of too; None without one.
    """

    before: str | Path | bytes | None = None


@dataclass(frozen=True)
class SaveRequest(Asked):
    """Write what is shown into a folder, as `mdlstm gates` does.

    Attributes:
        shown: the questions whose answers are shown.
        model: what the files call the model.
        folder: where to write; made if it is not there.
    """

    shown: tuple[Asked, ...]
    model: str
    folder: Path


@dataclass(frozen=True)
class ForgetRequest:
    """Give back the memory that answering took; no question comes for now."""


InsightRequest = Asked | ForgetRequest

INSIGHT_KINDS: tuple[type[Asked] | type[ForgetRequest], ...] = (
    ForgetRequest,
    MapRequest,
    GradientRequest,
    WhyRequest,
    PairRequest,
    SheetRequest,
    HealthRequest,
    SaveRequest,
    HidingRequest,
)
"""In the order in which those that wait are answered: what is quick comes first."""


@dataclass(frozen=True)
class InsightAnswer:
    """What all answers say; one that says no more has nothing to show."""

    request: InsightRequest
    notice: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Refusal(InsightAnswer):
    """A question that has no answer, and why, in one sentence."""

    reason: str


@dataclass(frozen=True)
class MapAnswer(InsightAnswer):
    """A map."""

    found: GateMap


@dataclass(frozen=True)
class SheetAnswer(InsightAnswer):
    """All maps of a layer: for each direction all states."""

    maps: tuple[GateMap, ...]


@dataclass(frozen=True)
class PairAnswer(InsightAnswer):
    """The map of two models."""

    pair: MapPair


@dataclass(frozen=True)
class WhyAnswer(InsightAnswer):
    """The split logits of a pixel.

    Attributes:
        parts: of the model that is shown.
        classes: its classes, in the order of the logits.
        followed: logit of each class, by its name, with the last layer fit to the strokes;
            empty if that was not asked for.
    """

    parts: Contributions
    classes: tuple[LabelClass, ...]
    followed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ContextAnswer(InsightAnswer):
    """The context of a pixel, by gradient or by hiding."""

    found: ContextMap


@dataclass(frozen=True)
class HealthAnswer(InsightAnswer):
    """The health of every layer and direction, and that of the model before if asked for."""

    rows: tuple[DirectionHealth, ...]
    before: tuple[DirectionHealth, ...] = ()


@dataclass(frozen=True)
class SavedAnswer(InsightAnswer):
    """The files that were written."""

    paths: tuple[Path, ...]
