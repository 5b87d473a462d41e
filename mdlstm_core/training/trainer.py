"""Training a network from scratch: AdamW with one cycle, and an average of the weights."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.kernels import NotFiniteError, select_kernel
from mdlstm_core.losses import class_shares, soft_cross_entropy
from mdlstm_core.memory import saying
from mdlstm_core.network import build_network
from mdlstm_core.prediction import UnusableWeightsError
from mdlstm_core.training.measurements import HeadMeasurements
from mdlstm_core.training.processes import ALONE, Processes
from mdlstm_core.training.run_files import RunFiles
from mdlstm_core.training.settings import check_same, settings_of
from mdlstm_core.training.sources import Batch, Source, Sources
from mdlstm_core.training.starting import begin_with
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
        view: height and width of the random views that the network is trained on; smaller
            if the network looks at fewer pixels.
        validations: how many times the network is measured, spread over the epochs.
        average_decay: of the moving average of the weights, a step.
        first_share: of the views, from the first of several datasets.
        balance: how much more rare classes count (see `Sources.class_weights`).
        prefer_rare: by how much rare classes are preferred at the end, 0 to 1 (see
            `calibration.prefer_rare_classes`).
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
    prefer_rare: float = 0.0
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


class _Target(NamedTuple):
    """What a head is to say: class shares B×K×h×w and the cells' weights B×h×w."""

    shares: Tensor
    weight: Tensor


