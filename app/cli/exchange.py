"""What `mdlstm export` and `mdlstm import` share: options, table, and what is reported."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.cli.common import (
    add_json_option,
    is_confirmed,
    print_result,
    progress_bar,
    raise_left_out,
)
from mdlstm_core.config import LabelClass
from mdlstm_core.data.images import image_size
from mdlstm_core.errors import InputError
from mdlstm_core.formats.class_mapping import ClassMapping, map_classes, mapping_table
from mdlstm_core.formats.exchange import LabelMap, LabelSource, Record
from mdlstm_core.formats.reading import read_text
from mdlstm_core.formats.registry import BUILT_IN

Check = Callable[[Record, LabelMap], None]


def add_exchange_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of both commands."""
    parser.add_argument(
        "--format",
        required=True,
        metavar="NAME",
        help=f"{', '.join(sorted(BUILT_IN))}, or one that a package adds",
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="CLASS=NAME",
        help="give a class another name; NAME ignore takes its labels away (repeatable)",
    )
    parser.add_argument("--list", type=Path, metavar="FILE", help="names to take, one a line (all)")
    parser.add_argument(
        "--ignore-value",
        type=int,
        default=255,
        metavar="N",
        help="value of pixels without a label in files of class ids (default: %(default)s)",
    )
    parser.add_argument("--dry-run", action="store_true", help="show the classes, write nothing")
    parser.add_argument(
        "--yes", action="store_true", help="on a terminal, write without asking after the table"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument(
        "--skip-broken",
        action="store_true",
        help="leave out images that cannot be used, instead of writing nothing",
    )
    add_json_option(parser)


def mapping_of(
    options: argparse.Namespace,
    source: LabelSource,
    target: tuple[LabelClass, ...] | None = None,
) -> ClassMapping:
    """Return what the source's classes become.

    Raises:
        InputError: an option `--map` does not fit.
    """
    return map_classes(source.classes, target, renames_of(options))


def renames_of(options: argparse.Namespace) -> dict[str, str]:
    """Return what the options `--map` say.

    Raises:
        InputError: one is not of the form CLASS=NAME.
    """
    renames: dict[str, str] = {}
    for text in options.map:
        name, equals, wanted = text.partition("=")
        if not (name and equals and wanted):
            raise InputError(f"--map {text!r} must be CLASS=NAME.")
        renames[name] = wanted
    return renames


def chosen(source: LabelSource, list_file: Path | None) -> LabelSource:
    """Return the records that a list names, all without one.

    Raises:
        InputError: the list cannot be read, or names what there is not.
    """
    if list_file is None:
        return source
    by_name = {record.name: record for record in source.records}
    names = [line.strip() for line in read_text(list_file).splitlines() if line.strip()]
    for name in names:
        if name not in by_name:
            raise InputError(f"{list_file} names {name}, which the source does not have.")
    return LabelSource(source.classes, tuple(by_name[name] for name in dict.fromkeys(names)))


class Run:
    """One run of a command: what is left out, and the report at the end.

    Attributes:
        kept: names of images whose labels stay as they are.
    """

    def __init__(self, options: argparse.Namespace, mapping: ClassMapping, place: Path) -> None:
        """Begin, and print the table of classes.

        Args:
            options: of the command.
            mapping: what each class becomes.
            place: where is written.
        """
        self._options = options
        self._mapping = mapping
        self._place = place
        self._failures: dict[str, InputError] = {}
        self._is_refused = False
        self.kept: list[str] = []
        if not options.json:
            sys.stdout.write(mapping_table(mapping) + "\n")
            sys.stdout.flush()

    def may_write(self) -> bool:
        """Return whether to write: not with `--dry-run`, and not if the user says no."""
        if self._options.dry_run:
            return False
        self._is_refused = not is_confirmed(self._options, f"Write to {self._place}?")
        return not self._is_refused

    def sound(self, records: tuple[Record, ...], check: Check | None = None) -> tuple[Record, ...]:
        """Return the records that can be used; all, unless `--skip-broken` is given.

        Without it, the first one that cannot be used ends the run later, and nothing is
        written.

        Args:
            records: the records.
            check: raises `InputError` if a record and its label map cannot be written.
        """
        if not self._options.skip_broken or self._options.dry_run:
            return records
        return tuple(record for record in records if self._is_sound(record, check))

    def progress(self, source: LabelSource) -> tuple[LabelSource, tqdm[Any]]:
        """Return the source with a bar that moves when a record is loaded."""
        bar = progress_bar(len(source.records), "image")

        def counted(record: Record) -> Record:
            def load() -> Any:
                label_map = record.load()
                bar.update()
                return label_map

            return record._replace(load=load)

        return LabelSource(source.classes, tuple(counted(r) for r in source.records)), bar

    def leave_out(self, failures: Mapping[str, InputError]) -> None:
        """Note why records were left out, by name."""
        self._failures |= failures

    def report(self, written: int) -> None:
        """Print what was done.

        Raises:
            IncompleteError: something was left out.
        """
        print_result(self._options, self._json(written), self._text(written))
        raise_left_out(list(self._failures.values()))

    def _is_sound(self, record: Record, check: Check | None) -> bool:
        try:
            label_map = record.load()
            if record.image is not None:
                image_size(record.image)
            if check:
                check(record, label_map)
        except InputError as error:
            self._failures[record.name] = error
            return False
        return True

    def _text(self, written: int) -> str:
        if self._options.dry_run:
            return "Nothing was written (--dry-run)."
        if self._is_refused:
            return "Nothing was written."
        text = f"{written} images written to {self._place}."
        if self.kept:
            text += (
                f"\n{len(self.kept)} images keep the labels they have; --overwrite replaces them."
            )
        return text

    def _json(self, written: int) -> dict[str, Any]:
        return {
            "format": self._options.format,
            "dry_run": self._options.dry_run,
            "classes": [row._asdict() for row in self._mapping.rows],
            "written": written,
            "kept": self.kept,
            "broken": {name: str(error) for name, error in self._failures.items()},
        }
