"""What each part of the `scene` network and of its training is worth.

Each variant is trained from scratch on as many images and measured on the same held-out
ones; beside the figures stand its weights and its time. Variants that stand in the file
already are not trained again: a run that was stopped goes on.

    python -m benchmarks.ablations FOLDER --also FOLDER --epochs 8 --json FILE
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.ablated import (
    CoarseGridOnly,
    DroppedLocals,
    FineGridOnly,
    WithoutFinePath,
    colors_as_they_are,
    mixed_view,
)
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.devices import select_device
from mdlstm_core.network import build_network
from mdlstm_core.presets import preset
from mdlstm_core.training.options import TrainingOptions
from mdlstm_core.training.sources import Source, Sources
from mdlstm_core.training.trainer import Trainer


@dataclass(frozen=True)
class Variant:
    """One change.

    Attributes:
        config: what differs in the network.
        options: what differs in the training.
        parts: what stands in place of parts that have no setting, by their full names.
        alone: whether it learns from the first dataset only.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False


_NETWORK = "mdlstm_core.network.SceneNetwork"
_VIEWS = "mdlstm_core.data.augmentation"

VARIANTS = {
    "scene": Variant(),
    "convolutions in place of the 2D-LSTM": Variant(config={"recurrent": False}),
    "first dataset alone": Variant(alone=True),
    "without dropout": Variant(config={"dropout": 0.0}),
    "forget gates not halved": Variant(config={"forget_scale": 1.0}),
    "classes not balanced": Variant(options={"balance": 0.0}),
    "2D-LSTM on the grid of 16 pixels alone": Variant(parts={_NETWORK: CoarseGridOnly}),
    "2D-LSTM on the grid of 8 pixels alone": Variant(parts={_NETWORK: FineGridOnly}),
    "without the fine path": Variant(parts={_NETWORK: WithoutFinePath}),
    "neighbourhood layers dropped (stochastic depth)": Variant(parts={_NETWORK: DroppedLocals}),
    "without the moving average": Variant(options={"average_decay": 0.0}),
    "views at the image's own scale": Variant(parts={f"{_VIEWS}._SCALES": (1.0, 1.0)}),
    "colours as they are": Variant(parts={f"{_VIEWS}._recolor": colors_as_they_are}),
    "two views of an image mixed": Variant(
        parts={"mdlstm_core.training.sources.random_view": mixed_view}
    ),
    "float32": Variant(options={"precision": "float32"}),
}


def measure(variant: Variant, folders: list[Path], options: TrainingOptions) -> dict[str, Any]:
    """Train a variant and return its figures after the last epoch."""
    config = dataclasses.replace(preset("scene", 8), **variant.config)
    options = dataclasses.replace(options, **variant.options)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as replaced:
        for name, part in variant.parts.items():
            replaced.enter_context(mock.patch(name, part))
        sources = tuple(
            Source(
                LabeledFolder(folder, folder / "train.txt"),
                LabeledFolder(folder, folder / "val.txt"),
                Path(directory) / f"{number}.safetensors",
            )
            for number, folder in enumerate(folders)
        )
        views = options.epochs * Sources(sources, options.first_share, (1, 1), 0).views_an_epoch
        if variant.alone:  # as many views, all of the first dataset
            sources = sources[:1]
            options = dataclasses.replace(options, epochs=round(views / len(sources[0].train)))
        lines: list[dict[str, Any]] = []
        start = time.perf_counter()
        Trainer(config, sources, options, select_device().device).run(lines.append)
        seconds = time.perf_counter() - start
        learning = (w for w in build_network(config).parameters() if w.requires_grad)
        weights = sum(weight.numel() for weight in learning)
    return lines[-1] | {"weights": weights, "seconds": seconds}


def main() -> None:
    """Train the variants that are missing in the file, and print the table."""
    parser = argparse.ArgumentParser(description="Ablations of the scene network.")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--also", type=Path, action="append", default=[])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument(
        "--view", type=int, nargs=2, default=(240, 320), metavar=("ROWS", "COLUMNS")
    )
    parser.add_argument("--variant", action="append", choices=tuple(VARIANTS))
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args()
    options = TrainingOptions(
        epochs=given.epochs,
        view=tuple(given.view),
        validations=1,
        balance=0.25,
        precision="bfloat16",
    )
    rows = json.loads(given.json.read_text()) if given.json.exists() else {}
    for name in given.variant or VARIANTS:
        if name not in rows:
            rows[name] = measure(VARIANTS[name], [given.dataset, *given.also], options)
            given.json.write_text(json.dumps(rows, indent=1))
        row = rows[name]
        print(
            f"{100 * row['pixel_accuracy']:5.1f} {100 * row['class_accuracy']:5.1f} "
            f"{row['weights']:>10,} weights {row['seconds']:7.0f} s  {name}"
        )


if __name__ == "__main__":
    main()
