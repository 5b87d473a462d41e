"""Checkpoints that are to join a project's timeline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from app.document.steps import Roles
from app.storage.changes import CheckpointRow, NewCheckpoint, SaveCheckpoints


class NewModel(NamedTuple):
    """A checkpoint that is to join the timeline; see `CheckpointRow` for the rest.

    Attributes:
        origin: "start", "learned" or "imported".
        checkpoint: its bytes.
    """

    origin: str
    checkpoint: bytes
    strokes: int = 0
    strokes_hash: str = ""
    figures: str = ""


def joining(
    models: list[NewModel],
    first: int,
    roles: Roles | None,
    names: tuple[str, ...] | None,
    *,
    serves: bool,
) -> SaveCheckpoints:
    """Return the change that adds checkpoints.

    Args:
        models: at least one, oldest first.
        first: number of the first one.
        roles: the checkpoints that the project works with; None if it has none yet.
        names: what the models call the label at each place; None if that stays.
        serves: whether the last one serves from then on.
    """
    made = []
    created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    for number, model in enumerate(models, first):
        marks = model.strokes, model.strokes_hash, model.figures
        row = CheckpointRow(number, created, model.origin, *marks, size=len(model.checkpoint))
        made.append(NewCheckpoint(row, model.checkpoint))
    roles = roles or Roles(first, first)
    if serves:
        roles = Roles(roles.base, made[-1].row.number)
    return SaveCheckpoints(tuple(made), roles, names)
