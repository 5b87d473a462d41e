"""What waits until a gesture on the image shown has come to its end."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Slot


class Drawing(QObject):
    """What the user is drawing, as far as the session must know of it.

    Attributes:
        may_leave: ends the gesture under way, and says whether all of it is worked out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.may_leave: Callable[[], bool] = lambda: True
        self._held: list[Callable[[], None]] = []

    def when_over(self, work: Callable[[], None]) -> None:
        """End the gesture under way and do something: at once, or when that is worked out."""
        if self.may_leave():
            work()
        else:
            self._held.append(work)

    @Slot()
    def go_on(self) -> None:
        """Do what waited: all is worked out."""
        held, self._held = self._held, []
        for work in held:
            work()
