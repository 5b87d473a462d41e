"""`mdlstm predict`: label images and save their label maps."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tqdm import tqdm

from app.cli.common import NoticePrinter, add_device_option, add_model_option
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


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = commands.add_parser(
        "predict",
        help="label images",
        description="Write for each image an indexed PNG of its size: index = class.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="images or folders")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    parser.add_argument(
        "--overlay", action="store_true", help="also write STEM_overlay.png: the colours laid over"
    )
    add_model_option(parser)
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Label every image that can be read; then report those that cannot.

    Raises:
        InputError: nothing was written, or, at the end, an image could not be labeled.
    """
    jobs = _plan(find_images(options.paths), options.out, options.overlay)

    from mdlstm_core.checkpoint import load_checkpoint
    from mdlstm_core.kernels import select_kernel
    from mdlstm_core.predictor import Predictor

    predictor = Predictor(load_checkpoint(options.model).looking_at(options.pixels), options.device)
    # All images through one kernel: the same call gives the same to the last bit.
    select_kernel(device=predictor.device.device, wait=True)
    make_folder(options.out)
    notices = NoticePrinter()
    notices.show(predictor.notice)
    failures: list[InputError] = []
    # disable=None: a bar on a terminal, none in a pipe.
    for job in tqdm(jobs, unit="image", disable=None):
        try:
            notices.show(_label(job, predictor))
        except InputError as error:
            failures.append(error)
        except MemoryError:
            message = f"There is not enough memory to label {job.image}; close other programs."
            failures.append(InputError(message))
    for failure in failures[:-1]:
        sys.stderr.write(f"mdlstm: {failure}\n")
    if failures:
        raise failures[-1]


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
