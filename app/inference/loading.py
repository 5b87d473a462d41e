"""Loading models in their threads: torch is imported there, after the first window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdlstm_core.checkpoint import Checkpoint


def load_model(model: str | Path | bytes) -> Checkpoint:
    """Return the checkpoint of a shipped one's name, a file or bytes.

    Raises:
        InputError: it is damaged, or not there.
    """
    from mdlstm_core.checkpoint import checkpoint_from_bytes, load_checkpoint

    return checkpoint_from_bytes(model) if isinstance(model, bytes) else load_checkpoint(model)
