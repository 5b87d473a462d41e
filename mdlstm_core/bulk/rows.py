"""What a bulk run says of each image."""

from __future__ import annotations

import json
from typing import NamedTuple


class Row(NamedTuple):
    """The result for one image.

    Attributes:
        id: the image's, see `sources.ImageRecord`.
        image: its path or URI.
        mask: its label map's file, relative to the target; None if it could not be labeled.
        seconds: that it took, reading and writing included.
        error: why it could not be labeled, in a sentence; None if it was.
    """

    id: str
    image: str
    mask: str | None
    seconds: float
    error: str | None

    def to_line(self) -> bytes:
        """Return the row as a line of JSON."""
        # Escaped: a name of no valid UTF-8 could not be written otherwise.
        return json.dumps(self._asdict()).encode("ascii") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Row | None:
        """Return the row of a line, None of one that was only half written."""
        try:
            values = json.loads(line)
            return cls(**values) if line.endswith(b"\n") else None
        except (TypeError, ValueError):
            return None
