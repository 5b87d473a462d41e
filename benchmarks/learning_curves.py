"""The curves and tables of docs/learning.md, from the rows of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmarks.tables import machine

Row = dict[str, Any]


def write_curves(document: Path, rows: list[Row], labeled: int, tested: int, command: str) -> None:
    """Draw a dataset's curves beside a document, and replace its part of the document.

    Args:
        document: has a pair of lines <!-- NAME --> and <!-- end NAME --> for the dataset.
        rows: of one dataset.
        labeled: number of images that were labeled.
        tested: number of images that were only tested on.
        command: that measured.
    """
    name = rows[0]["dataset"]
    picture = document.parent / f"learning-{name}.png"
    _draw(picture, rows)
    text = document.read_text("utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    told = (
        f"{machine()}, {torch.get_num_threads()} threads; {labeled} images labeled, "
        f"{tested} tested on. `{command}`\n\n![Mean IoU by strokes]({picture.name})\n\n"
    )
    document.write_text(before + begin + told + _table(rows) + end + after, encoding="utf-8")


def _table(rows: list[Row]) -> str:
    names = list(dict.fromkeys(row["learner"] for row in rows))
    lines = [
        f"| round | strokes | {' | '.join(names)} |",
        "|---|---|" + "---|" * len(names),
    ]
    for number in sorted({row["round"] for row in rows}):
        found = {row["learner"]: row for row in rows if row["round"] == number}
        cells = [f"{100 * found[name]['miou_test']:.1f}" for name in names]
        strokes = next(iter(found.values()))["strokes"]
        lines.append(f"| {number} | {strokes} | {' | '.join(cells)} |")
    for what in ("learn_seconds", "predict_seconds"):
        cells = [_median([row[what] for row in rows if row["learner"] == name]) for name in names]
        lines.append(f"| {what.replace('_', ', ')}, median | | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _median(values: list[float]) -> str:
    return f"{sorted(values)[len(values) // 2]:.2f}"


def _draw(picture: Path, rows: list[Row]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    for axis, what, title in zip(
        axes, ("miou_test", "miou_labeled"), ("test images", "unlabeled pixels"), strict=True
    ):
        for name in dict.fromkeys(row["learner"] for row in rows):
            own = [row for row in rows if row["learner"] == name]
            axis.plot(
                [row["round"] for row in own],
                [100 * row[what] for row in own],
                marker=".",
                label=name,
            )
        axis.set(title=title, xlabel="round")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("mean IoU, %")
    axes[1].legend(frameon=False)
    figure.savefig(picture, dpi=110)
    plt.close(figure)
