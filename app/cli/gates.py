"""`mdlstm gates`: what the network's gates do over an image, as pictures and values."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from app.cli.common import (
    NoticePrinter,
    add_device_option,
    add_model_option,
    number,
    progress_bar,
)
from mdlstm_core.config import DIRECTIONS, STATES
from mdlstm_core.data.images import read_image
from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder
from mdlstm_core.insight.look import explained_look

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tqdm import tqdm

    from mdlstm_core.insight.look import Look
    from mdlstm_core.insight.origin import Origin
    from mdlstm_core.insight.queries import Components, GateQuery, Pixel, Strongest
    from mdlstm_core.insight.recording import Recording
    from mdlstm_core.predictor import Predictor

    _Unit = int | Strongest | Components | None

_EXAMPLES = """examples:
  mdlstm gates photo.jpg --out gates
  mdlstm gates photo.jpg --out gates --layer 1 --gate forget_row forget_column
  mdlstm gates photo.jpg --out gates --direction top-left --reduce unit 5
  mdlstm gates photo.jpg --out gates --gate hidden --reduce strongest 120,80
  mdlstm gates photo.jpg --out gates --reduce pca --contact-sheet --health
  mdlstm gates photo.jpg --out gates --gate cell --diagonal 30
  mdlstm gates photo.jpg --out gates --at 120,80 --class road --json
  mdlstm gates photo.jpg --out gates --gate cell --model before.safetensors \\
      --compare after.safetensors
