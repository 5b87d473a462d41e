"""`mdlstm train`: a network from scratch on a labeled dataset."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from app.cli.common import (
    NoticePrinter,
    add_command,
    add_device_option,
    add_json_option,
    add_seed_option,
    number,
    print_result,
    whole_number,
)
from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder
from mdlstm_core.freed_memory import keep_freed
from mdlstm_core.presets import PRESET_NAMES, preset

if TYPE_CHECKING:
    from mdlstm_core.training.options import TrainingOptions
    from mdlstm_core.training.sources import Source
    from mdlstm_core.training.trainer import Trainer

_EXAMPLES = """examples:
  mdlstm train datasets/stanford --preset scene --out scene.safetensors
  mdlstm train datasets/stanford --preset byeon2015-5x5 --epochs 100 --out paper.safetensors
  mdlstm train datasets/stanford --preset scene --out scene.safetensors --resume
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = add_command(commands, "train", "train a network from scratch", _EXAMPLES)
    parser.add_argument("dataset", type=Path, help="folder with images/, labels/ and classes.json")
    parser.add_argument("--preset", choices=PRESET_NAMES, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint to write")
    parser.add_argument("--train-list", type=Path, help="stems to train on (train.txt)")
    parser.add_argument("--val-list", type=Path, help="stems to measure on (val.txt)")
    parser.add_argument("--epochs", type=whole_number(1), default=40)
    parser.add_argument("--batch", type=whole_number(1), default=8, help="images a step")
    add_seed_option(parser)
    parser.add_argument(
        "--learning-rate", type=number(0, ends=False), default=2e-3, help="the highest"
    )
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument(
        "--start-from",
        metavar="START",
        help="begin with the weights of a model (name or file) or of another run (its FILE.state)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from OUT.state")
    _add_other_datasets(parser)
    _add_balance(parser)
    _add_looks(parser)
    add_device_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def _add_other_datasets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--also",
        nargs=2,
        action="append",
        default=[],
        metavar=("DATASET", "OUT"),
        help="another dataset, learned at once by a head of its own, and its checkpoint",
    )
    parser.add_argument(
        "--same",
        action="append",
        default=[],
        type=_pair,
        metavar="THEIRS=OURS",
        help="a class of the other datasets that DATASET calls otherwise, such as sea=water",
    )
    parser.add_argument(
        "--first-share",
        type=number(0, 1, ends=False),
        default=0.4,
        metavar="SHARE",
        help="share of the views that come from DATASET, with --also (default: %(default)s)",
    )


def _add_balance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--balance",
        type=number(0, 1, ends=True),
        default=0.0,
        help="how much more rare classes count, 0 to 1",
    )
    parser.add_argument(
        "--prefer-rare",
        type=number(0, 1, ends=True),
        default=0.0,
        metavar="SHARE",
        help="how much more probable rare classes become at the end, 0 to 1",
    )


def _add_looks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pixels",
        type=whole_number(1),
        metavar="N",
        help="look at images of at most N pixels: quicker, and a start for a whole run",
    )
    parser.add_argument(
        "--scales",
        type=float,
        nargs="+",
        metavar="SCALE",
        help="predict from the mean of looks at these sizes, 1 for that of --pixels "
        "(default: the preset's)",
    )
    parser.add_argument(
        "--mirrored",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether each look is taken of the mirror image too (default: the preset's)",
    )


def run(options: argparse.Namespace) -> None:
    """Train; Ctrl-C keeps the best checkpoint so far."""
    from mdlstm_core.devices import select_device
    from mdlstm_core.training.processes import joined, own_device
    from mdlstm_core.training.run_files import check_apart
    from mdlstm_core.training.trainer import Trainer

    check_apart([options.out, *(Path(out) for _, out in options.also)])
    device = own_device(select_device(options.device).device)
    # Joined before anything is read: of what all of them find wrong, one process speaks.
    with joined(device) as processes, keep_freed():
        sources = _sources(options)
        for source in sources:
            make_folder(source.out.absolute().parent)
        config = _config(options, len(sources[0].classes))
        trainer = Trainer(config, sources, _training_options(options), device, processes)
        if options.resume:
            trainer.resume()
        elif options.start_from:
            trainer.start_from(options.start_from)
        try:
            best = _run_with_progress(trainer, options, shown=processes.rank == 0)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_what_is_kept(trainer, options.out)) from None
        if processes.rank == 0:
            told = f"{options.out}: {best:.4f} pixel accuracy on the validation images"
            found = {"out": str(options.out), "pixel_accuracy": best, "epochs": options.epochs}
            print_result(options, found, told)


