"""What a training run leaves beside its checkpoint."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mdlstm_core import __version__
from mdlstm_core.errors import InputError
from mdlstm_core.files import write_whole
from mdlstm_core.training.curves import draw_curves


class RunFiles:
    """The files of one run: FILE.run.json, FILE.log.jsonl, FILE.curves.png, FILE.state.

    All methods raise `InputError` when a file cannot be written.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.state, self._description, self._log, self._curves = (
            checkpoint.parent / f"{checkpoint.name}.{ending}"
            for ending in ("state", "run.json", "log.jsonl", "curves.png")
        )
        self._lines: list[dict[str, Any]] = []

    @property
    def beside(self) -> tuple[Path, ...]:
        """The files beside the checkpoint."""
        return self.state, self._description, self._log, self._curves

    def start(self, checkpoints: Sequence[Path]) -> None:
        """Put what an earlier run to the same files left aside, as FILE.previous and so on."""
        for path in (*checkpoints, *self.beside):
            try:
                path.replace(_previous(path))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise InputError(f"{path} cannot be replaced: {error.strerror}.") from error
        self._write_log()

    @staticmethod
    def present_place(path: Path) -> Path:
        """Return where a file is now that `start` may have put aside."""
        return _previous(path) if not path.exists() and _previous(path).exists() else path

    def describe(self, run: dict[str, Any]) -> None:
        """Write what is trained, from what, with which versions and on what machine."""
        packages = ("torch", "numpy", "opencv-python-headless")
        description = {
            **run,
            "python": platform.python_version(),
            "system": platform.platform(),
            "versions": {"mdlstm": __version__} | {name: version(name) for name in packages},
        }
        write_whole(self._description, json.dumps(description, indent=1).encode())

    def log(self, line: dict[str, Any]) -> None:
        """Add an epoch's line to the log, and draw the curves again."""
        self._lines.append(line)
        self._write_log()
        write_whole(self._curves, draw_curves(self._lines))

    def go_on(self, epoch: int) -> None:
        """Take up the log of a run of so many epochs.

        Lines beyond them are dropped, for the run learns these epochs once more; and what a
        kill or a full disk has torn.
        """
        self._lines = [line for line in self._logged() if line["epoch"] <= epoch]
        self._write_log()

    def _write_log(self) -> None:
        text = "".join(json.dumps(line) + "\n" for line in self._lines)
        write_whole(self._log, text.encode())

    def _logged(self) -> list[dict[str, Any]]:
        try:
            texts = self._log.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{self._log} cannot be read: {error.strerror}.") from error
        lines = []
        for text in texts:
            # What is torn is no JSON.
            with suppress(ValueError):
                lines.append(json.loads(text))
        return lines


def check_apart(checkpoints: Sequence[Path]) -> None:
    """Check that a run's checkpoints are files of their own, the first one's being the run's.

    Raises:
        InputError: one would take the place of another, or of a file beside the first.
    """
    taken = {path.resolve() for path in RunFiles(checkpoints[0]).beside}
    for path in checkpoints:
        if path.resolve() in taken:
            raise InputError(
                f"{path} would be written twice; name another file for the checkpoint of each "
                "dataset (--out, --also)."
            )
        taken.add(path.resolve())


def _previous(path: Path) -> Path:
    return path.with_name(f"{path.name}.previous")
