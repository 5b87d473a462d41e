"""Figures on strokes that were set aside, in words."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdlstm_core.learning.figures import Figures


def read_figures(text: str) -> Figures | None:
    """Return stored figures, None if there are none or they cannot be read."""
    from mdlstm_core.learning.figures import Figures

    try:
        return Figures.from_json(text) if text else None
    except ValueError:
        return None


def short_text(text: str) -> str:
    """Return stored figures in a line, empty if there are none."""
    figures = read_figures(text)
    if figures is None or not figures.pixels:
        return ""
    few = " (few strokes)" if figures.too_few else ""
    return f"{figures.pixel_accuracy:.0%} right, mean IoU {figures.mean_iou:.0%}{few}"


def comparison_text(names: Sequence[str], stored: tuple[str, str]) -> str:
    """Return the figures of two models side by side, as HTML."""
    first, second = (read_figures(text) for text in stored)
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