def _sources(options: argparse.Namespace) -> list[Source]:
    """Return what is learned from: the dataset, then the others.

    Raises:
        InputError: one cannot be read, or `--same` names a class that none of them has.
    """
    from mdlstm_core.data.dataset import LabeledFolder
    from mdlstm_core.training.sources import Source

    train = LabeledFolder(options.dataset, options.train_list or options.dataset / "train.txt")
    validation = LabeledFolder(options.dataset, options.val_list or options.dataset / "val.txt")
    sources = [Source(train, validation, options.out)]
    for dataset, out in options.also:
        folder = Path(dataset)
        train, validation = (LabeledFolder(folder, folder / f"{n}.txt") for n in ("train", "val"))
        same = {
            name: ours for name, ours in options.same if name in {c.name for c in train.classes}
        }
        sources.append(Source(train, validation, Path(out), same))
    known = {c.name for source in sources[1:] for c in source.classes}
    if foreign := sorted(theirs for theirs, _ in options.same if theirs not in known):
        raise InputError(f"--same: none of the other datasets has a class {foreign[0]!r}.")
    return sources


def _training_options(options: argparse.Namespace) -> TrainingOptions:
    from mdlstm_core.training.options import TrainingOptions

    return TrainingOptions(
        epochs=options.epochs,
        batch=options.batch,
        seed=options.seed,
        learning_rate=options.learning_rate,
        first_share=options.first_share,
        balance=options.balance,
        prefer_rare=options.prefer_rare,
        precision=options.precision,
    )


def _config(options: argparse.Namespace, classes: int) -> NetworkConfig:
    given = {
        "working_pixels": options.pixels,
        "scales": tuple(options.scales) if options.scales else None,
        "mirrored": options.mirrored,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(preset(options.preset, classes), **chosen)


def _what_is_kept(trainer: Trainer, out: Path) -> str:
    """Say what an interrupted run leaves behind."""
    if not trainer.epochs_done:
        return "stopped in the first epoch, of which nothing is kept."
    kept = f"the best checkpoint so far is {out}" if trainer.has_measured else "none is measured"
    return f"stopped after epoch {trainer.epochs_done}; {kept}. Go on with --resume."


def _run_with_progress(trainer: Trainer, options: argparse.Namespace, *, shown: bool) -> float:
    epochs = sys.stderr if options.json else sys.stdout
    # disable=None: a bar on a terminal, none in a pipe.
    with tqdm(unit="image", disable=None if shown else True) as bar:

        def show_read(done: int, count: int) -> None:
            bar.total = count
            bar.set_description("reading", refresh=False)
            bar.update(done - bar.n)
            if done == count:
                bar.unit = "step"
                bar.reset()

        def show(line: dict[str, Any]) -> None:
            if "step" not in line:
                tqdm.write("  ".join(f"{k} {v:.4g}" for k, v in line.items()), file=epochs)
                return
            bar.total = line["steps"]
            bar.set_description(f"epoch {line['epoch']}", refresh=False)
            bar.set_postfix(loss=f"{line['loss']:.3f}", refresh=False)
            bar.n = line["step"]
            bar.refresh()

        return trainer.run(show, show_read, NoticePrinter().show)


def _pair(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not (theirs and equals and ours):
        raise argparse.ArgumentTypeError(f"{text} is not of the form THEIRS=OURS")
    return theirs, ours