"""

_REDUCTIONS = "mean, unit N, strongest X,Y or pca"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = commands.add_parser(
        "gates",
        help="show what the gates do over an image",
        description="Write gates of the 2D-LSTM layers as maps: for each a picture with its "
        "colour bar (PNG), the values (NPY), and what they are (JSON). Layers and units count "
        "from 1, pixels from 0.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    parser.add_argument("--layer", type=int, nargs="+", metavar="N", help="(default: the last)")
    parser.add_argument("--direction", nargs="+", choices=DIRECTIONS, default=list(DIRECTIONS))
    parser.add_argument("--gate", nargs="+", choices=STATES, default=list(STATES))
    parser.add_argument(
        "--reduce",
        nargs="+",
        default=["mean"],
        metavar="HOW",
        help=f"what to show of the hidden units: {_REDUCTIONS} (default: mean)",
    )
    parser.add_argument(
        "--diagonal",
        type=int,
        metavar="N",
        help="maps as far as the sweep has got when its wavefront is at diagonal N, from 1; "
        "what the pixel of --at cannot know of is paler",
    )
    parser.add_argument(
        "--contact-sheet", action="store_true", help="also all gates and directions on one picture"
    )
    parser.add_argument(
        "--health", action="store_true", help="also saturation of gates, growth of the cell state"
    )
    parser.add_argument(
        "--at", metavar="X,Y", help="also why this class at a pixel: parts of the logits, context"
    )
    parser.add_argument("--class", dest="class_name", metavar="NAME", help="for --at (the best)")
    parser.add_argument(
        "--seconds",
        type=number(0, ends=False),
        default=10.0,
        help="for hiding patches at --at (%(default)s)",
    )
    parser.add_argument(
        "--compare",
        metavar="NAME|FILE",
        help="also the maps of a second model, and the difference; its health, beside the first's",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_model_option(parser)
    add_device_option(parser)
    parser.set_defaults(run=run)


class _Other(NamedTuple):
    """The way of the model of `--compare` over the image, and what it is of."""

    recording: Recording
    origin: Origin


@dataclass(frozen=True)
class _Work:
    """A model over an image, and what was found of it.

    All is found before any of it is written: a question that has no answer leaves no files.
    """

    predictor: Predictor
    image: NDArray[np.uint8]
    recording: Recording
    origin: Origin
    bar: tqdm[Any]
    other: _Other | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    writings: list[Callable[[], list[Path]]] = field(default_factory=list)

    def later(self, write: Callable[..., list[Path]], *found: object) -> None:
        """Write what was found when all is."""
        self.writings.append(partial(write, *found))
        self.bar.update()

    def write(self) -> None:
        """Write the files, and note their names for the answer."""
        make_folder(self.origin.folder)
        self.answer["files"] = [str(file) for write in self.writings for file in write()]


def run(options: argparse.Namespace) -> None:
    """Write what is asked for and name the files."""
    image, unit = read_image(options.image), _unit(options.reduce)
    pixel = None if options.at is None else _pixel(options.at, "--at")
    if pixel is None and options.class_name is not None:
        raise InputError("--class chooses the logit of a pixel; name the pixel with --at.")
    if options.diagonal is not None and options.compare is not None:
        raise InputError("--diagonal shows the sweep of one model; leave --compare out.")

    from mdlstm_core.insight.origin import Origin
    from mdlstm_core.insight.recording import check_pixel, size_of

    if pixel is not None:
        check_pixel(pixel, size_of(image))
    predictor = _predictor(options.model, options)
    class_index = _class_index(options, predictor)
    layers = [layer - 1 for layer in options.layer or [len(predictor.layer_units)]]
    recorded = None if options.health else layers
    recording = predictor.record(image, recorded, logits=pixel is not None)
    NoticePrinter().show(recording.notice)
    _check_diagonal(options.diagonal, recording, layers)
    look = explained_look(predictor.checkpoint.config)
    origin = Origin(options.image, size_of(image), str(options.model), look, options.out)
    queries = [
        _queries(layer, options.direction, options.gate, unit) for layer in dict.fromkeys(layers)
    ]
    other = _other(options, image, recorded, origin)
    with progress_bar(_results(options, queries), "map") as bar:
        work = _Work(predictor, image, recording, origin, bar, other, {"look": look.to_json()})
        for of_layer in queries:
            _find_maps(work, of_layer, pixel, options)
            if options.contact_sheet:
                _find_sheet(work, of_layer[0].layer, unit)
        if options.health:
            _find_health(work)
        if pixel is not None:
            _find_context(work, pixel, class_index, options.seconds)
    work.write()
    _report(work.answer, look, options)


def _results(options: argparse.Namespace, queries: Sequence[Sequence[GateQuery]]) -> int:
    """Return how often `_Work.later` will be called."""
    sheets = len(queries) if options.contact_sheet else 0
    of_pixel = 0 if options.at is None else 3  # contributions, gradient, hidden patches
    return sum(len(of_layer) for of_layer in queries) + sheets + options.health + of_pixel


def _predictor(model: str, options: argparse.Namespace) -> Predictor:
    from mdlstm_core.checkpoint import load_checkpoint
    from mdlstm_core.kernels import select_kernel
    from mdlstm_core.predictor import Predictor

    predictor = Predictor(load_checkpoint(model).looking_at(options.pixels), options.device)
    # All through one kernel: the same call gives the same to the last bit.
    select_kernel(device=predictor.device.device, wait=True)
    NoticePrinter().show(predictor.notice)
    return predictor


def _other(
    options: argparse.Namespace, image: NDArray[np.uint8], layers: Sequence[int] | None, of: Origin
) -> _Other | None:
    """Record the model of `--compare`, if there is one."""
    if options.compare is None:
        return None
    predictor = _predictor(options.compare, options)
    look = explained_look(predictor.checkpoint.config)
    recording = predictor.record(image, layers, logits=False)
    return _Other(recording, replace(of, model=str(options.compare), look=look))


def _queries(
    layer: int, directions: Sequence[str], gates: Sequence[str], unit: _Unit
) -> list[GateQuery]:
    from mdlstm_core.insight.queries import GateQuery

    return [
        GateQuery(layer, DIRECTIONS.index(direction), gate, unit)
        for direction in dict.fromkeys(directions)
        for gate in dict.fromkeys(gates)
    ]


def _check_diagonal(diagonal: int | None, recording: Recording, layers: Sequence[int]) -> None:
    """Check that every layer has the diagonal.

    Raises:
        InputError: one has not.
    """
    from mdlstm_core.insight.sweep import check_diagonal

    if diagonal is not None:
        for layer in layers:
            rows, columns = recording.inputs[layer].shape[1:3]
            check_diagonal(diagonal - 1, layer, rows, columns)


def _find_maps(
    work: _Work, queries: Sequence[GateQuery], pixel: Pixel | None, options: argparse.Namespace
) -> None:
    """Find the maps of a layer, as far as the sweep has got or whole, of one model or two."""
    from mdlstm_core.insight.export import save_map, save_pair, save_sweep
    from mdlstm_core.insight.gates import compare, gate_maps

    if work.other is None:
        for found in gate_maps(work.recording, queries):
            if options.diagonal is None:
                work.later(save_map, found, work.origin)
            else:
                work.later(save_sweep, found, options.diagonal - 1, work.origin, pixel)
        return
    for query in queries:
        pair = compare(work.recording, work.other.recording, query)
        work.later(save_pair, pair, work.origin, work.other.origin)


def _find_sheet(work: _Work, layer: int, unit: _Unit) -> None:
    from mdlstm_core.insight.export import save_contact_sheet
    from mdlstm_core.insight.gates import gate_maps

    maps = gate_maps(work.recording, _queries(layer, DIRECTIONS, STATES, unit))
    work.later(save_contact_sheet, maps, work.origin)


def _find_health(work: _Work) -> None:
    from mdlstm_core.insight.export_figures import save_health
    from mdlstm_core.insight.health import health, health_table

    found = health(work.recording)
    work.answer["table"] = health_table(found)
    if work.other is None:
        work.later(save_health, found, work.origin)
    else:
        before, (recording, origin) = found, work.other
        found = health(recording)
        work.later(save_health, found, origin, before)
        work.answer["before"] = [row.to_json() for row in before]
        work.answer["table"] = (
            f"{work.origin.model}\n{health_table(before)}\n{origin.model}\n{health_table(found)}"
        )
    work.answer["health"] = [row.to_json() for row in found]


def _find_context(work: _Work, pixel: Pixel, class_index: int | None, seconds: float) -> None:
    """Find the parts of a pixel's logits, and the context of one of them."""
    from mdlstm_core.insight.contributions import contributions
    from mdlstm_core.insight.export import save_context
    from mdlstm_core.insight.export_figures import contributions_to_json, save_contributions
    from mdlstm_core.insight.queries import ContextQuery

    names = [label_class.name for label_class in work.predictor.classes]
    parts = contributions(work.recording, pixel)
    work.later(save_contributions, parts, work.origin, names)
    work.answer["logits"] = contributions_to_json(parts, names)
    query = ContextQuery(pixel, class_index, seconds=seconds)
    gradient = work.predictor.gradient(work.image, query)
    work.later(save_context, gradient, "gradient", work.origin, names[gradient.class_index])
    hidden = work.predictor.occlusion(work.image, query)
    work.later(save_context, hidden, "occlusion", work.origin, names[hidden.class_index])


