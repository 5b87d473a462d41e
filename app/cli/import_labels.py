"""`mdlstm import`: read labels that other programs wrote."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from app.cli.exchange import Run, add_exchange_options, chosen, mapping_of
from mdlstm_core.errors import InputError
from mdlstm_core.formats.dataset_folder import DatasetFolder, check_image
from mdlstm_core.formats.exchange import LabelSource, ReadOptions, WriteOptions
from mdlstm_core.formats.reading import listed_classes
from mdlstm_core.formats.registry import load_format
from mdlstm_core.formats.target import writing

_EXAMPLES = """examples:
  mdlstm import street-coco --format coco --out datasets/street
  mdlstm import VOC2012 --format voc --map person=people --dry-run --out datasets/voc
  mdlstm import masks/ --format id-png --images photos/ --ignore-value 0 --out datasets/mine
  mdlstm import cvat-export --format camvid --skip-broken --json --out datasets/mine
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = commands.add_parser(
        "import",
        help="read labels that other programs wrote",
        description="Add labels in another format to a dataset; see docs/formats.md. "
        "Labels that are there stay, unless --overwrite is given.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="file or folder in the format")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DATASET", help="the dataset to add to, or new"
    )
    add_exchange_options(parser)
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="the images, if they are not beside the labels"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Add the labels, all or none.

    Raises:
        InputError: nothing was written; or, at the end, an image was left out.
    """
    if options.out.is_file() or options.out.suffix == ".mdlp":
        raise InputError(f"{options.out} is not a dataset folder; import into a folder.")
    if options.images is not None and not options.images.is_dir():
        raise InputError(f"There is no folder {options.images}.")
    exchange_format = load_format(options.format)
    read_options = ReadOptions(images=options.images, ignore_value=options.ignore_value)
    source = chosen(exchange_format.read(options.source, read_options), options.list)
    mapping = mapping_of(options, source, listed_classes(options.out))
    current = Run(options, mapping)
    records = mapping.apply(source).records
    if not options.overwrite:
        labels = options.out / "labels"
        current.kept = [r.name for r in records if (labels / f"{r.name}.png").exists()]
        records = tuple(r for r in records if r.name not in set(current.kept))
    records = current.sound(records, partial(check_image, options.out))
    if options.dry_run or not records:
        current.report(0)
        return
    counted, bar = current.progress(LabelSource(mapping.classes, records))
    with bar, writing(options.out, overwrite=options.overwrite) as target:
        DatasetFolder().write(counted, target, WriteOptions())
    current.report(len(records))
