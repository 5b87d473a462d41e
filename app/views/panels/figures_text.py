"""Figures on strokes that were set aside, in words."""

from __future__ import annotations

import html
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from app.document.project_classes import ProjectClasses
from mdlstm_core.config import IGNORE_INDEX

if TYPE_CHECKING:
    from mdlstm_core.learning.figures import Figures
    from mdlstm_core.learning.measured import Measured

_log = logging.getLogger(__name__)


def read_measured(text: str, classes: ProjectClasses) -> Measured:
    """Return what is stored of measuring a model, by the project's classes as they are now.

    It has no figures if none are stored, or they cannot be read.
    """
    from mdlstm_core.learning.measured import Measured

    try:
        found = Measured.from_json(text)
    except ValueError:
        _log.warning("damaged figures", exc_info=True)
        return Measured()
    figures, before = (f and _by_classes(f, classes) for f in (found.figures, found.before))
    return Measured(figures, before, found.overfits)


def _by_classes(figures: Figures, classes: ProjectClasses) -> Figures:
    """Return the figures with the project's names; classes that were merged are one.

    A class that the project has no more goes on by the model's name.
    """
    from mdlstm_core.learning.figures import Figures

    labels = classes.labels_of(figures.classes)
    # One that is gone stands alone: behind the last label, by its place.
    keys = [at + 256 if n == IGNORE_INDEX else n for at, n in enumerate(labels)]
    own = {c.label: c.name for c in classes.table.classes}
    names = dict(zip(keys, figures.classes, strict=True)) | {n: own[n] for n in keys if n in own}
    place = {key: at for at, key in enumerate(names)}
    at = np.array([place[key] for key in keys], dtype=np.intp)
    confusion = np.zeros((len(names),) * 2, dtype=np.int64)
    np.add.at(confusion, (at[:, np.newaxis], at), figures.confusion)
    return Figures(confusion, tuple(names.values()), figures.strokes, figures.images)


def short_text(figures: Figures | None) -> str:
    """Return figures in a line, empty if there are none."""
    if figures is None or not figures.pixels:
        return ""
    few = " (few strokes)" if figures.too_few else ""
    return f"{figures.pixel_accuracy:.0%} right, mean IoU {figures.mean_iou:.0%}{few}"


def comparison_text(names: Sequence[str], first: Figures | None, second: Figures | None) -> str:
    """Return the figures of two models side by side, as HTML."""
    if first is None and second is None:
        return "No figures: no strokes were set aside for measuring these models."
    rows = [("", html.escape(names[0]), html.escape(names[1]))]
    rows += [
        (name, _share(first, key), _share(second, key))
        for name, key in (("Right", "pixel_accuracy"), ("Mean IoU", "mean_iou"))
    ]
    rows += _class_rows(first, second)
    cells = "".join(
        f"<tr><td>{name}&nbsp;&nbsp;</td><td align=right>{a}&nbsp;&nbsp;</td>"
        f"<td align=right>{b}</td></tr>"
        for name, a, b in rows
    )
    few = next((f.too_few for f in (second, first) if f is not None and f.too_few), "")
    return f"<table>{cells}</table>{html.escape(few)}"


def _class_rows(first: Figures | None, second: Figures | None) -> list[tuple[str, str, str]]:
    """Return the intersection over union of each class that either was measured on."""
    ious = [
        dict(zip(f.classes, f.iou, strict=True)) if f is not None else {} for f in (first, second)
    ]
    names = dict.fromkeys(name for iou in ious for name, value in iou.items() if value is not None)
    return [
        (html.escape(f"IoU {name}"), _percent(ious[0].get(name)), _percent(ious[1].get(name)))
        for name in names
    ]


def _share(figures: Figures | None, key: str) -> str:
    return _percent(getattr(figures, key) if figures is not None and figures.pixels else None)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
