"""Training a network from scratch: AdamW with one cycle, and an average of the weights."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mdlstm_core.checkpoint import Checkpoint, checkpoint_of, save_checkpoint
from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.files import write_whole
from mdlstm_core.kernels import NotFiniteError, select_kernel
from mdlstm_core.losses import class_shares, soft_cross_entropy
from mdlstm_core.network import LabelingNetwork, build_network, head
from mdlstm_core.training.evaluation import evaluate
from mdlstm_core.training.sources import Batch, Source, Sources
from mdlstm_core.training.state import (
    TrainingState,
    load_state,
    optimizer_tensors,
    restore_optimizer,
    save_state,
)


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Attributes:
        epochs: passes over the training images.
        batch: images a step.
        seed: of weights, views and order; the same seed gives the same run.
        learning_rate: the highest of the cycle.
        weight_decay: of matrices and kernels; biases and norms have none.
        view: height and width of the random views that the network is trained on.
        validations: how many times the network is measured, spread over the epochs.
        average_decay: of the moving average of the weights, a step.
        first_share: of the views, from the first of several datasets.
        balance: how much more rare classes count (see `Sources.class_weights`).
        precision: "float32", or "bfloat16" for products and convolutions; the cell states
            and the weights stay in float32.
    """

    epochs: int = 40
    batch: int = 8
    seed: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    view: tuple[int, int] = (240, 320)
    validations: int = 20
    average_decay: float = 0.998
    first_share: float = 0.4
    balance: float = 0.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Check what cannot be trained with.

        Raises:
            InputError: a number is below its range.
        """
        if self.seed < 0:
            raise InputError(f"The seed {self.seed} is negative; choose one from 0 on.")
        if min(self.epochs, self.batch, self.validations, *self.view) < 1:
            raise InputError("Epochs, batch, validations and view must be at least 1.")


class Trainer:
    """Trains one network; `run` writes the best checkpoints, a log and a state to resume.

    Beside the first source's checkpoint FILE stand FILE.log.jsonl (a line an epoch) and
    FILE.state.

    Args:
        preset_name: the network to train, with one head a source.
        sources: what to learn from; see `Source`.
        options: how to train.
        device: where to compute.

    Raises:
        InputError: the network cannot be built for that many classes.
    """

    def __init__(
        self,
        config: NetworkConfig,
        sources: Sequence[Source],
        options: TrainingOptions,
        device: torch.device,
    ) -> None:
        self._sources = tuple(sources)
        classes = sum(len(source.classes) for source in sources)
        config = dataclasses.replace(config, classes=classes)
        self._out, self._options, self._device = sources[0].out, options, device
        torch.manual_seed(options.seed)
        self._network = build_network(config).to(device)
        self._average = build_network(config).to(device)
        self._average.load_state_dict(self._network.state_dict())
        self._optimizer = torch.optim.AdamW(
            _parameter_groups(self._network, options.weight_decay), lr=options.learning_rate
        )
        self._data = Sources(self._sources, options.first_share, options.view, options.seed)
        self._weights = [w.to(device) for w in self._data.class_weights(options.balance)]
        self._steps_an_epoch = max(1, self._data.views_an_epoch // options.batch)
        self._best, self._epoch = [-1.0] * len(self._sources), 0

    @property
    def epochs_done(self) -> int:
        """Epochs from which the run can go on."""
        return self._epoch

    @property
    def has_measured(self) -> bool:
        """Whether this run has written a checkpoint."""
        return self._best[0] >= 0

    def resume(self) -> None:
        """Go on from FILE.state.

        Raises:
            InputError: there is none, or the run was started with other settings.
        """
        state = load_state(self._state_path)
        if state.settings != self._settings:
            raise InputError(
                f"{self._state_path} was started with other settings: "
                f"{_difference(state.settings, self._settings)}."
            )
        self._network.load_state_dict(state.network)
        self._average.load_state_dict(state.average)
        restore_optimizer(self._optimizer, state.optimizer)
        self._best, self._epoch = state.best, state.epoch

    def run(self, on_step: Callable[[dict[str, Any]], None] = lambda _line: None) -> float:
        """Train to the last epoch and return the best validation accuracy.

        Args:
            on_step: called after each step with `epoch`, `step`, `steps` and `loss`, and
                after each epoch with its line of the log.

        Raises:
            InputError: an image cannot be read, the loss is not finite, or a file cannot
                be written. What was written before stays.
        """
        # All steps with one kernel: a run can be repeated to the last bit.
        select_kernel(device=self._device, wait=True)
        if self._epoch == 0:
            self._put_earlier_run_aside()
            write_whole(self._log_path, b"")
        while self._epoch < self._options.epochs:
            start = time.perf_counter()
            loss = self._run_epoch(on_step)
            self._epoch += 1
            line = {"epoch": self._epoch, "loss": loss, "seconds": time.perf_counter() - start}
            if self._is_measured(self._epoch):
                line |= self._measure()
            save_state(self._state(), self._state_path)
            self._log(line)
            on_step(line)
        return self._best[0]

    def _put_earlier_run_aside(self) -> None:
        """Keep what an earlier run to the same file left, as FILE.previous and so on."""
        outs = (source.out for source in self._sources)
        for path in (*outs, self._log_path, self._state_path):
            try:
                path.replace(path.with_name(f"{path.name}.previous"))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise InputError(f"{path} cannot be replaced: {error.strerror}.") from error

    def _run_epoch(self, on_step: Callable[[dict[str, Any]], None]) -> float:
        # Dropout draws from a seed of the epoch, so that a resumed run draws the same.
        torch.manual_seed(self._options.seed * 100_003 + self._epoch)
        self._network.train()
        total = 0.0
        for step, batch in enumerate(self._data.batches(self._epoch, self._options.batch)):
            done = self._epoch * self._steps_an_epoch + step
            loss = self._step(batch, done)
            if not math.isfinite(loss):
                raise InputError(
                    f"The loss is not finite in epoch {self._epoch + 1}; "
                    "start again with another seed or a lower learning rate."
                )
            total += loss
            on_step(
                {
                    "epoch": self._epoch + 1,
                    "step": step + 1,
                    "steps": self._steps_an_epoch,
                    "loss": loss,
                }
            )
        return total / self._steps_an_epoch

    def _step(self, batch: Batch, done: int) -> float:
        rate = self._learning_rate(done)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        images = batch.images.to(self._device).permute(0, 3, 1, 2).float().div(255)
        reduced = self._options.precision == "bfloat16"
        try:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=reduced):
                logits = self._network(images)
        except NotFiniteError:
            return math.nan
        loss = self._loss(logits.float(), batch.labels)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        self._optimizer.step()
        decay = min(self._options.average_decay, (1 + done) / (10 + done))
        with torch.no_grad():
            for mean, value in zip(
                self._average.parameters(), self._network.parameters(), strict=True
            ):
                mean.lerp_(value, 1 - decay)
        return loss.item()

    def _loss(self, logits: Tensor, labels: tuple[Tensor, ...]) -> Tensor:
        """Return the sum of the heads' losses."""
        total = torch.zeros((), device=self._device)
        first = 0
        for labels_BHW, weights in zip(labels, self._weights, strict=True):
            classes = len(weights)
            of_head = logits[:, first : first + classes]
            first += classes
            stride = self._network.output_stride
            shares, area = class_shares(labels_BHW.to(self._device), classes, stride)
            # The network pads an image to its window, the shares only to a cell.
            of_head = of_head[..., : area.shape[1], : area.shape[2]]
            weight = area * torch.einsum("bkhw,k->bhw", shares, weights)
            total = total + soft_cross_entropy(of_head, shares, weight)
        return total

    def _learning_rate(self, step: int) -> float:
        """One cycle: a linear rise over the first twentieth, then half a cosine."""
        steps = self._options.epochs * self._steps_an_epoch
        rise = max(1, steps // 20)
        if step < rise:
            return self._options.learning_rate * (step + 1) / rise
        share = (step - rise) / max(1, steps - rise)
        return self._options.learning_rate * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-6

    def _is_measured(self, epoch: int) -> bool:
        """Say whether the network is measured after this many epochs."""
        every = max(1, self._options.epochs // self._options.validations)
        return epoch % every == 0 or epoch == self._options.epochs

    def _measure(self) -> dict[str, Any]:
        """Measure each head of the averaged network and keep it if it is the best so far."""
        line: dict[str, Any] = {}
        first = 0
        for number, source in enumerate(self._sources):
            network = head(self._average, first, len(source.classes))
            first += len(source.classes)
            figures = evaluate(network, source.validation)
            if figures["pixel_accuracy"] > self._best[number]:
                self._best[number] = figures["pixel_accuracy"]
                save_checkpoint(self._described(network, source, figures), source.out)
            of = "" if number == 0 else f" {source.train.root.name}"
            shown = ("pixel_accuracy", "class_accuracy", "mean_iou")
            line |= {f"{key}{of}": figures[key] for key in shown}
        return line

    def _described(
        self, network: LabelingNetwork, source: Source, figures: dict[str, Any]
    ) -> Checkpoint:
        kept = ("pixel_accuracy", "class_accuracy", "mean_iou", "per_class", "images")
        folders = (s.train for s in self._sources)
        description = Checkpoint(
            network.config,
            source.classes,
            weights={},
            data="; ".join(f"{folder.root.name}: {folder.source}" for folder in folders),
            metrics={key: figures[key] for key in kept} | {"epoch": self._epoch},
        )
        return checkpoint_of(network, description)

    def _log(self, line: dict[str, Any]) -> None:
        try:
            with self._log_path.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            raise InputError(f"{self._log_path} cannot be written: {error.strerror}.") from error

    def _state(self) -> TrainingState:
        return TrainingState(
            network=self._network.state_dict(),
            average=self._average.state_dict(),
            optimizer=optimizer_tensors(self._optimizer),
            epoch=self._epoch,
            best=self._best,
            settings=self._settings,
        )

    @property
    def _settings(self) -> dict[str, Any]:
        settings = {
            "config": self._network.config.to_json(),
            "options": dataclasses.asdict(self._options),
            "images": [len(source.train) for source in self._sources],
        }
        # As JSON gives it back: tuples are lists there.
        normalized: dict[str, Any] = json.loads(json.dumps(settings))
        return normalized

    @property
    def _state_path(self) -> Path:
        return self._out.with_name(self._out.name + ".state")

    @property
    def _log_path(self) -> Path:
        return self._out.with_name(self._out.name + ".log.jsonl")


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Say in which settings two runs differ, groups of settings one after the other."""
    told = []
    for key in sorted(before.keys() | now.keys()):
        first, second = before.get(key), now.get(key)
        if isinstance(first, dict) and isinstance(second, dict):
            told += [_difference(first, second)] if first != second else []
        elif first != second:
            told.append(f"{key} {first}, not {second}")
    return ", ".join(told)


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split the parameters: weight decay for matrices and kernels only."""
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        is_vector = parameter.dim() < 2 or name.endswith("bias")
        (vectors if is_vector else matrices).append(parameter)
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
