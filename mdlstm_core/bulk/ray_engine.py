"""The engine on Ray Data; imported only when it is asked for."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import ray
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from mdlstm_core.bulk.engines import labeler_on_one_thread
from mdlstm_core.bulk.rows import Row
from mdlstm_core.bulk.sources import ImageRecord
from mdlstm_core.errors import InputError

if TYPE_CHECKING:
    from mdlstm_core.bulk.labeling import LabelingJob

_IMAGES_A_CALL = 8
"""Images that an actor takes at once: a call costs milliseconds."""

_BLOCK_BYTES = 256
"""Ray Data gathers rows up to this size before it hands them on; ours reach it at once."""

_QUEUE_BYTES = 4 << 20
"""Names and rows under way, all together."""

_STORE_BYTES = 128 << 20
"""Shared memory of a Ray that is started here; only names and rows go through it."""


class _Stream(Datasource):
    """Images as Ray Data reads them: one stream, in a process beside this one."""

    def __init__(self, records: Iterable[ImageRecord]) -> None:
        super().__init__()
        self._records = records

    @property
    def supports_distributed_reads(self) -> bool:
        """Whether any machine could read: a list or the rows so far may lie on this one alone."""
        return False

    def estimate_inmemory_data_size(self) -> int | None:
        """Return None: nobody has counted the images."""
        return None

    def get_read_tasks(self, *_arguments: Any, **_options: Any) -> list[ReadTask]:
        """Return the one task."""
        records = self._records
        unknown = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        return [ReadTask(lambda: _blocks(records), unknown)]


def _blocks(records: Iterable[ImageRecord]) -> Iterator[pa.Table]:
    stream = iter(records)
    while some := list(islice(stream, _IMAGES_A_CALL)):
        yield pa.Table.from_pylist([record._asdict() for record in some])


class _Actor:
    """A process that holds the model."""

    def __init__(self, job: LabelingJob) -> None:
        self._labeler = labeler_on_one_thread(job)

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = [
            self._labeler.label_image(ImageRecord(**values))._asdict()
            for values in batch.to_pylist()
        ]
        return pa.Table.from_pylist(rows, schema=_SCHEMA)


_SCHEMA = pa.schema(
    [(name, pa.float64() if name == "seconds" else pa.string()) for name in Row._fields]
)


def label_with_ray(records: Iterable[ImageRecord], job: LabelingJob, workers: int) -> Iterator[Row]:
    """Label on the cluster that RAY_ADDRESS names, or on a Ray of this computer's own.

    Args:
        records: the images; they are read in another process.
        job: the same for all.
        workers: actors, each with one thread, and with a GPU if the job asks for cuda.

    Raises:
        InputError: Ray cannot be started.
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
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.target_max_block_size = _BLOCK_BYTES
        context.target_min_block_size = 1
        context.execution_options.resource_limits = context.execution_options.resource_limits.copy(
            object_store_memory=_QUEUE_BYTES
        )
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        labeled = ray.data.read_datasource(_Stream(records), override_num_blocks=1).map_batches(
            _Actor,
            fn_constructor_args=(job,),
            batch_size=_IMAGES_A_CALL,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=1 if job.device == "cuda" else 0,
        )
        for values in labeled.iter_rows():
            yield Row(**values)
    finally:
        ray.shutdown()


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
