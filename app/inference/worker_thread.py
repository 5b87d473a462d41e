"""A thread that Python knows for as long as it runs."""

from __future__ import annotations

from PySide6.QtCore import QThread


class WorkerThread(QThread):
    """A thread for workers whose slots import native libraries.

    In a plain QThread every slot gets a Python thread state of its own, which is freed when it
    returns. pybind11 keeps that of the slot in which the first library built with it is
    imported: torch up to 2.11 wrote into it in the next slot, and the program crashed at the
    first image (pybind11, pull request 5870). Here one state holds all slots, since `run` is
    Python's.
    """

    def run(self) -> None:
        """Serve events until `quit`."""
        self.exec()
