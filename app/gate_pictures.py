"""Pictures of the gate explorer's views, for the documentation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from app.inference.insight_messages import (
    HealthAnswer,
    InsightAnswer,
    MapAnswer,
    PairAnswer,
    SheetAnswer,
)
from app.offscreen import draw, grab, point
from app.views.main_window import MainWindow

NAMES = (
    "gates.png",
    "gates-over.png",
    "gates-why.png",
    "gates-hiding.png",
    "gates-sweep.png",
    "gates-compare.png",
    "gates-health.png",
)

_POINTED = 0.50, 0.31
_PINNED = 0.30, 0.72
_HIDDEN = 12
"""Patches that are hidden in the picture; those nearest to the pixel come first."""

_STROKE = ((0.18, 0.62), (0.22, 0.80))
"""In shares of the image's width and height."""

WaitFor = Callable[[str, Callable[[], bool]], None]


class _Painter(NamedTuple):
    """What draws one picture after the other."""

    window: MainWindow
    out: Path
    wait_for: WaitFor
    answers: list[InsightAnswer]

    def wait(self, kind: type[InsightAnswer]) -> None:
        """Wait for an answer of a kind."""
        self.wait_for("looked into", lambda: any(isinstance(a, kind) for a in self.answers))
        self.answers.clear()

    def place(self, share: tuple[float, float]) -> tuple[float, float]:
        """Return a point of the image."""
        document = self.window.session.document
        assert document is not None
        return share[0] * document.width, share[1] * document.height

    def grab(self, name: str) -> None:
        """Write a picture."""
        self.window.messages.hide()
        grab(self.window, self.out / name)


def save_gate_pictures(window: MainWindow, out: Path, wait_for: WaitFor) -> None:
    """Write a picture of each view; the model has learned meanwhile, with the health in front.

    Raises:
        InputError: a file cannot be written, or the model does not answer.
    """
    answers: list[InsightAnswer] = []
    window.session.insight.answered.connect(answers.append)
    painter = _Painter(window, out, wait_for, answers)
    _maps(painter)
    _why(painter)
    window.theme.set_scheme("dark")
    _sweep(painter)
    window.theme.set_scheme("light")
    _compare_and_health(painter)


def _maps(painter: _Painter) -> None:
    panel = painter.window.gates
    panel.tabs.choose("maps")
    painter.window.actions_by_name["gates"].trigger()
    painter.wait(MapAnswer)
    point(painter.window, *painter.place(_POINTED))
    painter.grab("gates-over.png")
    panel.maps.sheet_button.setChecked(True)
    painter.wait(SheetAnswer)
    panel.mode.choose("beside")
    painter.wait(MapAnswer)
    point(painter.window, *painter.place(_POINTED))
    painter.grab("gates.png")
    panel.maps.sheet_button.setChecked(False)
    panel.mode.choose("over")
    painter.wait(MapAnswer)


def _why(painter: _Painter) -> None:
    """Pin a pixel, make a stroke near it, and show what that changed."""
    window, why = painter.window, painter.window.gates.why
    point(window, *painter.place(_PINNED))
    window.actions_by_name["why"].trigger()
    painter.wait_for("split", lambda: why.answer is not None and bool(why.answer.followed))
    draw(window, [painter.place(share) for share in _STROKE])
    painter.wait_for("compared", lambda: bool(why.changes.by_class) and why.context is not None)
    painter.grab("gates-why.png")
    why.kind.choose("hiding")
    painter.wait_for(
        "hidden",
        lambda: why.context is not None and np.isfinite(why.context.values).sum() > _HIDDEN,
    )
    why.units_button.setChecked(True)
    painter.grab("gates-hiding.png")
    why.units_button.setChecked(False)
    painter.answers.clear()


def _sweep(painter: _Painter) -> None:
    panel = painter.window.gates
    panel.tabs.choose("sweep")
    panel.mode.choose("beside")
    painter.wait(MapAnswer)
    point(painter.window, *painter.place(_POINTED))
    panel.sweep.to_pin.click()
    painter.grab("gates-sweep.png")


def _compare_and_health(painter: _Painter) -> None:
    panel = painter.window.gates
    panel.tabs.choose("compare")
    painter.wait(PairAnswer)
    point(painter.window, *painter.place(_POINTED))
    painter.grab("gates-compare.png")
    panel.tabs.choose("health")
    painter.wait(HealthAnswer)
    painter.grab("gates-health.png")
