"""`mdlstm predict --engine`: label any number of images."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from app.cli.common import progress_bar
from mdlstm_core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from mdlstm_core.bulk.rows import Row
    from mdlstm_core.bulk.runner import Summary


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only a bulk run has."""
    group = parser.add_argument_group("any number of images")
    group.add_argument(
        "--engine",
        choices=("inline", "processes", "ray"),
        help="label here, in processes of one thread each, or on Ray Data (extra scale)",
    )
    group.add_argument(
        "--workers", type=int, metavar="N", help="processes or actors (default: one a core)"
    )
    group.add_argument(
        "--column", default="image", help="of a Parquet file: the paths (default: %(default)s)"
    )
    group.add_argument(
        "--table",
        choices=("jsonl", "parquet"),
        default="jsonl",
        help="parquet: also write results.parquet at the end (extra scale)",
    )


def run(options: argparse.Namespace) -> None:
    """Label what has no label map yet and print what was done.

    Raises:
        InputError: something given cannot be used, or an image could not be labeled.
    """
    if len(options.paths) != 1 or options.overlay:
        raise InputError("With --engine, give one SOURCE and no --overlay.")
    workers = _cores() if options.workers is None else options.workers
    if workers < 1:
        raise InputError(f"At least one of --workers is needed, not {workers}.")

    from mdlstm_core.bulk.results import TABLE
    from mdlstm_core.bulk.runner import BulkOptions, label_in_bulk
    from mdlstm_core.bulk.sources import open_source
    from mdlstm_core.bulk.tables import check_pyarrow, write_parquet
    from mdlstm_core.checkpoint import load_checkpoint

    if options.table == "parquet":
        check_pyarrow()
    source = open_source(options.paths[0], options.out, options.column)
    checkpoint = load_checkpoint(options.model).looking_at(options.pixels)
    how = BulkOptions(options.engine, workers, options.device)
    with progress_bar(None, "image") as bar:  # nobody counts the images beforehand

        def show(_row: Row) -> None:
            bar.update()

        try:
            summary = label_in_bulk(source, options.out, checkpoint, how, show)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("stopped; the same command goes on from here.") from None
    table = write_parquet(options.out) if options.table == "parquet" else options.out / TABLE
    _print(summary, table, as_json=options.json)
    if summary.failed:
        raise InputError(
            f"{summary.failed} of {sum(summary[:3])} images could not be labeled; {table} says why."
        )


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _print(summary: Summary, table: Path, *, as_json: bool) -> None:
    if as_json:
        text = json.dumps({**summary._asdict(), "table": str(table)}, ensure_ascii=False)
    else:
        rate = (summary.labeled + summary.failed) / summary.seconds
        before = f" {summary.kept} were labeled before." if summary.kept else ""
        text = f"{table}: {summary.labeled} images labeled, {rate:.1f} images a second.{before}"
    sys.stdout.write(text + "\n")
