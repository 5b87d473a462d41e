"""`mdlstm predict`: label images and save their label maps."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from app.cli import bulk
from app.cli.common import (
    NoticePrinter,
    add_command,
    add_device_option,
    add_json_option,
    add_model_option,
    progress_bar,
    raise_left_out,
)
from mdlstm_core.data.images import find_images, read_image
from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder
from mdlstm_core.formats.indexed_png import save_indexed_png
from mdlstm_core.formats.overlay_png import save_overlay_png

if TYPE_CHECKING:
    from mdlstm_core.predictor import Predictor

_EXAMPLES = """examples:
  mdlstm predict photo.jpg --out labels
  mdlstm predict photos/ more/one.png --out labels --overlay
  mdlstm predict photos/ --out labels --model mine.safetensors --device cpu
  mdlstm predict wires.jpg --out labels --pixels 500000
  mdlstm predict --engine processes --workers 8 archive/ --out labeled
  mdlstm predict --engine ray s3://bucket/list.parquet --column path --out labeled --table parquet

With --engine there is one SOURCE: a folder with all folders inside, a text file with a path a
line, or a Parquet file, here or on a file system that pyarrow opens. The target then has masks/
and results.jsonl, a row an image; the same command again goes on where a run was stopped.
Exit code 2 if an image could not be labeled; all others are.
"""


class _Job(NamedTuple):
    """An image and the files that are written for it; `overlay` is None if none is."""

    image: Path
    label_map: Path
    overlay: Path | None

    @property
    def targets(self) -> list[Path]:
        """The files to write."""
        return [self.label_map] if self.overlay is None else [self.label_map, self.overlay]

    def row(self, failure: InputError | None) -> dict[str, str | None]:
        """Return what became of it as JSON values."""
        written = [None if path is None or failure else str(path) for path in self[1:]]
        return {
            "image": str(self.image),
            "mask": written[0],
            "overlay": written[1],
            "error": None if failure is None else str(failure),
        }


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = add_command(
        commands,
        "predict",
        "label images",
        _EXAMPLES,
        "Write for each image an indexed PNG of its size: index = class.",
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="images or folders; with --engine one SOURCE"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    add_json_option(parser)
    parser.add_argument(
        "--overlay", action="store_true", help="also write STEM_overlay.png: the colours laid over"
    )
    add_model_option(parser)
    add_device_option(parser)
    bulk.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Label every image that can be read; then report those that cannot.

    Raises:
        InputError: nothing was written, or, at the end, an image could not be labeled.
    """
    if options.engine is not None:
        bulk.run(options)
        return
    jobs = _plan(find_images([Path(p) for p in options.paths]), options.out, options.overlay)

    from mdlstm_core.checkpoint import load_checkpoint
    from mdlstm_core.kernels import select_kernel
    from mdlstm_core.predictor import Predictor

    predictor = Predictor(load_checkpoint(options.model).looking_at(options.pixels), options.device)
    # All images through one kernel: the same call gives the same to the last bit.
    select_kernel(device=predictor.device.device, wait=True)
    make_folder(options.out)
    notices = NoticePrinter()
    notices.show(predictor.notice)
    failures: dict[Path, InputError] = {}
    with progress_bar(len(jobs), "image") as bar:
        for job in jobs:
            try:
                notices.show(_label(job, predictor))
            except InputError as error:
                failures[job.image] = error
            except MemoryError:
                message = f"There is not enough memory to label {job.image}; close other programs."
                failures[job.image] = InputError(message)
            bar.update()
    if options.json:
        rows = [job.row(failures.get(job.image)) for job in jobs]
        sys.stdout.write(json.dumps({"images": rows}, ensure_ascii=False) + "\n")
    raise_left_out(list(failures.values()), InputError)


def _plan(images: list[Path], out: Path, with_overlay: bool) -> list[_Job]:
    """Decide what is written where.

    Raises:
        InputError: two images would be written to one file, or over an image.
    """
    jobs = [
        _Job(
            image,
            out / f"{image.stem}.png",
            out / f"{image.stem}_overlay.png" if with_overlay else None,
        )
        for image in images
    ]
    sources = {image.resolve() for image in images}
    writers: dict[Path, Path] = {}
    for job in jobs:
        for target in job.targets:
            if target in writers:
                raise InputError(
                    f"{writers[target]} and {job.image} would both be written to {target}; "
                    "label them into two folders."
                )
            if target.resolve() in sources:
                raise InputError(f"{target} is one of the images; choose another folder for --out.")
            writers[target] = job.image
    return jobs


def _label(job: _Job, predictor: Predictor) -> str:
    """Label one image, write its files and return the notice of the prediction."""
    image = read_image(job.image)
    # The files are kept: they must not depend on how much of the GPU's memory is free.
    found = predictor.predict(image, exact=True)
    label_map = found.label_map
    save_indexed_png(label_map, predictor.classes, job.label_map)
    if job.overlay is not None:
        save_overlay_png(image, label_map, predictor.classes, job.overlay)
    return found.notice