def _report(answer: dict[str, Any], look: Look, options: argparse.Namespace) -> None:
    """Print the answer, for reading or as JSON."""
    table = answer.pop("table", None)
    if options.json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
        return
    if table is not None:
        sys.stdout.write(table + "\n")
    if "logits" in answer:
        sys.stdout.write(f"Of {look}:\n")
    for name, parts in answer.get("logits", {}).get("classes", {}).items():
        summands = "  ".join(f"{d} {v:+.3f}" for d, v in parts["directions"].items())
        rest = f"fine {parts['fine']:+.3f}  bias {parts['bias']:+.3f}"
        sys.stdout.write(f"{name:12} {parts['logit']:+.3f} = {summands}  {rest}\n")
    sys.stdout.write(f"{options.out}: {len(answer['files'])} files\n")


def _unit(words: Sequence[str]) -> _Unit:
    """Return what `--reduce` asks for.

    Raises:
        InputError: it asks for nothing that there is.
    """
    from mdlstm_core.insight.queries import Components, Strongest

    match words:
        case ["mean"]:
            return None
        case ["pca"]:
            return Components()
        case ["strongest", where]:
            return Strongest(_pixel(where, "--reduce strongest"))
        case ["unit", number] if number.isdecimal() and int(number) > 0:
            return int(number) - 1
    raise InputError(f"--reduce: expected {_REDUCTIONS}, given {' '.join(words)}.")


def _pixel(text: str, option: str) -> Pixel:
    """Return the pixel that an option names.

    Raises:
        InputError: it is not of the form X,Y.
    """
    from mdlstm_core.insight.queries import Pixel

    x, _, y = text.partition(",")
    if not (x.isdecimal() and y.isdecimal()):
        raise InputError(f"{option}: expected X,Y in whole pixels such as 120,80, given {text}.")
    return Pixel(int(x), int(y))


def _class_index(options: argparse.Namespace, predictor: Predictor) -> int | None:
    """Return the class that `--class` names, None for the most probable one.

    Raises:
        InputError: the model has no such class.
    """
    names = [label_class.name for label_class in predictor.classes]
    if options.class_name is not None and options.class_name not in names:
        raise InputError(f"--class: the model labels {', '.join(names)}, not {options.class_name}.")
    return None if options.class_name is None else names.index(options.class_name)
