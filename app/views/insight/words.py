"""What the gate explorer calls things."""

from __future__ import annotations

from mdlstm_core.config import DIRECTIONS

STATE_NAMES = {
    "input": "Input gate",
    "forget_row": "Forget gate, from the row before",
    "forget_column": "Forget gate, from the column before",
    "output": "Output gate",
    "candidate": "Candidate",
    "cell": "Cell state",
    "hidden": "Output (hidden state)",
}
"""Every state that can be shown, in the order in which a cell computes them."""

SHORT_NAMES = {
    "input": "input",
    "forget_row": "forget row",
    "forget_column": "forget column",
    "output": "output gate",
    "candidate": "candidate",
    "cell": "cell",
    "hidden": "output",
}

ARROWS = dict(zip(DIRECTIONS, "↘↙↗↖", strict=True))
"""Where each direction's sweep runs to."""

ARROW_ICONS = dict(
    zip(
        DIRECTIONS,
        ("arrow-bottom-right", "arrow-bottom-left", "arrow-top-right", "arrow-top-left"),
        strict=True,
    )
)

DIRECTION_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")
"""Of the four directions: told apart by colour-blind eyes too (Okabe and Ito)."""

FINE_COLOR, BIAS_COLOR = "#56b4e9", "#8a8f98"
