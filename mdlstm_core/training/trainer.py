"""Training a network from scratch: AdamW with one cycle, and an average of the weights."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mdlstm_core.checkpoint import Checkpoint, checkpoint_of, save_checkpoint
from mdlstm_core.config import NetworkConfig
from mdlstm_core.data.augmentation import random_view
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.errors import InputError
from mdlstm_core.files import write_whole
from mdlstm_core.kernels import NotFiniteError, select_kernel
from mdlstm_core.losses import class_shares, soft_cross_entropy
from mdlstm_core.network import build_network
from mdlstm_core.training.evaluation import evaluate
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
    """

    epochs: int = 40
    batch: int = 8
    seed: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    view: tuple[int, int] = (240, 320)
    validations: int = 20
    average_decay: float = 0.998

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
    """Trains one network; `run` writes the best checkpoint, a log and a state to resume.

    Beside the checkpoint FILE stand FILE.log.jsonl (a line an epoch) and FILE.state.

    Args:
        config: the network to train.
        train: images to learn from.
        validation: images to measure on; must have the same classes.
        out: the checkpoint's file.
        options: how to train.
        device: where to compute.

    Raises:
        InputError: the datasets' classes differ from each other or from the network's, or
            `out` is a folder.
    """

    def __init__(
        self,
        config: NetworkConfig,
        train: LabeledFolder,
        validation: LabeledFolder,
        out: Path,
        options: TrainingOptions,
        device: torch.device,
    ) -> None:
        if train.classes != validation.classes or len(train.classes) != config.classes:
            raise InputError(
                f"The classes of {train.root} do not fit the network or the validation."
            )
        if out.is_dir():
            raise InputError(f"{out} is a folder; name the checkpoint's file.")
        self._train, self._validation = train, validation
        self._out, self._options, self._device = out, options, device
        torch.manual_seed(options.seed)
        self._network = build_network(config).to(device)
        self._average = build_network(config).to(device)
        self._average.load_state_dict(self._network.state_dict())
        self._optimizer = torch.optim.AdamW(
            _parameter_groups(self._network, options.weight_decay), lr=options.learning_rate
        )
        self._steps_an_epoch = max(1, len(train) // options.batch)
        self._best, self._epoch = -1.0, 0
        self._description = Checkpoint(
            config, train.classes, weights={}, data=f"{train.root.name}: {train.source}"
        )

    @property
    def epochs_done(self) -> int:
        """Epochs from which the run can go on."""
        return self._epoch

    @property
    def has_measured(self) -> bool:
        """Whether this run has written a checkpoint."""
        return self._best >= 0

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
        return self._best

    def _put_earlier_run_aside(self) -> None:
        """Keep what an earlier run to the same file left, as FILE.previous and so on."""
        for path in (self._out, self._log_path, self._state_path):
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
        for step, (images, labels) in enumerate(self._batches()):
            done = self._epoch * self._steps_an_epoch + step
            loss = self._step(images.to(self._device), labels.to(self._device), done)
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

    def _step(self, images_BHW3: Tensor, labels_BHW: Tensor, done: int) -> float:
        rate = self._learning_rate(done)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        try:
            logits = self._network(images_BHW3.permute(0, 3, 1, 2).float().div(255))
        except NotFiniteError:
            return math.nan
        shares, area = class_shares(
            labels_BHW, self._network.config.classes, self._network.output_stride
        )
        # The network pads an image to its window, the shares only to a cell.
        logits = logits[..., : area.shape[1], : area.shape[2]]
        loss = soft_cross_entropy(logits, shares, area)
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

    def _learning_rate(self, step: int) -> float:
        """One cycle: a linear rise over the first twentieth, then half a cosine."""
        steps = self._options.epochs * self._steps_an_epoch
        rise = max(1, steps // 20)
        if step < rise:
            return self._options.learning_rate * (step + 1) / rise
        share = (step - rise) / max(1, steps - rise)
        return self._options.learning_rate * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-6

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the epoch's batches, the next one prepared while one is computed."""
        order = np.random.default_rng((self._options.seed, self._epoch)).permutation(
            len(self._train)
        )
        # A set smaller than a batch is repeated within it.
        order = np.resize(order, max(len(order), self._options.batch))
        with ThreadPoolExecutor(max_workers=1) as pool:
            groups = [
                order[step * self._options.batch : (step + 1) * self._options.batch]
                for step in range(self._steps_an_epoch)
            ]
            pending = pool.submit(self._load_batch, groups[0])
            for number in range(len(groups)):
                ready = pending.result()
                if number + 1 < len(groups):
                    pending = pool.submit(self._load_batch, groups[number + 1])
                yield ready

    def _load_batch(self, indices: np.ndarray[Any, Any]) -> tuple[Tensor, Tensor]:
        height, width = self._options.view
        views = []
        for place, index in enumerate(indices):
            generator = np.random.default_rng((self._options.seed, self._epoch, int(index), place))
            views.append(random_view(self._train.load(int(index)), height, width, generator))
        images = torch.from_numpy(np.stack([view.image for view in views]))
        return images, torch.from_numpy(np.stack([view.labels for view in views]))

    def _is_measured(self, epoch: int) -> bool:
        """Say whether the network is measured after this many epochs."""
        every = max(1, self._options.epochs // self._options.validations)
        return epoch % every == 0 or epoch == self._options.epochs

    def _measure(self) -> dict[str, Any]:
        """Measure the averaged network and keep it if it is the best so far."""
        figures = evaluate(self._average, self._validation)
        if figures["pixel_accuracy"] > self._best:
            self._best = figures["pixel_accuracy"]
            kept = ("pixel_accuracy", "class_accuracy", "mean_iou", "per_class", "images")
            metrics = {key: figures[key] for key in kept} | {"epoch": self._epoch}
            described = dataclasses.replace(self._description, metrics=metrics)
            save_checkpoint(checkpoint_of(self._average, described), self._out)
        return {key: figures[key] for key in ("pixel_accuracy", "class_accuracy", "mean_iou")}

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
            "images": len(self._train),
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
