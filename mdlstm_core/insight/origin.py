"""Where figures come from, and the files that they are written to."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdlstm_core.files import write_whole
from mdlstm_core.insight.look import Look


@dataclass(frozen=True)
class Origin:
    """Where figures come from, for their descriptions and file names.

    Attributes:
        image: the image's file.
        image_size: its height and width.
        model: the model's name or file.
        look: which of the model's looks at the image.
        folder: where to write; it exists.
    """

    image: Path
    image_size: tuple[int, int]
    model: str
    look: Look
    folder: Path

    def path(self, name: str) -> Path:
        """Return the path of a file of that name, which the image's stem comes before."""
        return self.folder / f"{self.image.stem}_{name}"

    def to_json(self) -> dict[str, Any]:
        """Return what all descriptions say."""
        height, width = self.image_size
        return {
            "image": str(self.image),
            "image_size": {"height": height, "width": width},
            "model": self.model,
            "look": self.look.to_json(),
        }


def write_all(path: Path, contents: dict[str, bytes]) -> list[Path]:
    """Write files that differ in their suffix alone; return their paths.

    Raises:
        InputError: one cannot be written.
    """
    paths = [path.with_name(path.name + suffix) for suffix in contents]
    for target, content in zip(paths, contents.values(), strict=True):
        write_whole(target, content)
    return paths


def npy_bytes(values: NDArray[Any]) -> bytes:
    """Return an array as an NPY file."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def json_bytes(values: dict[str, Any]) -> bytes:
    """Return what describes values as a JSON file."""
    return (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode()
