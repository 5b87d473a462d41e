"""Loading models in their threads: torch is imported there, after the first window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdlstm_core.checkpoint import Checkpoint


def load_model(model: str | Path | bytes, pixels: int | None = None) -> Checkpoint:
    """Return the checkpoint of a shipped one's name, a file or bytes.

    Args:
        model: which.
        pixels: how many of an image it is to look at (see `Checkpoint.looking_at`).

    Raises:
        InputError: it is damaged, or not there.
    """
    from mdlstm_core.checkpoint import checkpoint_from_bytes, load_checkpoint

    found = checkpoint_from_bytes(model) if isinstance(model, bytes) else load_checkpoint(model)
    return found.looking_at(pixels)
