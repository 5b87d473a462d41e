"""`mdlstm average`: one model of several that went on from the same weights."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from app.cli.common import add_command, add_json_option, print_result, progress_bar
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder

_EXAMPLES = """examples:
  mdlstm average a.safetensors b.safetensors --out mine.safetensors --measure-on datasets/stanford
  mdlstm average a.safetensors --out mine.safetensors --measure-on datasets/stanford \\
    --prefer mountain=0.6 --scales 1 2
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = add_command(
        commands,
        "average",
        "take the mean of models that were trained from the same weights",
        _EXAMPLES,
        "Take the mean of the weights of models that were trained on from the same weights, "
        "then calibrate it.",
    )
    parser.add_argument("models", nargs="+", metavar="NAME|FILE", help="models of one network")
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint to write")
    parser.add_argument(
        "--measure-on",
        type=Path,
        required=True,
        metavar="DATASET",
        help="folder with images/, labels/ and classes.json, of which none was learned from",
    )
    parser.add_argument("--list", type=Path, metavar="FILE", help="its stems (val.txt)")
    parser.add_argument(
        "--prefer",
        type=_preference,
        action="append",
        default=[],
        metavar="CLASS=AMOUNT",
        help="what to add to the logit of a class that is found too rarely",
    )
    parser.add_argument(
        "--scales",
        type=float,
        nargs="+",
        metavar="SCALE",
        help="predict from the mean of looks at these sizes (default: the models' own)",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Average, calibrate, measure and write."""
    folder: Path = options.measure_on
    dataset = LabeledFolder(folder, options.list or folder / "val.txt")
    if len(preferred := dict(options.prefer)) < len(options.prefer):
        raise InputError("--prefer names a class twice; name it once.")

    from mdlstm_core.checkpoint import load_checkpoint, save_checkpoint
    from mdlstm_core.training.averaging import averaged, fitted_to

    models = [load_checkpoint(model) for model in options.models]
    if options.scales:
        models = [model.with_scales(options.scales) for model in models]
    mean = averaged(models)
    make_folder(options.out.absolute().parent)
    with progress_bar(len(dataset), "image") as bar:
        found = fitted_to(mean, dataset, preferred, lambda _done: bar.update())
    save_checkpoint(found, options.out)
    accuracy = found.metrics["pixel_accuracy"]
    told = f"{options.out}: {accuracy:.4f} pixel accuracy on the images of {folder}"
    print_result(options, {"out": str(options.out), "pixel_accuracy": accuracy}, told)


def _preference(text: str) -> tuple[str, float]:
    name, _, amount = text.rpartition("=")
    try:
        found = float(amount)
    except ValueError:
        found = math.nan
    if not name or not math.isfinite(found):
        raise argparse.ArgumentTypeError(f"{text} is not of the form CLASS=AMOUNT")
    return name, found
