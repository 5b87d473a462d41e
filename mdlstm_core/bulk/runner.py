"""A bulk run from its source to its table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mdlstm_core.bulk.engines import ENGINES
from mdlstm_core.bulk.labeling import LabelingJob
from mdlstm_core.bulk.locations import resolved
from mdlstm_core.bulk.results import MODEL, open_results
from mdlstm_core.bulk.rows import Row
from mdlstm_core.bulk.seen_ids import SeenIds
from mdlstm_core.bulk.sources import ImageRecord, ImageSource
from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.devices import select_device
from mdlstm_core.errors import InputError


class Summary(NamedTuple):
    """What a run did.

    Attributes:
        labeled: images that have a mask since.
        failed: images that have a row with an error since.
        kept: images that an earlier run had labeled.
        seconds: from the first to the last.
    """

    labeled: int
    failed: int
    kept: int
    seconds: float


@dataclass(frozen=True)
class Unlabeled:
    """The images of a source without those that have a row; other processes may ask too."""

    source: ImageSource
    index: Path

    def __iter__(self) -> Iterator[ImageRecord]:
        """Give the images one by one."""
        seen = SeenIds(self.index)
        try:
            for record in self.source:
                if record.id not in seen:
                    yield record
        finally:
            seen.close()


@dataclass(frozen=True)
class BulkOptions:
    """How to label.

    Attributes:
        engine: a name of `engines.ENGINES`.
        workers: processes or actors; of no account inline.
        device: "auto", "cpu" or "cuda".
    """

    engine: str
    workers: int
    device: str = "auto"


def label_in_bulk(
    source: ImageSource,
    target: Path,
    checkpoint: Checkpoint,
    options: BulkOptions,
    on_row: Callable[[Row], None] = lambda _row: None,
) -> Summary:
    """Label all images of a source that have no label map in the target yet.

    Args:
        source: the images.
        target: the folder to write into; with Ray on several machines, one that all share.
        checkpoint: the model.
        options: how.
        on_row: called with each new row, on the calling thread.

    Raises:
        InputError: source, target, device or engine cannot be used.
    """
    if source.location == resolved(str(target)):
        raise InputError(f"{target} holds the images themselves; choose another folder for --out.")
    device = options.device
    if device == "auto":
        # Here, once: on Ray an actor sees a GPU only if it asked for one.
        device = select_device().device.type
    start = time.perf_counter()
    labeled = failed = 0
    with open_results(target, source.location, checkpoint) as results:
        here = target.absolute()
        job = LabelingJob(str(here / MODEL), device, source.location, str(here))
        engine = ENGINES[options.engine]
        with closing(engine(Unlabeled(source, results.index), job, options.workers)) as rows:
            for row in rows:
                if results.add(row):
                    labeled += row.error is None
                    failed += row.error is not None
                    on_row(row)
        summary = Summary(labeled, failed, results.kept, time.perf_counter() - start)
    if labeled + failed + summary.kept == 0:
        raise InputError(f"{source.location} has no images.")
    return summary
