"""`mdlstm texture`: label one image by its textures, from scribbles alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.cli.common import (
    add_command,
    add_json_option,
    add_seed_option,
    notice_if_cut_off,
    number,
    print_result,
    progress_bar,
    whole_number,
)
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.data.images import read_image, read_label_map
from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder
from mdlstm_core.formats.indexed_png import save_indexed_png
from mdlstm_core.palette import default_color

_EXAMPLES = """examples:
  mdlstm texture rock.jpg --scribbles strokes.png --out labels.png
  mdlstm texture rock.jpg --scribbles strokes.png --out labels.png --steps 800
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = add_command(
        commands,
        "texture",
        "label one image by its textures, from scribbles",
        _EXAMPLES,
        "Learn the textures of one image from a few strokes and label all of it.",
    )
    parser.add_argument("image", type=Path, help="the image to label")
    parser.add_argument(
        "--scribbles",
        type=Path,
        required=True,
        metavar="PNG",
        help="8-bit class indices, 255 where there is no stroke",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="PNG", help="the label map to write"
    )
    parser.add_argument("--steps", type=whole_number(1), default=400, help="(default: %(default)s)")
    parser.add_argument(
        "--seconds",
        type=number(0, ends=False),
        default=120.0,
        help="at most so long (default: %(default)s)",
    )
    add_seed_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Learn and write the label map.

    Raises:
        InputError: a file cannot be read or written, or the scribbles do not fit.
    """
    if options.out.resolve() in (options.image.resolve(), options.scribbles.resolve()):
        raise InputError(f"{options.out} is one of the inputs; choose another file for --out.")
    image, scribbles = read_image(options.image), read_label_map(options.scribbles)

    from mdlstm_core.learning.texture import TextureOptions, segment_texture

    how = TextureOptions(steps=options.steps, seconds=options.seconds, seed=options.seed)
    make_folder(options.out.absolute().parent)
    done = 0
    with progress_bar(how.steps, "step") as bar:

        def show(step: int, _loss: float) -> None:
            nonlocal done
            done = step
            bar.update()

        prediction = segment_texture(image, scribbles, how, show)
    notice_if_cut_off(done, how.steps, "--seconds")
    count = int(scribbles[scribbles != IGNORE_INDEX].max()) + 1
    classes = [LabelClass(f"texture {index}", default_color(index)) for index in range(count)]
    save_indexed_png(prediction.label_map, classes, options.out)
    found = {"image": str(options.image), "out": str(options.out), "textures": count}
    print_result(options, found, f"{options.out}: {count} textures")
