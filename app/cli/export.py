"""`mdlstm export`: write labels for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.cli.common import add_device_option, add_model_option
from app.cli.exchange import Run, add_exchange_options, chosen, mapping_of
from app.cli.model_labels import filled_by_model
from mdlstm_core.errors import InputError
from mdlstm_core.formats.dataset_folder import DatasetFolder
from mdlstm_core.formats.exchange import LabelSource, ReadOptions, WriteOptions
from mdlstm_core.formats.registry import load_format
from mdlstm_core.formats.target import writing

_EXAMPLES = """examples:
  mdlstm export datasets/street --format coco --out street-coco
  mdlstm export datasets/street --format coco --regions polygons --out street-coco
  mdlstm export datasets/street --format cityscapes --map tree=vegetation --dry-run --out city
  mdlstm export datasets/street --format indexed-png --labels all --model mine.safetensors --out m
  mdlstm export datasets/street --format areas-csv --out areas
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = commands.add_parser(
        "export",
        help="write labels for other programs",
        description="Write a dataset's labels in another format; see docs/formats.md.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="folder with images/, labels/ and classes.json")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    add_exchange_options(parser)
    parser.add_argument(
        "--labels",
        choices=("person", "all"),
        default="person",
        help="what a person set, or also the model's labels for the rest (default: %(default)s)",
    )
    parser.add_argument("--no-images", action="store_true", help="write only the labels")
    parser.add_argument(
        "--regions",
        choices=("polygons", "masks"),
        help="coco: masks (RLE) by default; labelme: polygons by default",
    )
    parser.add_argument(
        "--void-border", type=int, default=0, metavar="N", help="voc: pixels without a label (0)"
    )
    parser.add_argument(
        "--opacity", type=float, default=0.5, metavar="X", help="overlay: of the colours, 0 to 1"
    )
    parser.add_argument("--outlines", action="store_true", help="overlay: only the outlines")
    add_model_option(parser)
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the labels, all or none.

    Raises:
        InputError: nothing was written; or, at the end, an image was left out.
    """
    exchange_format = load_format(options.format)
    write_options = WriteOptions(
        ignore_value=options.ignore_value,
        images=not options.no_images,
        regions=options.regions,
        void_border=options.void_border,
        opacity=options.opacity,
        outlines=options.outlines,
    )
    source = _read(options.source)
    if options.labels == "all":
        source = filled_by_model(source, options)
    source = chosen(source, options.list)
    mapping = mapping_of(options, source)
    current = Run(options, mapping)
    exchange_format.check(mapping.classes)
    records = current.sound(mapping.apply(source).records)
    if options.dry_run or not records:
        current.report(0)
        return
    counted, bar = current.progress(LabelSource(mapping.classes, records))
    with bar, writing(options.out, overwrite=options.overwrite) as target:
        exchange_format.write(counted, target, write_options)
    current.report(len(records))


def _read(path: Path) -> LabelSource:
    if path.is_file():
        raise InputError(f"{path} is not a dataset folder; export a project from the window.")
    return DatasetFolder().read(path, ReadOptions())
