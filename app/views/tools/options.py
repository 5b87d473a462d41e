"""The tools' options as a panel shows them: words, ranges and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from app.views.tools.tool import BrushShape, CutFrom


@dataclass(frozen=True)
class OptionSpec:
    """One field of `ToolOptions`; its default stands there.

    Attributes:
        name: the field.
        text: as a panel shows it.
        allowed: whole numbers, words to choose from, or None for yes or no.
        unit: behind a number.
        tip: what it changes.
    """

    name: str
    text: str
    allowed: range | tuple[str, ...] | None
    unit: str = ""
    tip: str = ""


OPTIONS: dict[str, OptionSpec] = {
    spec.name: spec
    for spec in (
        OptionSpec("diameter", "Size", range(1, 513), "px", "Brush size ([ and ])"),
        OptionSpec("shape", "Shape", get_args(BrushShape), tip="Shape of the brush"),
        OptionSpec("tolerance", "Tolerance", range(256), tip="How far a colour may be off"),
        OptionSpec("contiguous", "Contiguous", None, tip="Only pixels that touch each other"),
        OptionSpec("superpixel_size", "Superpixel", range(4, 129), "px", "Side of a superpixel"),
        OptionSpec("cut_from", "Cut from", get_args(CutFrom), tip="What you draw"),
        OptionSpec("amount", "Amount", range(1, 65), "px", "How far the outline moves"),
        OptionSpec("minimum_area", "Specks below", range(2, 10_001), "px", "Area of a speck"),
    )
}
