"""The interface of every drawing tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from PySide6.QtGui import QColor, QPainter

from app.document.document import ImageDocument
from app.document.edit import Edit


@dataclass(frozen=True)
class ToolOptions:
    """What the user set for the tools.

    Attributes:
        diameter: of brushes, in pixels of the image.
        label: the chosen class.
        color: the chosen class's colour.
    """

    diameter: int
    label: int
    color: QColor


class ToolContext(NamedTuple):
    """What a gesture works on.

    Attributes:
        document: the image, what a person set and what the model says; tools only read it.
        options: what the user set.
        erasing: whether Shift is held, so that the tool takes back instead of setting.
    """

    document: ImageDocument
    options: ToolOptions
    erasing: bool


class Tool(Protocol):
    """A tool follows one gesture at a time; the document changes only when it ends.

    Attributes:
        name: what the user reads.
        hint: what it does and what modifier keys change.
    """

    name: str
    hint: str

    def press(self, x: float, y: float, context: ToolContext) -> None:
        """Begin a gesture at a point of the image."""

    def move(self, x: float, y: float) -> None:
        """Follow the pen."""

    def release(self) -> Edit | None:
        """End the gesture and return what it sets, None if that is nothing."""

    def abort(self) -> bool:
        """Drop the gesture, without a trace; return whether there was one."""

    def paint_preview(
        self, painter: QPainter, pointer: tuple[float, float], options: ToolOptions
    ) -> None:
        """Draw the gesture under way and the pen's size, in the image's coordinates."""
