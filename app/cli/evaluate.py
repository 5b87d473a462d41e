"""`mdlstm evaluate`: measure a model on a labeled dataset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from app.cli.common import (
    NoticePrinter,
    add_command,
    add_device_option,
    add_json_option,
    add_model_option,
    print_result,
    progress_bar,
)
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.errors import InputError

_EXAMPLES = """examples:
  mdlstm evaluate datasets/stanford
  mdlstm evaluate datasets/stanford --list datasets/stanford/val.txt --model mine.safetensors
  mdlstm evaluate datasets/stanford --json > figures.json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = add_command(
        commands,
        "evaluate",
        "measure a model on labeled images",
        _EXAMPLES,
        "Measure a model on the labeled pixels of a dataset.",
    )
    parser.add_argument("dataset", type=Path, help="folder with images/, labels/ and classes.json")
    parser.add_argument("--list", type=Path, metavar="FILE", help="stems to measure on (all)")
    add_json_option(parser)
    add_model_option(parser)
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure and print the figures."""
    dataset = LabeledFolder(options.dataset, options.list)

    from mdlstm_core.checkpoint import load_checkpoint
    from mdlstm_core.predictor import Predictor
    from mdlstm_core.training.evaluation import evaluate

    checkpoint = load_checkpoint(options.model).looking_at(options.pixels)
    dataset_class = _match(
        [c.name for c in checkpoint.classes], [c.name for c in dataset.classes], options
    )
    predictor, notices = Predictor(checkpoint, options.device), NoticePrinter()
    notices.show(predictor.notice)
    with progress_bar(len(dataset), "image") as bar:
        figures = evaluate(
            predictor.network, dataset, lambda _done: bar.update(), dataset_class, notices.show
        )
    print_result(options, figures, _table(figures))


def _match(model: list[str], dataset: list[str], options: argparse.Namespace) -> list[int]:
    """Return for each class of the model its index in the dataset.

    Raises:
        InputError: the two do not have the same classes.
    """
    if sorted(model) != sorted(dataset):
        raise InputError(
            f"Foreign classes: the model {options.model} labels {', '.join(model)}, "
            f"but {options.dataset} has {', '.join(dataset)}."
        )
    return [dataset.index(name) for name in model]


def _table(figures: dict[str, Any]) -> str:
    """Return the figures for reading: a line a class, then the means."""
    names = list(figures["per_class"])
    width = max(len(name) for name in (*names, "mean over classes"))
    lines = [f"{'class':{width}}  accuracy     IoU"]
    for name, values in figures["per_class"].items():
        lines.append(f"{name:{width}}  {_share(values['accuracy'])}  {_share(values['iou'])}")
    means = f"{_share(figures['class_accuracy'])}  {_share(figures['mean_iou'])}"
    return "\n".join(
        [
            *lines,
            f"{'mean over classes':{width}}  {means}",
            f"{'all pixels':{width}}  {_share(figures['pixel_accuracy'])}",
            f"{'calibration error':{width}}  {_share(figures['calibration_error'])}",
            f"{figures['images']} images, {figures['seconds_per_image']:.3f} seconds an image",
        ]
    )


def _share(value: float | None) -> str:
    # A class that does not occur in the dataset has no figure.
    return f"{'-':>8}" if value is None else f"{value:8.4f}"
