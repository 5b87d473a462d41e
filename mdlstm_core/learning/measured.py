"""What is kept of measuring a model that learned: its figures, and what they say of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from mdlstm_core.learning.figures import Figures


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of a model on the strokes that were set aside.

    Attributes:
        figures: of the model; None if no stroke was set aside.
        before: of the model before, on the same.
        overfits: why the model may do so, in one sentence; empty if it does not.
    """

    figures: Figures | None = None
    before: Figures | None = None
    overfits: str = ""

    def to_json(self) -> str:
        """Return it as JSON, that of `Figures` with more keys; empty without figures."""
        if self.figures is None:
            return ""
        before = json.loads(self.before.to_json()) if self.before else None
        values = json.loads(self.figures.to_json())
        return json.dumps({**values, "before": before, "overfits": self.overfits})

    @classmethod
    def from_json(cls, text: str) -> Measured:
        """Read what `to_json` returned, or figures alone.

        Raises:
            ValueError: it is something else.
        """
        if not text:
            return cls()
        figures, values = Figures.from_json(text), json.loads(text)
        before = values.get("before")
        return cls(
            figures,
            Figures.from_json(json.dumps(before)) if before else None,
            str(values.get("overfits", "")),
        )
