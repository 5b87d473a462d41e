"""Requests to the model and its answers: frozen, with immutable arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.document.project_classes import ProjectClasses
from mdlstm_core.config import LabelClass
from mdlstm_core.data.display_window import DisplayWindow
from mdlstm_core.insight.look import Look

if TYPE_CHECKING:
    from mdlstm_core.learning.figures import Figures


@dataclass(frozen=True)
class LoadRequest:
    """Load a model.

    Attributes:
        model: a shipped one's name, a file, a checkpoint's bytes, or a call that gives these, in
            any thread.
        fallback: what to load if that is damaged; None to let the present model go on.
        device: where it is to run.
        base: gives the model that it learned from, or itself, in any thread; called if strokes
            are to be followed. None for itself.
        pixels: how many of an image it is to look at (see `Checkpoint.looking_at`).
    """

    model: str | Path | bytes | Callable[[], bytes]
    fallback: str | Path | bytes | None = None
    device: str = "auto"
    base: Callable[[], str | Path | bytes] | None = None
    pixels: int | None = None


@dataclass(frozen=True)
class ModelInfo:
    """The model that serves from now on.

    Attributes:
        preset: what kind of network it is.
        classes: its classes, in the order of the label map's indices.
        layer_units: hidden units a direction, one number a 2D-LSTM layer.
        look: that the gate explorer explains.
        pixels: how many of an image it looks at (see `NetworkConfig.working_pixels`).
        device: the device really used.
        reason: why that device.
        warning: why it is not the model that was asked for, empty if it is.
        notice: why it does not run where it was asked to, empty if it does.
        source: what was loaded: a shipped one's name, a file, or a checkpoint's bytes.
    """

    preset: str
    classes: tuple[LabelClass, ...]
    layer_units: tuple[int, ...]
    look: Look
    pixels: int
    device: str
    reason: str
    warning: str = ""
    notice: str = ""
    source: str | Path | bytes = ""


@dataclass(frozen=True)
class NotLoaded:
    """The model that was asked for is damaged, and the one before goes on.

    Attributes:
        asked: what was asked for (see `LoadRequest.model`).
        reason: why, in one sentence.
    """

    asked: str | Path | bytes | Callable[[], bytes]
    reason: str


@dataclass(frozen=True)
class LiveFile:
    """An image file and what a person said of it (see `mdlstm_core.learning.live_learner`).

    Attributes:
        name: stands for its pixels: the file, and the window that its values are seen through.
        revision: another value after each change of its corrections.
        image, corrections: give immutable arrays H×W×3 and H×W, in any thread.
    """

    name: Hashable
    revision: Hashable
    image: Callable[[], NDArray[np.uint8]]
    corrections: Callable[[], NDArray[np.uint8]]


@dataclass(frozen=True)
class LiveStrokes:
    """What the model is to follow: strokes on the image shown and on others, and classes.

    Attributes:
        shown, others: the images.
        classes: of the project.
        are_any: whether there are any strokes.
        left_out: number of further images with strokes, which are not followed.
    """

    shown: LiveFile
    others: tuple[LiveFile, ...]
    classes: ProjectClasses
    are_any: bool = False
    left_out: int = 0

    @property
    def are_all(self) -> bool:
        """Whether there are any strokes, and none on images that are not followed."""
        return self.are_any and not self.left_out


@dataclass(frozen=True)
class PredictRequest:
    """Label every pixel of an image H×W×3, as the strokes say if some are given."""

    image_path: Path
    image: NDArray[np.uint8]
    strokes: LiveStrokes | None = None


@dataclass(frozen=True)
class CatchUpRequest(PredictRequest):
    """The same while nothing else is asked, after `Behind`: it reads some of the strokes first."""


@dataclass(frozen=True)
class Prediction:
    """The model's label map, confidence, uncertainty and entropy (0 to 255), all H×W.

    The label map has the model's own classes, or the project's labels if it followed
    strokes: `is_live`. The notice says why it was not made as usual, and is empty if it was;
    so in all answers. It is provisional if another kernel than the fastest one made it, which
    was not ready yet: the same again may differ in the last bits.
    """

    image_path: Path
    label_map: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    uncertainty: NDArray[np.uint8]
    entropy: NDArray[np.uint8]
    notice: str = ""
    is_live: bool = False
    is_provisional: bool = False


@dataclass(frozen=True)
class Behind:
    """No prediction: there are `unread` images whose strokes are to be followed, too."""

    unread: int


@dataclass(frozen=True)
class CorrectedFile:
    """An image file, and how to get an immutable copy of its corrections H×W.

    A call and not the array, so that stored corrections are unpacked in the learner's
    thread. The window is what values of more than 8 bits are seen through, if one was chosen.
    The check raises `InputError` if the file is not the one that was corrected.
    """

    image_path: Path
    corrections: Callable[[], NDArray[np.uint8]]
    window: DisplayWindow | None = None
    check: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class LearnRequest:
    """Learn from the corrections of a project, starting from a model, in `seconds` at most.

    The model learned has the project's classes, also those that the one before lacks. If
    `pixels` of an image are to be looked at, it is trained to look at as many. The call gives
    the model to start from, in any thread (see `LoadRequest.base`).
    """

    project: Path
    model: Callable[[], str | Path | bytes]
    corrected: tuple[CorrectedFile, ...]
    classes: ProjectClasses
    seconds: float
    device: str = "auto"
    pixels: int | None = None


@dataclass(frozen=True)
class Improved:
    """A first improvement while learning goes on; it serves until the end, and is not kept.

    The attributes are those of `Learned`.
    """

    project: Path
    checkpoint: bytes
    names: Mapping[int, str]


@dataclass(frozen=True)
class Learned:
    """What a project's model has become.

    Attributes:
        project: the project.
        base: the checkpoint that it started from.
        checkpoint: the one that it led to.
        names: what the new one calls each of the project's labels.
        strokes: number of strokes that were learned.
        strokes_hash: of all corrections that were read, hexadecimal.
        before: figures of the model before, on the strokes that were set aside; None if
            none were.
        figures: of the new one, on the same.
        overfits: why it may do so, in one sentence; empty if it does not.
        notice: what was left out, in one sentence; empty if nothing was.
        stopped: whether the user ended it.
    """

    project: Path
    base: bytes
    checkpoint: bytes
    names: Mapping[int, str]
    strokes: int = 0
    strokes_hash: str = ""
    before: Figures | None = None
    figures: Figures | None = None
    overfits: str = ""
    notice: str = ""
    stopped: bool = False


@dataclass(frozen=True)
class Progress:
    """A step of learning.

    Attributes:
        step: its number, from 1.
        steps: at most so many.
        loss: on the corrections that are learned.
        notice: why it is not done as usual, empty if it is.
        seconds: since learning began.
        held_out: pixel accuracy, 0 to 1, on the strokes set aside; None where it was not
            measured at this step.
    """

    step: int
    steps: int
    loss: float
    notice: str = ""
    seconds: float = 0.0
    held_out: float | None = None
