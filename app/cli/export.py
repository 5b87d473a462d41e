"""`mdlstm export`: write labels for other programs."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.cli.common import NoticePrinter, add_command, add_device_option, add_model_option
from app.cli.exchange import Run, add_exchange_options, chosen, mapping_of
from app.cli.model_labels import filled_by_model
from app.exchange.exporting import labels_source
from app.exchange.model_fill import ModelFill, project_model, with_model
from app.exchange.project_access import reading_project
from app.exchange.project_view import view_of
from app.storage.project_file import ProjectFile
from mdlstm_core.data.images import read_image
from mdlstm_core.errors import InputError
from mdlstm_core.formats.dataset_folder import DatasetFolder
from mdlstm_core.formats.exchange import (
    LabelMap,
    LabelSource,
    ReadOptions,
    Record,
    WriteOptions,
)
from mdlstm_core.formats.images_out import image_of
from mdlstm_core.formats.registry import load_format
from mdlstm_core.formats.target import writing

_EXAMPLES = """examples:
  mdlstm export datasets/street --format coco --out street-coco
  mdlstm export photos/photos.mdlp --format indexed-png --out masks
  mdlstm export photos/photos.mdlp --format coco --labels all --done --out coco
  mdlstm export datasets/street --format coco --regions polygons --out street-coco
  mdlstm export datasets/street --format cityscapes --map tree=vegetation --dry-run --out city
  mdlstm export datasets/street --format indexed-png --labels all --model mine.safetensors --out m
  mdlstm export datasets/street --format areas-csv --out areas
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = add_command(
        commands,
        "export",
        "write labels for other programs",
        _EXAMPLES,
        "Write the labels of a project or a dataset in another format; see docs/formats.md.",
    )
    parser.add_argument(
        "source",
        type=Path,
        help="a project (.mdlp), or a folder with images/, labels/ and classes.json",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    add_exchange_options(parser)
    parser.add_argument(
        "--labels",
        choices=("person", "all"),
        default="person",
        help="what a person set, or also the model's labels for the rest (default: %(default)s)",
    )
    parser.add_argument("--done", action="store_true", help="only images of a project marked done")
    parser.add_argument("--no-images", action="store_true", help="write only the labels")
    _add_format_options(parser)
    add_model_option(parser, default=None)
    add_device_option(parser)
    parser.set_defaults(run=run)


def _add_format_options(parser: argparse.ArgumentParser) -> None:
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
    with _source(options) as whole:
        source = chosen(whole, options.list)
        mapping = mapping_of(options, source)
        current = Run(options, mapping, options.out)
        exchange_format.check(mapping.classes)
        needs = {"never": False, "asked": write_options.images, "always": True}
        check = _check_image if needs[exchange_format.needs_images] else None
        records = current.sound(mapping.apply(source).records, check)
        if not records or not current.may_write():
            current.report(0)
            return
        counted, bar = current.progress(LabelSource(mapping.classes, records))
        with bar, writing(options.out, overwrite=options.overwrite) as target:
            exchange_format.write(counted, target, write_options)
    current.report(len(records))


def _check_image(record: Record, _label_map: LabelMap) -> None:
    """Read a record's image: what is copied must be whole too.

    Raises:
        InputError: it is not there, or damaged.
    """
    read_image(image_of(record))


@contextmanager
def _source(options: argparse.Namespace) -> Iterator[LabelSource]:
    """Give the labels of the project or dataset, filled by a model if that is asked for."""
    path: Path = options.source
    if path.is_file() or path.suffix == ".mdlp":
        with reading_project(path) as file:
            yield _of_project(file, options)
        return
    if options.done:
        raise InputError(f"--done is for projects; {path} is none.")
    source = DatasetFolder().read(path, ReadOptions())
    yield filled_by_model(source, options) if options.labels == "all" else source


def _of_project(file: ProjectFile, options: argparse.Namespace) -> LabelSource:
    view = view_of(file)
    images = [found for found in view.images if found.status == "done" or not options.done]
    if options.labels == "person":
        return labels_source(view, images)
    checkpoint = project_model(file, options.model).looking_at(options.pixels)
    classes = with_model(view.classes, checkpoint)
    labels = classes.labels_of([c.name for c in checkpoint.classes])
    fill = ModelFill(checkpoint, options.device, labels, NoticePrinter().show)
    return labels_source(dataclasses.replace(view, classes=classes), images, fill)
