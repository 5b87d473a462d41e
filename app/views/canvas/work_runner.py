"""Works out slow edits off the window's thread, one after the other."""

from __future__ import annotations

import dataclasses
import logging
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QThreadPool, Signal, Slot

from app.document.edit import Edit
from app.document.stroke import Region, without
from app.views.tools.tool import Pending
from mdlstm_core.errors import InputError

_log = logging.getLogger(__name__)


@dataclass
class _Work:
    """One computation under way.

    Attributes:
        image: the image that the edit is for.
        is_awaited: whether it must not be lost, as what a gesture comes to must not.
        later: what was painted on that image since, which the edit must leave alone.
    """

    image: Path
    pending: Pending
    is_awaited: bool
    later: list[Region] = field(default_factory=list)
    edit: Edit | None = None
    failure: str = ""
    done: threading.Event = field(default_factory=threading.Event)


class WorkRunner(QObject):
    """Runs computations in a thread and answers with their edits, in the order they began.

    Signals:
        edit_ready(Path, Edit): an edit of an image is worked out.
        done: a computation ended, with an edit or without.
        busy_changed(str): what is under way, empty if nothing is.
        failed(str): a computation broke off, and what that means.
        settled: nothing that must not be lost is being computed any more.
    """

    edit_ready = Signal(object, object)
    done = Signal()
    busy_changed = Signal(str)
    failed = Signal(str)
    settled = Signal()
    _computed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._queue: list[_Work] = []
        self._computed.connect(self._on_computed)

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._queue)

    @property
    def is_awaited(self) -> bool:
        """Whether anything is under way that must not be lost."""
        return any(work.is_awaited for work in self._queue)

    def start(self, image: Path, pending: Pending, *, is_awaited: bool) -> None:
        """Compute as soon as what began before is done.

        Args:
            image: that the edit is for.
            pending: what to compute.
            is_awaited: whether `finish` waits for it, else drops it.
        """
        self._queue.append(_Work(image, pending, is_awaited))
        if len(self._queue) == 1:
            self._start_next()

    def note(self, image: Path, region: Region) -> None:
        """Keep what is computed at present off pixels that were painted meanwhile."""
        for work in self._queue:
            if work.image == image:
                work.later.append(region)

    def cancel(self) -> bool:
        """Drop everything under way, without a trace; return whether there was anything."""
        was_busy = self.is_busy
        self._queue = []
        if was_busy:
            self.busy_changed.emit("")
            self.settled.emit()
        return was_busy

    def finish(self) -> None:
        """Wait for what must not be lost and drop the rest: the image may go."""
        queue, self._queue = self._queue, []
        for place, work in enumerate(queue):
            if work.is_awaited:
                if place == 0:  # it is being computed
                    work.done.wait()
                else:
                    _compute(work)
                self._hand_on(work)
        if queue:
            self.busy_changed.emit("")

    def _start_next(self) -> None:
        if self._queue:
            work = self._queue[0]
            self.busy_changed.emit(work.pending.text)
            QThreadPool.globalInstance().start(partial(self._run, work))
        else:
            self.busy_changed.emit("")

    def _run(self, work: _Work) -> None:
        """Compute, in a thread of the pool."""
        _compute(work)
        self._computed.emit(work)

    @Slot(object)
    def _on_computed(self, work: _Work) -> None:
        if self._queue and self._queue[0] is work:  # else it was dropped or waited for
            self._queue.remove(work)
            self._hand_on(work)
            self._start_next()
            if work.is_awaited and not self.is_awaited:
                self.settled.emit()

    def _hand_on(self, work: _Work) -> None:
        edit = work.edit and _without_later(work.edit, work.later)
        if edit is not None:
            self.edit_ready.emit(work.image, edit)
        if work.failure:
            self.failed.emit(work.failure)
        self.done.emit()


def _compute(work: _Work) -> None:
    try:
        work.edit = work.pending.compute()
    except InputError as error:
        work.failure = str(error)
    except Exception:
        _log.exception("%s failed on %s", work.pending.text, work.image)
        work.failure = f"{work.pending.text} failed, nothing was changed; see the log."
    finally:
        work.done.set()


def _without_later(edit: Edit, later: list[Region]) -> Edit | None:
    """Return an edit as if it had come before what was painted meanwhile."""
    mask = without(edit.region, later)
    if not mask.any():
        return None
    labels = edit.labels
    if not isinstance(labels, int):
        labels = labels[mask[edit.region.mask]]
    return dataclasses.replace(edit, region=Region(edit.region.box, mask), labels=labels)
