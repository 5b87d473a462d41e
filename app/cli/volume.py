"""`mdlstm volume`: train a PyraMiD-LSTM on labeled stacks, and label stacks with it."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from app.cli.common import (
    NoticePrinter,
    add_command,
    add_device_option,
    add_json_option,
    add_seed_option,
    notice_if_cut_off,
    number,
    print_result,
    progress_bar,
    whole_number,
)
from mdlstm_core.config import IGNORE_INDEX, LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder
from mdlstm_core.freed_memory import keep_freed
from mdlstm_core.palette import default_color

_EXAMPLES = """examples:
  mdlstm volume train stack.tif --labels labels.tif --out cells.safetensors
  mdlstm volume train stack.tif --labels labels.tif --classes membrane cell --out c.safetensors
  mdlstm volume predict other.tif --model cells.safetensors --out other-labels.tif
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = add_command(
        commands,
        "volume",
        "train on, and label, stacks of slices",
        _EXAMPLES,
        "Label TIFF stacks voxel by voxel with a PyraMiD-LSTM.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    lines = _EXAMPLES.splitlines()
    train = add_command(
        actions,
        "train",
        "train a network from scratch on one stack",
        "\n".join(["examples:", *lines[1:3]]),
    )
    train.add_argument("stack", type=Path, help="TIFF stack, grey or colour")
    train.add_argument(
        "--labels",
        type=Path,
        required=True,
        metavar="TIFF",
        help="its 8-bit class indices, 255 = unlabeled",
    )
    train.add_argument("--out", type=Path, required=True, help="the checkpoint to write")
    train.add_argument("--classes", nargs="+", metavar="NAME", help="names, in order of indices")
    train.add_argument(
        "--minutes",
        type=number(0, ends=False),
        default=60.0,
        help="at most so long (default: %(default)s)",
    )
    train.add_argument("--steps", type=whole_number(1), default=2000, help="(default: %(default)s)")
    add_seed_option(train)
    train.set_defaults(run=_train)
    predict = add_command(actions, "predict", "label a stack", f"examples:\n{lines[3]}")
    predict.add_argument("stack", type=Path, help="TIFF stack, grey or colour")
    predict.add_argument("--model", required=True, metavar="FILE", help="a checkpoint of `train`")
    predict.add_argument("--out", type=Path, required=True, metavar="TIFF", help="what to write")
    predict.set_defaults(run=_predict)
    for action in (train, predict):
        add_device_option(action)
        add_json_option(action)


def _train(options: argparse.Namespace) -> None:
    """Train and write the checkpoint.

    Raises:
        InputError: a file cannot be read or written, or does not fit the other.
    """
    from mdlstm_core.checkpoint import save_checkpoint
    from mdlstm_core.devices import select_device
    from mdlstm_core.volumes.stacks import read_label_stack, read_stack
    from mdlstm_core.volumes.training import LabeledVolume, VolumeOptions, train_volume

    if options.out.resolve() in (options.stack.resolve(), options.labels.resolve()):
        raise InputError(f"{options.out} is one of the inputs; choose another file for --out.")
    if options.out.is_dir():
        raise InputError(f"{options.out} is a folder; name the checkpoint's file.")
    if twice := [n for n in options.classes or () if options.classes.count(n) > 1]:
        raise InputError(f"--classes names {twice[0]!r} twice; give each class a name of its own.")
    sample = LabeledVolume(
        read_stack(options.stack),
        read_label_stack(options.labels),
        str(options.stack),
        str(options.labels),
    )
    known = np.unique(sample.labels[sample.labels != IGNORE_INDEX])
    if known.size < 2:
        raise InputError(f"{options.labels} must have voxels of at least two classes.")
    names = options.classes or [f"class {index}" for index in range(int(known[-1]) + 1)]
    classes = [LabelClass(name, default_color(index)) for index, name in enumerate(names)]
    how = VolumeOptions(steps=options.steps, seconds=60 * options.minutes, seed=options.seed)
    device = select_device(options.device).device
    make_folder(options.out.absolute().parent)
    losses: list[float] = []
    with progress_bar(how.steps, "step") as bar, keep_freed():

        def show(_step: int, loss: float) -> None:
            losses.append(loss)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()

        checkpoint = train_volume(
            [sample],
            classes,
            how,
            device=device,
            on_progress=show,
            on_notice=NoticePrinter().show,
        )
    notice_if_cut_off(len(losses), how.steps, "--minutes")
    save_checkpoint(checkpoint, options.out)
    last = float(np.mean(losses[-50:]))
    found = {"out": str(options.out), "steps": len(losses), "loss": last}
    text = f"{options.out}: {len(losses)} steps, loss {last:.3f} over the last of them"
    print_result(options, found, text)


def _predict(options: argparse.Namespace) -> None:
    """Label a stack and write its labels.

    Raises:
        InputError: a file cannot be read or written, or does not fit the model.
    """
    from mdlstm_core.checkpoint import load_checkpoint
    from mdlstm_core.devices import select_device
    from mdlstm_core.volumes.prediction import predict_volume
    from mdlstm_core.volumes.stacks import read_stack, save_label_stack

    if options.out.resolve() == options.stack.resolve():
        raise InputError(f"{options.out} is the stack itself; choose another file for --out.")
    checkpoint = load_checkpoint(options.model)
    device = select_device(options.device).device
    stack, name = read_stack(options.stack), str(options.stack)
    prediction = predict_volume(checkpoint, stack, device, name=name)
    NoticePrinter().show(prediction.notice)
    make_folder(options.out.absolute().parent)
    save_label_stack(prediction.labels, options.out)
    values = {
        "stack": str(options.stack),
        "out": str(options.out),
        "shape": prediction.labels.shape,
    }
    print_result(options, values, str(options.out))
