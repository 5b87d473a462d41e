"""Three ways to map `Labeler.label_image` over images: here, in processes, on Ray.

An engine takes the images, the job and a number of workers, and gives the rows as they are
done. It never has more than some images a worker under way, however many there are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mdlstm_core.bulk.rows import Row
from mdlstm_core.bulk.sources import ImageRecord
from mdlstm_core.errors import InputError

if TYPE_CHECKING:
    from mdlstm_core.bulk.labeling import Labeler, LabelingJob

Engine = Callable[[Iterable[ImageRecord], "LabelingJob", int], Generator[Row, None, None]]

_IMAGES_A_WORKER = 4
"""Images under way for each worker, so that none waits for the next."""


def inline(
    records: Iterable[ImageRecord], job: LabelingJob, _workers: int
) -> Generator[Row, None, None]:
    """Label in this process, on as many threads as torch takes.

    Raises:
        InputError: the model or the device cannot be used.
    """
    from mdlstm_core.bulk.labeling import Labeler

    yield from map(Labeler(job).label_image, records)


def processes(
    records: Iterable[ImageRecord], job: LabelingJob, workers: int
) -> Generator[Row, None, None]:
    """Label in processes of one thread each; one that dies is replaced.

    Raises:
        InputError: no process can be started, or load the model.
    """
    pool = _Pool(job, workers)
    try:
        yield from pool.rows(records)
    finally:
        pool.stop()


def ray(
    records: Iterable[ImageRecord], job: LabelingJob, workers: int
) -> Generator[Row, None, None]:
    """Label on Ray Data, by actors of one thread each, on this computer or a cluster.

    Raises:
        InputError: Ray is not installed or cannot be started.
    """
    try:
        from mdlstm_core.bulk.ray_engine import label_with_ray
    except ImportError as error:
        raise InputError(
            "The engine ray is not installed: pip install 'mdlstm-labeler[scale]', or take "
            "--engine processes."
        ) from error
    yield from label_with_ray(records, job, workers)


ENGINES: dict[str, Engine] = {"inline": inline, "processes": processes, "ray": ray}


class _Pool:
    """Processes that each hold the model."""

    def __init__(self, job: LabelingJob, workers: int) -> None:
        self._job = job
        self._workers = workers
        self._executor = self._started()

    def rows(self, records: Iterable[ImageRecord]) -> Iterator[Row]:
        """Label the images."""
        under_way: dict[Future[Row], ImageRecord] = {}
        for record in records:
            under_way[self._submit(record)] = record
            if len(under_way) >= self._workers * _IMAGES_A_WORKER:
                yield from self._finished(under_way)
        while under_way:
            yield from self._finished(under_way)

    def stop(self) -> None:
        """End the processes without waiting for images that nobody asks for any more."""
        self._executor.shutdown(cancel_futures=True)

    def _finished(self, under_way: dict[Future[Row], ImageRecord]) -> Iterator[Row]:
        """Give what is done, at least one row, and take it out."""
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
            # One image ended its process, and with it all that were under way.
            done = set(under_way)
        suspects = []
        for future in done:
            record = under_way.pop(future)
            if isinstance(future.exception(), BrokenProcessPool):
                suspects.append(record)
            else:
                yield future.result()
        if suspects:
            self._restart()
            yield from map(self._alone, suspects)

    def _alone(self, record: ImageRecord) -> Row:
        """Label an image while no other is under way, so that it is known which one kills."""
        future = self._submit(record)
        if isinstance(future.exception(), BrokenProcessPool):
            self._restart()
            return killer_row(record)
        return future.result()

    def _submit(self, record: ImageRecord) -> Future[Row]:
        try:
            with _deaf_to_interrupts():
                return self._executor.submit(_label, record)
        except BrokenProcessPool as error:
            broken: Future[Row] = Future()
            broken.set_exception(error)
            return broken

    def _restart(self) -> None:
        self.stop()
        self._executor = self._started()

    def _started(self) -> ProcessPoolExecutor:
        executor = ProcessPoolExecutor(
            self._workers,
            # A fork of a process with threads, as torch has, may hang.
            multiprocessing.get_context("spawn"),
            _start_worker,
            (self._job,),
        )
        try:
            with _deaf_to_interrupts():
                ready = executor.submit(os.getpid)
            ready.result()
        except BrokenProcessPool as error:
            raise InputError(
                "The processes that label ended while they loaded the model; "
                "close other programs or take fewer --workers."
            ) from error
        return executor


def killer_row(record: ImageRecord) -> Row:
    """Return the row of an image that twice ended the process that labeled it."""
    message = (
        f"{record.location} ended the process that labeled it, perhaps for want of memory; "
        "label it alone or leave it out."
    )
    return Row(record.id, record.location, None, 0.0, message)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that never hear Ctrl-C, which goes to all processes of a terminal.

    The first one ends the others. What it hears meanwhile, it is told afterwards.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_labeler: Labeler | None = None
"""The model of a worker's process."""

_labeling = threading.Lock()
"""Held while that process labels."""


def labeler_on_one_thread(job: LabelingJob) -> Labeler:
    """Return a labeler for a process that shares its computer with others of its kind.

    Raises:
        InputError: the model or the device cannot be used.
    """
    # Before torch is loaded: it asks once.
    os.environ["OMP_NUM_THREADS"] = "1"
    import cv2
    import torch

    from mdlstm_core.bulk.labeling import Labeler

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    return Labeler(job)


def _start_worker(job: LabelingJob) -> None:
    """Load the model, once a process."""
    global _labeler
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # For Windows, which has no masks of signals.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _labeler = labeler_on_one_thread(job)


def _end_with_parent() -> None:
    """End this process when the one that started it is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    parent.join()
    # Not in the middle of a file.
    with _labeling:
        os._exit(1)


def _label(record: ImageRecord) -> Row:
    assert _labeler is not None, "the process was started with a model"
    with _labeling:
        return _labeler.label_image(record)
