"""What a training run leaves beside its checkpoint."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mdlstm_core.errors import InputError
from mdlstm_core.files import write_whole
from mdlstm_core.training.curves import draw_curves


class RunFiles:
    """The files of one run: FILE.run.json, FILE.log.jsonl, FILE.curves.png, FILE.state.

    All methods raise `InputError` when a file cannot be written.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.state = self._beside(checkpoint, "state")
        self._description = self._beside(checkpoint, "run.json")
        self._log = self._beside(checkpoint, "log.jsonl")
        self._curves = self._beside(checkpoint, "curves.png")

    @staticmethod
    def _beside(checkpoint: Path, ending: str) -> Path:
        return checkpoint.with_name(f"{checkpoint.name}.{ending}")

    def start(self, checkpoints: Sequence[Path]) -> None:
        """Put what an earlier run to the same files left aside, as FILE.previous and so on."""
        ours = (self.state, self._description, self._log, self._curves)
        for path in (*checkpoints, *ours):
            try:
                path.replace(path.with_name(f"{path.name}.previous"))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise InputError(f"{path} cannot be replaced: {error.strerror}.") from error
        write_whole(self._log, b"")

    def describe(self, settings: dict[str, Any], kernel: str, device: str, processes: int) -> None:
        """Write what is trained, with which versions and on what machine."""
        packages = ("torch", "numpy", "opencv-python-headless")
        description = {
            **settings,
            "device": device,
            "kernel": kernel,
            "processes": processes,
            "python": platform.python_version(),
            "system": platform.platform(),
            "versions": {name: version(name) for name in packages},
        }
        write_whole(self._description, json.dumps(description, indent=1).encode())

    def log(self, line: dict[str, Any]) -> None:
        """Append an epoch's line to the log, and draw the curves again."""
        try:
            with self._log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            lines = [json.loads(text) for text in self._log.read_text("utf-8").splitlines()]
        except OSError as error:
            raise InputError(f"{self._log} cannot be written: {error.strerror}.") from error
        write_whole(self._curves, draw_curves(lines))