class Trainer:
    """Trains one network; `run` writes the best checkpoints, a log and a state to resume.

    Beside the first source's checkpoint FILE stand FILE.run.json (what was trained, with
    what), FILE.log.jsonl (a line an epoch), FILE.curves.png and FILE.state.

    Args:
        config: the network to train; it gets one head a source.
        sources: what to learn from; see `Source`.
        options: how to train.
        device: where to compute.
        processes: who shares the work; see `processes.joined`.

    Raises:
        InputError: the network cannot be built for that many classes.
    """

    def __init__(
        self,
        config: NetworkConfig,
        sources: Sequence[Source],
        options: TrainingOptions,
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        self._options, self._device, self._processes = options, device, processes
        zoom = min(1.0, math.sqrt(config.working_pixels / math.prod(options.view)))
        self._data = Sources(tuple(sources), options.first_share, options.view, options.seed, zoom)
        classes = sum(len(source.classes) for source in sources)
        config = dataclasses.replace(config, classes=classes)
        torch.manual_seed(options.seed)
        self._network = build_network(config).to(device)
        self._average = build_network(config).to(device)
        self._average.load_state_dict(self._network.state_dict())
        self._optimizer = torch.optim.AdamW(
            _parameter_groups(self._network, options.weight_decay), lr=options.learning_rate
        )
        self._weights = [w.to(device) for w in self._data.class_weights(options.balance)]
        self._steps_an_epoch = max(1, self._data.views_an_epoch // options.batch)
        self._measured = HeadMeasurements(self._data.sources)
        self._files = RunFiles(sources[0].out)
        self._epoch = 0

    @property
    def epochs_done(self) -> int:
        """Epochs from which the run can go on."""
        return self._epoch

    @property
    def has_measured(self) -> bool:
        """Whether this run has written a checkpoint."""
        return self._measured.best[0] >= 0

    def resume(self) -> None:
        """Go on from FILE.state.

        Raises:
            InputError: there is none, or the run was started with other settings or data.
        """
        state = load_state(self._files.state)
        check_same(self._files.state, state.settings, self._settings, self._data.sources)
        self._network.load_state_dict(state.network)
        self._average.load_state_dict(state.average)
        restore_optimizer(self._optimizer, state.optimizer)
        self._measured.best, self._epoch = state.best, state.epoch

    def start_from(self, start: str) -> None:
        """Begin with the weights that another run has come to, or with a model's.

        Args:
            start: the run's FILE.state, of the same heads; or a model, by name or file,
                whose classes are taken by their names.

        Raises:
            InputError: it cannot be read, or its network is another one.
        """
        sources = self._data.sources
        names = [s.same.get(c.name, c.name) for s in sources for c in s.classes]
        begin_with(self._network, start, names)
        self._average.load_state_dict(self._network.state_dict())

    def run(self, on_step: Callable[[dict[str, Any]], None] = lambda _line: None) -> float:
        """Train to the last epoch and return the best validation accuracy.

        At the end the kept checkpoints are calibrated (see `calibration`).

        Args:
            on_step: called after each step with `epoch`, `step`, `steps` and `loss`, and
                after each epoch with its line of the log.

        Raises:
            InputError: an image cannot be read, the loss is not finite, or a file cannot
                be written. What was written before stays.
        """
        # All steps with one kernel: a run can be repeated to the last bit.
        kernel = select_kernel(device=self._device, wait=True).name
        writes = self._processes.rank == 0
        if writes and self._epoch == 0:
            self._files.start([source.out for source in self._data.sources])
            self._files.describe(self._settings, kernel, str(self._device), self._processes.count)
        while self._epoch < self._options.epochs:
            start = time.perf_counter()
            loss, waited = self._run_epoch(on_step)
            self._epoch += 1
            seconds = time.perf_counter() - start
            line = {"epoch": self._epoch, "loss": loss, "seconds": seconds, "waited": waited}
            if writes:
                if self._is_measured(self._epoch):
                    line |= self._figures()
                save_state(self._state(), self._files.state)
                self._files.log(line)
                on_step(line)
            self._processes.wait()
        if writes:
            self._measured.calibrate(self._device, self._options.prefer_rare)
        return self._measured.best[0]

    def _run_epoch(self, on_step: Callable[[dict[str, Any]], None]) -> tuple[float, float]:
        """Return the mean loss, and the seconds that the steps waited for their images."""
        # Dropout draws from a seed of the epoch, so that a resumed run draws the same.
        torch.manual_seed(self._options.seed * 100_003 + self._epoch)
        self._network.train()
        total, waited, since = 0.0, 0.0, time.perf_counter()
        options, processes = self._options, self._processes
        workers = min(8, max(1, (os.cpu_count() or 1) // processes.count))
        batches = self._data.batches(self._epoch, options.batch, processes, workers)
        for step, batch in enumerate(batches):
            waited += time.perf_counter() - since
            with saying("train with a smaller batch"):
                loss = self._step(batch, self._epoch * self._steps_an_epoch + step)
            if not math.isfinite(loss):
                raise InputError(
                    f"The loss is not finite in epoch {self._epoch + 1}; start again with "
                    "another seed, a lower learning rate or smaller images (--pixels)."
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
            since = time.perf_counter()
        return total / self._steps_an_epoch, waited

    def _figures(self) -> dict[str, Any]:
        """Return what the average of the weights reaches; write it where that is the best."""
        try:
            return self._measured.measure(self._average, self._epoch)
        # The sums of a cell that nothing damps may grow over a grid larger than those learned.
        except UnusableWeightsError as error:
            raise InputError(
                f"After epoch {self._epoch} a whole image gives no finite numbers; start again "
                "with a lower learning rate or smaller images (--pixels)."
            ) from error

    def _step(self, batch: Batch, done: int) -> float:
        """Learn from one batch and return its loss, that of all processes together."""
        rate = self._learning_rate(done)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        images = batch.images.to(self._device).permute(0, 3, 1, 2).float().div(255)
        targets = self._targets(batch.labels)
        reduced = self._options.precision == "bfloat16"
        self._optimizer.zero_grad()
        try:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=reduced):
                logits = self._network(images)
        except NotFiniteError:
            loss = torch.full((), math.nan, device=self._device)
        else:
            loss = _loss(logits.float(), targets)
            loss.backward()
        total = self._processes.total(loss.detach().clone()).item()
        if not math.isfinite(total):
            return math.nan
        for parameter in self._network.parameters():
            if parameter.grad is not None:
                self._processes.total(parameter.grad)
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        self._optimizer.step()
        decay = min(self._options.average_decay, (1 + done) / (10 + done))
        with torch.no_grad():
            for mean, value in zip(
                self._average.parameters(), self._network.parameters(), strict=True
            ):
                mean.lerp_(value, 1 - decay)
        return total

    def _targets(self, labels: tuple[Tensor, ...]) -> list[_Target]:
        """Return what each head is to say; weights sum to 1 over all processes together."""
        targets = []
        stride = self._network.output_stride
        for labels_BHW, of_class in zip(labels, self._weights, strict=True):
            shares, area = class_shares(labels_BHW.to(self._device), len(of_class), stride)
            weight = area * torch.einsum("bkhw,k->bhw", shares, of_class)
            total = self._processes.total(weight.sum())
            targets.append(_Target(shares, weight / total.clamp_min(1e-9)))
        return targets

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

    def _state(self) -> TrainingState:
        return TrainingState(
            network=self._network.state_dict(),
            average=self._average.state_dict(),
            optimizer=optimizer_tensors(self._optimizer),
            epoch=self._epoch,
            best=self._measured.best,
            settings=self._settings,
        )

    @property
    def _settings(self) -> dict[str, Any]:
        options = dataclasses.asdict(self._options)
        return settings_of(self._network.config, options, self._data.sources)


def _loss(logits_BKhw: Tensor, targets: list[_Target]) -> Tensor:
    """Return the sum of the heads' losses, each on its own slice of the logits."""
    heads = logits_BKhw.split([target.shares.shape[1] for target in targets], dim=1)
    total = logits_BKhw.new_zeros(())
    for of_head, (shares, weight) in zip(heads, targets, strict=True):
        # The network pads an image to its window, the shares only to a cell.
        inside = of_head[..., : weight.shape[1], : weight.shape[2]]
        total = total + soft_cross_entropy(inside, shares, weight) * weight.sum()
    return total


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
