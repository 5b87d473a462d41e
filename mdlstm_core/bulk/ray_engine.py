"""The engine on Ray Data; imported only when it is asked for."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import ray
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask
from ray.exceptions import RayActorError, RayError

from mdlstm_core.bulk.engines import killer_row, labeler_on_one_thread
from mdlstm_core.bulk.rows import Row
from mdlstm_core.bulk.sources import ImageRecord
from mdlstm_core.errors import InputError

if TYPE_CHECKING:
    from mdlstm_core.bulk.labeling import Labeler, LabelingJob

_IMAGES_A_CALL = 8
"""Images that an actor takes at once: a call costs milliseconds."""

_NOBODY = ""
"""The id in the row of an actor that cannot label, with the reason as its error."""

_RESTARTS = 100
"""Of an actor that an image ended, or that ends whenever it loads the model."""

_BLOCK_BYTES = 256
"""Ray Data gathers rows up to this size before it hands them on; ours reach it at once."""

_QUEUE_BYTES = 4 << 20
"""Names and rows under way, all together."""

_STORE_BYTES = 128 << 20
"""Shared memory of a Ray that is started here; only names and rows go through it."""

_log = logging.getLogger(__name__)


class _Stream(Datasource):
    """Images as Ray Data reads them: one stream, in a process beside this one."""

    def __init__(self, records: Iterable[ImageRecord], at_once: int) -> None:
        super().__init__()
        self._records = records
        self._at_once = at_once

    @property
    def supports_distributed_reads(self) -> bool:
        """Whether any machine could read: a list or the rows so far may lie on this one alone."""
        return False

    def estimate_inmemory_data_size(self) -> int | None:
        """Return None: nobody has counted the images."""
        return None

    def get_read_tasks(self, *_arguments: Any, **_options: Any) -> list[ReadTask]:
        """Return the one task."""
        records, at_once = self._records, self._at_once
        unknown = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        return [ReadTask(lambda: _blocks(records, at_once), unknown)]


def _blocks(records: Iterable[ImageRecord], at_once: int) -> Iterator[pa.Table]:
    stream = iter(records)
    while some := list(islice(stream, at_once)):
        yield pa.Table.from_pylist([record._asdict() for record in some])


class _Actor:
    """A process that holds the model."""

    def __init__(self, job: LabelingJob) -> None:
        self._labeler: Labeler | None = None
        try:
            self._labeler = labeler_on_one_thread(job)
        except InputError as error:
            self._fault = str(error)

    def __call__(self, batch: pa.Table) -> pa.Table:
        if self._labeler is None:
            # Of an exception Ray would hand on a text of many lines.
            rows = [Row(_NOBODY, "", None, 0.0, self._fault)]
        else:
            records = (ImageRecord(**values) for values in batch.to_pylist())
            rows = [self._labeler.label_image(record) for record in records]
        return pa.Table.from_pylist([row._asdict() for row in rows], schema=_SCHEMA)


_SCHEMA = pa.schema(
    [(name, pa.float64() if name == "seconds" else pa.string()) for name in Row._fields]
)


def label_with_ray(records: Iterable[ImageRecord], job: LabelingJob, workers: int) -> Iterator[Row]:
    """Label on the cluster that RAY_ADDRESS names, or on a Ray of this computer's own.

    Args:
        records: the images that have no row yet; they are read in another process, and again
            if an image ended an actor.
        job: the same for all.
        workers: actors, each with one thread, and with a GPU if the job asks for cuda.

    Raises:
        InputError: Ray cannot be started or goes down; the source cannot be read, or the
            model or the device be used.
    """
    # Before it starts: nothing is reported to anyone, and only what concerns the user said.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        _start(workers)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise InputError(f"Ray cannot be started: {error}.") from error
    try:
        yield from _all_rows(records, job, workers)
    except RayError as error:
        cause = getattr(error, "cause", None)
        # To what the cause says, Ray adds lines of its own.
        said = str(cause or error).partition("\n")[0]
        if not isinstance(cause, InputError):
            said = f"Ray ended the run ({said.rstrip('.')}); its logs say more."
        raise InputError(said) from error
    finally:
        ray.shutdown()


def _all_rows(records: Iterable[ImageRecord], job: LabelingJob, workers: int) -> Iterator[Row]:
    try:
        yield from _rows(records, job, workers, images_a_call=_IMAGES_A_CALL)
    except RayActorError:
        _log.warning("An image ended the process that labeled it; going on one by one.")
    else:
        return
    # Each for itself, so that it is known which one.
    ray.data.DataContext.get_current().max_errored_blocks = -1
    yield from _rows(records, job, workers, images_a_call=1)
    for record in records:
        yield killer_row(record)


def _rows(
    records: Iterable[ImageRecord], job: LabelingJob, workers: int, images_a_call: int
) -> Iterator[Row]:
    """Label the images.

    Raises:
        RayActorError: an image ended the actors that labeled it.
        InputError: an actor cannot use the model or the device.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = _BLOCK_BYTES if images_a_call > 1 else 1
    context.target_min_block_size = 1
    context.execution_options.resource_limits = context.execution_options.resource_limits.copy(
        object_store_memory=_QUEUE_BYTES
    )
    # What it has to say comes as an exception too.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    stream = _Stream(records, images_a_call)
    # One after the other where each is for itself: what waits for an actor is lost with it, too.
    pool = ray.data.ActorPoolStrategy(
        size=workers, max_tasks_in_flight_per_actor=1 if images_a_call == 1 else None
    )
    with warnings.catch_warnings():
        # Retries can be said in no other way before Ray 2.64, which takes this one away.
        warnings.filterwarnings("ignore", message=".*ray_remote_args.* is deprecated")
        labeled = ray.data.read_datasource(stream, override_num_blocks=1).map_batches(
            _Actor,
            fn_constructor_args=(job,),
            batch_size=images_a_call,
            batch_format="pyarrow",
            compute=pool,
            num_cpus=1,
            num_gpus=1 if job.device == "cuda" else 0,
            max_restarts=_RESTARTS,
            max_task_retries=1,
        )
    for values in labeled.iter_rows():
        if values["id"] == _NOBODY:
            raise InputError(values["error"])
        yield Row(**values)


def _start(workers: int) -> None:
    if ray.is_initialized() or "RAY_ADDRESS" in os.environ:
        ray.init(log_to_driver=False, ignore_reinit_error=True)
        return
    ray.init(
        # One more reads the names.
        num_cpus=workers + 1,
        object_store_memory=_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
