"""The whole loop without a display: the real window, drawn offscreen, with real events."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from app.gate_pictures import NAMES, save_gate_pictures
from app.offscreen import PATIENCE_MS, draw, grab, wait
from app.samples import SAMPLE_STROKES
from app.session import LabelingSession
from app.views.main_window import MainWindow
from mdlstm_core.errors import InputError
from mdlstm_core.formats.overlay_png import save_overlay_png

_SIZE = (1280, 800)
_PICTURES = ("window", "changes", "timeline")
"""Drawn in the light and in the dark."""


def run_loop(session: LabelingSession, image: Path, out: Path) -> None:
    """Open the sample, correct, learn, export and look at gates; leave all of it in `out`.

    Writes mask.png, overlay.png, the window with the labels after learning,
    changes.png and timeline.png, which show what follows a training, all three also dark, and
    the views of the gate explorer.

    Raises:
        InputError: the image cannot be opened, a file cannot be written, or the model
            does not answer.
    """
    warnings: list[str] = []
    session.warned.connect(warnings.append)
    window = MainWindow(session)
    window.resize(*_SIZE)  # whatever size it had last, and wherever its panels stood
    window.docks.reset()
    window.show()

    def wait_for(what: str, is_done: Callable[[], bool]) -> None:
        if not wait(lambda: is_done() or bool(warnings)):
            raise InputError(f"{image} was not {what} within {PATIENCE_MS // 1000} s.")
        if warnings:
            raise InputError(warnings[0])

    exported: list[Path] = []
    session.exported.connect(exported.append)
    predictions: list[None] = []
    session.prediction_changed.connect(lambda: predictions.append(None))
    try:
        session.open_paths([image])
        wait_for("labeled", lambda: bool(predictions))
        _draw_corrections(window)
        # The gates' health before learning is told beside that after.
        window.docks.show("Gates")
        window.gates.tabs.choose("health")
        wait_for("looked into", lambda: bool(window.gates.health.shown))
        predictions.clear()
        window.actions_by_name["learn"].trigger()
        timeline = session.teacher.timeline
        wait_for("learned", lambda: not session.is_learning and not timeline.is_storing)
        predictions.clear()
        wait_for("labeled again", lambda: bool(predictions))
        wait_for("looked into", lambda: bool(window.gates.health.table.before))
        window.docks.show("Images")
        session.export_label_map(out / "mask.png")
        wait_for("exported", lambda: bool(exported))
        _save_pictures(window, out, wait_for)
    finally:
        window.close()
    pictures = [f"{name}{dark}.png" for name in _PICTURES for dark in ("", "-dark")]
    for name in ("mask.png", "overlay.png", *pictures, *NAMES):
        sys.stdout.write(f"{out / name}\n")


def _draw_corrections(window: MainWindow) -> None:
    """Paint the sample's corrections with the mouse."""
    document, model = window.session.document, window.session.model
    if document is None or model is None:
        return
    names = [c.name for c in model.classes]
    for name, points in SAMPLE_STROKES:
        window.classes.choose(names.index(name) if name in names else 0)
        draw(window, [(x * document.width, y * document.height) for x, y in points])


def _save_pictures(
    window: MainWindow, out: Path, wait_for: Callable[[str, Callable[[], bool]], None]
) -> None:
    document, model = window.session.document, window.session.model
    assert document is not None
    assert model is not None
    save_overlay_png(document.image, document.displayed, model.classes, out / "overlay.png")
    window.messages.hide()
    scheme = window.theme.scheme
    review = window.session.review.changes
    wait_for("compared", lambda: bool(review.compared))
    for ending, drawn in (("-dark.png", "dark"), (".png", "light")):
        window.theme.set_scheme(drawn)
        _wait_for_thumbnail(window, wait_for)
        for name in _PICTURES:
            window.docks.show({"window": "Learning"}.get(name, name.capitalize()))
            wait(lambda: True)  # let the panel come into view
            if name == "changes":
                review.step(1)
            grab(window, out / f"{name}{ending}")
            review.leave()
            window.canvas.fit()
    save_gate_pictures(window, out, wait_for)
    window.theme.set_scheme(scheme)  # closing stores it


def _wait_for_thumbnail(
    window: MainWindow, wait_for: Callable[[str, Callable[[], bool]], None]
) -> None:
    model = window.images.model
    wait_for("made small", lambda: model.thumbnails.get(model.shown[0]) is not None)
