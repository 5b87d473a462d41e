"""Processes killed while they paint: no stroke that was acknowledged may be lost.

`python -m benchmarks.app_kills 200` kills 200 times and prints what was lost; how far it is
goes to the standard error.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import random
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.document.edit import Edit, edit_of_stroke
from app.document.stroke import Stroke
from mdlstm_core.config import IGNORE_INDEX, LabelClass

if TYPE_CHECKING:
    from app.session.stored_project import StoredProject

_SIDE = 8192
_MOST_OPERATIONS = 2000
_MOST_AHEAD = 200
"""Operations beyond the last acknowledged one that may have been stored, too."""

_UNDO_EACH = 7
_CLASSES = tuple(LabelClass(f"class {n}", (n, n, n)) for n in range(9))


def run(kills: int = 200) -> dict[str, int]:
    """Kill processes at random moments of scripted painting on an 8192×8192 image.

    Returns:
        kills: how many were killed.
        lost_strokes: strokes and undos that were acknowledged and are not in the project;
            all of them where the label map is not that of a moment of the script.
    """
    generator = random.Random(0)
    lost, begun = 0, time.monotonic()
    for kill in range(1, kills + 1):
        lost += _kill_once(generator)
        seconds = time.monotonic() - begun
        print(f"\r{kill} of {kills} killed, {seconds:.0f} s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {"kills": kills, "lost_strokes": lost}


def paint(folder: Path, acknowledged: Connection) -> None:
    """Paint the script, and send how many of its operations are acknowledged."""
    from PySide6.QtCore import QCoreApplication

    application = QCoreApplication([])
    stored = _opened(folder)
    image = folder / "large.png"
    numbers: list[int] = []
    stored.journal.stored.connect(
        lambda number: acknowledged.send(sum(recorded <= number for recorded in numbers))
    )
    for operation in range(_MOST_OPERATIONS):
        edit = _edit(operation)
        if edit is None:
            stored.project.undo()
        else:
            stored.project.edit(image, edit)
        numbers.append(stored.journal.last_number)
        application.processEvents()


def _kill_once(generator: random.Random) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        receiver, sender = multiprocessing.Pipe(duplex=False)
        painter = _processes().Process(target=paint, args=(folder, sender))
        painter.start()
        sender.close()  # the painter's end alone is open: its death ends what is received
        wanted, acknowledged = generator.randrange(60), 0
        while acknowledged < wanted:
            acknowledged = receiver.recv()
        time.sleep(generator.uniform(0, 0.05))
        painter.kill()
        acknowledged = _last(receiver, acknowledged)
        painter.join()
        receiver.close()
        return _lost(folder, acknowledged)


def _last(receiver: Connection, acknowledged: int) -> int:
    """Return what was said last: what came before the death counts too, half a word does not."""
    try:
        while True:
            acknowledged = receiver.recv()
    except EOFError:
        return acknowledged


@functools.cache
def _processes() -> multiprocessing.context.ForkServerContext:
    """Start processes from one that has imported what they need: that takes a second each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["app.document.edit", "app.session.stored_project"])
    return context


def _lost(folder: Path, acknowledged: int) -> int:
    """Return how many acknowledged operations are not in the project."""
    image = folder / "large.png"
    stored = _opened(folder)
    labels = stored.labels_of(image)
    stack = stored.project.undo_stack
    history = stack.index(), stack.count()
    stored.close()
    values = np.full((_SIDE, _SIDE), IGNORE_INDEX, np.uint8)
    found = values.copy() if labels is None else labels
    past: list[tuple[Edit, NDArray[np.uint8]]] = []
    differing, count = np.count_nonzero(found != IGNORE_INDEX), 0
    in_project = 0
    for operation in range(acknowledged + _MOST_AHEAD):
        differing += _replay(operation, values, past, found)
        count = len(past) if _edit(operation) else count
        # An undo brings the same pixels again: the history tells the moments apart.
        if differing == 0 and history == (len(past), count):
            in_project = operation + 1
            if in_project >= acknowledged:
                break  # nothing that follows can show a loss
    return max(0, acknowledged - in_project)


def _replay(
    operation: int,
    values: NDArray[np.uint8],
    past: list[tuple[Edit, NDArray[np.uint8]]],
    found: NDArray[np.uint8],
) -> int:
    """Do an operation by hand; return by how many more pixels the map differs from `found`."""
    edit = _edit(operation)
    if edit is None:
        edit, labels = past.pop()
    else:
        before = values[edit.region.box.slices][edit.region.mask]
        past.append((edit, before))
        labels = np.full_like(before, edit.labels)
    box, mask = edit.region
    wanted = found[box.slices][mask]
    old = values[box.slices][mask]
    values[box.slices][mask] = labels
    return int((labels != wanted).sum()) - int((old != wanted).sum())


@functools.lru_cache(_MOST_OPERATIONS)
def _edit(operation: int) -> Edit | None:
    """Return what an operation of the script sets; None for an undo."""
    if operation % _UNDO_EACH == _UNDO_EACH - 1:
        return None
    generator = np.random.default_rng(operation)
    # Strokes overlap, so that their order counts; each changes something.
    points = generator.uniform(3000, 3400, 2) + generator.uniform(-90, 90, (8, 2)).cumsum(axis=0)
    stroke = Stroke(tuple((float(x), float(y)) for x, y in points), 40, operation % 9)
    return edit_of_stroke(stroke, _SIDE, _SIDE)


def _opened(folder: Path) -> StoredProject:
    from app.document.label_map import LabelMap
    from app.session.stored_project import StoredProject

    stored = StoredProject()
    stored.open(folder / "killed.mdlp")
    stored.use_model_classes(_CLASSES)
    stored.shown = folder / "large.png"
    stored.project.set_corrections(stored.shown, LabelMap.empty(_SIDE, _SIDE))
    return stored


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]))))
