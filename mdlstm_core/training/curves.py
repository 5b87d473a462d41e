"""The curves of a training run as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any


def draw_curves(lines: Sequence[dict[str, Any]]) -> bytes:
    """Return a PNG of loss and validation figures over the epochs of a log.

    matplotlib, because it labels axes well and needs no display. It is imported here: only
    training needs it.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([line["epoch"] for line in lines], [line["loss"] for line in lines])
    left.set(xlabel="epoch", ylabel="loss", title="training")
    named = dict.fromkeys(key for line in lines for key in line)
    for key in (key for key in named if key not in ("epoch", "loss", "seconds", "waited")):
        measured = [line for line in lines if key in line]
        values = [100 * line[key] for line in measured]
        right.plot([line["epoch"] for line in measured], values, marker=".", label=key)
    right.set(xlabel="epoch", ylabel="%", title="validation")
    if right.lines:
        right.legend(fontsize="small")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
