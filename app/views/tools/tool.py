"""The interface of every drawing tool, and what a tool is told and answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter

from app.document.document import ImageDocument
from app.document.edit import Edit

BrushShape = Literal["round", "square"]
CutFrom = Literal["scribble", "rectangle"]


@dataclass(frozen=True)
class ToolOptions:
    """What the user set for the tools; `app.views.tools.options` tells ranges and words.

    Attributes:
        diameter: of brushes, in pixels of the image.
        label: the chosen class.
        color: the chosen class's colour.
        shape: of brushes; a square has the diameter as its side.
        tolerance: how far a colour may be off, a channel, 0 to 255.
        contiguous: whether the wand keeps to pixels that touch each other.
        superpixel_size: side of a superpixel, in pixels of the image, about.
        cut_from: what the scribble cut is given, a scribble on the thing or a box around it.
        amount: how far a region grows, shrinks or is smoothed, in pixels of the image.
        minimum_area: regions of fewer pixels are specks.
    """

    diameter: int
    label: int
    color: QColor
    shape: BrushShape = "round"
    tolerance: int = 24
    contiguous: bool = True
    superpixel_size: int = 20
    cut_from: CutFrom = "scribble"
    amount: int = 3
    minimum_area: int = 64


class ToolContext(NamedTuple):
    """What a gesture works on.

    Attributes:
        document: the image, what a person set and what the model says; tools only read it.
        options: what the user set.
        erasing: whether Shift is held, or the pen turned round, so that the tool takes back
            instead of setting.
        zoom: view pixels an image pixel.
    """

    document: ImageDocument
    options: ToolOptions
    erasing: bool
    zoom: float = 1.0


@dataclass(frozen=True)
class Pending:
    """An edit that takes long to work out.

    Attributes:
        compute: gives the edit, None if there is nothing to set. It is called in another
            thread, so it may read only what nobody changes.
        text: what the user reads meanwhile.
    """

    compute: Callable[[], Edit | None]
    text: str


class Pick(NamedTuple):
    """The class that the user chose on the image."""

    label: int


Outcome = Edit | Pending | Pick | None
"""What a gesture comes to; None if it is nothing, or if more clicks are to come."""


class Tool:
    """A tool follows one gesture at a time; the document changes only when it ends.

    Most tools need one drag, from press to release, and say in `outcome` what it comes to.

    Attributes:
        hint: what the tool does and what modifier keys change, for the status line.
    """

    hint: ClassVar[str] = ""

    def __init__(self) -> None:
        self._context: ToolContext | None = None
        self._points: list[tuple[float, float]] = []

    @property
    def is_active(self) -> bool:
        """Whether a gesture is under way."""
        return self._context is not None

    def press(self, x: float, y: float, context: ToolContext, pressure: float = 1.0) -> None:
        """Begin a gesture at a point of the image, or go on with one of several clicks.

        Args:
            x: in pixels of the image; the first pixel's centre is at 0.5.
            y: likewise.
            context: what the gesture works on.
            pressure: of the pen, 0 to 1.
        """
        self._context, self._points = context, [(x, y)]

    def move(self, x: float, y: float, pressure: float = 1.0) -> None:
        """Follow the pen."""
        if self._context is not None:
            self._points.append((x, y))

    def release(self) -> Outcome:
        """Follow the pen up, which ends a drag, and return what it comes to."""
        context, points = self._context, self._points
        self.abort()
        return None if context is None else self.outcome(points, context)

    def outcome(self, points: list[tuple[float, float]], context: ToolContext) -> Outcome:
        """Return what a drag along points comes to."""
        raise NotImplementedError

    def finish(self) -> Outcome:
        """End the gesture now: Enter, a double click, another tool or another image."""
        return self.release()

    def remove_last(self) -> bool:
        """Take back the last click of several; return whether there was one to take back."""
        return False

    def abort(self) -> bool:
        """Drop the gesture, without a trace; return whether there was one."""
        was_active = self._context is not None
        self._context, self._points = None, []
        return was_active

    def hover(self, x: float, y: float, context: ToolContext) -> Pending | None:
        """Look at what the pointer is over, between gestures.

        Returns:
            what the preview needs and takes long to work out, if anything; when it is done,
            the preview is painted again.
        """
        return None

    def preview_area(self, pointer: tuple[float, float], options: ToolOptions) -> QRectF:
        """Return the part of the image where the preview changes with the pointer."""
        return QRectF(pointer[0], pointer[1], 0, 0)

    def paint_preview(
        self, painter: QPainter, pointer: tuple[float, float], options: ToolOptions
    ) -> None:
        """Draw the gesture under way and the pen's size, in the image's coordinates."""


@dataclass(frozen=True)
class ToolSpec:
    """A tool as menus and panels show it; every module of a tool has one, `TOOL`.

    Attributes:
        name: unique, by which the tool is found again.
        text: as the menu shows it.
        shortcut: the key that chooses the tool.
        icon: its name in the Material Design Icons (QtAwesome's `mdi6.` set).
        order: where it stands among the tools.
        make: the tool's class.
        options: names of the `ToolOptions` that the tool uses, as a panel shows them.
    """

    name: str
    text: str
    shortcut: str
    icon: str
    order: int
    make: type[Tool]
    options: tuple[str, ...] = ()

    @property
    def hint(self) -> str:
        """What the tool does and what modifier keys change, for the status line."""
        return self.make.hint
