"""Measuring the heads of a network in training, and keeping the best of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mdlstm_core.checkpoint import Checkpoint, checkpoint_of, load_checkpoint, save_checkpoint
from mdlstm_core.network import LabelingNetwork, with_classes
from mdlstm_core.training.calibration import calibrate, prefer_rare_classes
from mdlstm_core.training.evaluation import evaluate
from mdlstm_core.training.sources import Source, class_shares_of

_SHOWN = ("pixel_accuracy", "class_accuracy", "mean_iou")
KEPT = (*_SHOWN, "calibration_error", "per_class", "images")
"""Figures that a checkpoint carries."""


class HeadMeasurements:
    """The best validation accuracy of each source's head, and its checkpoint on disk.

    Attributes:
        best: pixel accuracy, 0 to 1, one a source; -1 before the first measurement.
    """

    def __init__(self, sources: tuple[Source, ...]) -> None:
        self._sources = sources
        self.best = [-1.0] * len(sources)

    def measure(
        self, network: LabelingNetwork, epoch: int, on_notice: Callable[[str], None]
    ) -> dict[str, Any]:
        """Measure each head and write it if it is the best so far; return the log's entries.

        Args:
            network: with all heads.
            epoch: after which it is measured, from 1.
            on_notice: see `evaluate`.

        Raises:
            InputError: an image cannot be read or a checkpoint cannot be written.
        """
        line: dict[str, Any] = {}
        first = 0
        for number, source in enumerate(self._sources):
            own = with_classes(network, range(first, first + len(source.classes)))
            first += len(source.classes)
            figures = evaluate(own, source.validation, on_notice=on_notice)
            if figures["pixel_accuracy"] > self.best[number]:
                self.best[number] = figures["pixel_accuracy"]
                told = {"epoch": epoch}
                save_checkpoint(self._described(own, source, figures, told), source.out)
            of = "" if number == 0 else f" {source.train.root.name}"
            line |= {f"{key}{of}": figures[key] for key in _SHOWN}
        return line

    def calibrate(
        self, device: torch.device, prefer_rare: float, on_notice: Callable[[str], None]
    ) -> None:
        """Calibrate the checkpoints that were kept, and measure them again.

        Args:
            device: where to compute.
            prefer_rare: see `calibration.prefer_rare_classes`.
            on_notice: see `calibration.calibrate`.

        Raises:
            InputError: as `measure` does.
        """
        for source in self._sources:
            kept = load_checkpoint(source.out)
            if "temperature" in kept.metrics:
                continue
            network = kept.network().to(device)
            if prefer_rare:
                shares = class_shares_of(source.train).tolist()
                prefer_rare_classes(network, shares, prefer_rare)
            temperature = calibrate(network, source.validation, on_notice)
            figures = evaluate(network, source.validation, on_notice=on_notice)
            told = {"epoch": kept.metrics["epoch"], "temperature": temperature}
            save_checkpoint(self._described(network, source, figures, told), source.out)

    def _described(
        self,
        network: LabelingNetwork,
        source: Source,
        figures: dict[str, Any],
        told: dict[str, Any],
    ) -> Checkpoint:
        folders = [s.train for s in self._sources]
        description = Checkpoint(
            network.config,
            source.classes,
            weights={},
            data="; ".join(f"{folder.root.name}: {folder.source}" for folder in folders),
            metrics={key: figures[key] for key in KEPT} | told,
        )
        return checkpoint_of(network, description)
