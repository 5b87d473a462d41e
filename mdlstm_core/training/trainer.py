"""Training a network from scratch, epoch by epoch."""

from __future__ import annotations

import dataclasses
import math
import os
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from mdlstm_core.config import NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.kernels import select_kernel
from mdlstm_core.memory import saying
from mdlstm_core.network import build_network
from mdlstm_core.prediction import UnusableWeightsError
from mdlstm_core.training.learner import Learner
from mdlstm_core.training.measurements import HeadMeasurements
from mdlstm_core.training.options import TrainingOptions
from mdlstm_core.training.processes import ALONE, Processes
from mdlstm_core.training.run_files import RunFiles, check_apart
from mdlstm_core.training.settings import check_same, places_of, settings_of
from mdlstm_core.training.sources import Batch, Source, Sources
from mdlstm_core.training.starting import begin_with
from mdlstm_core.training.state import (
    TrainingState,
    load_state,
    optimizer_tensors,
    restore_optimizer,
    save_state,
)


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
        InputError: the network cannot be built for that many classes, a checkpoint would
            take the place of another, or a batch is smaller than the number of processes.
    """

    def __init__(
        self,
        config: NetworkConfig,
        sources: Sequence[Source],
        options: TrainingOptions,
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        check_apart([source.out for source in sources])
        if options.batch < processes.count:
            raise InputError(
                f"{processes.count} processes cannot share a batch of {options.batch}; "
                f"give --batch {processes.count} or more."
            )
        self._options, self._device, self._processes = options, device, processes
        zoom = min(1.0, math.sqrt(config.working_pixels / math.prod(options.view)))
        self._data = Sources(tuple(sources), options.first_share, options.view, options.seed, zoom)
        classes = sum(len(source.classes) for source in sources)
        config = dataclasses.replace(config, classes=classes)
        torch.manual_seed(options.seed)
        self._network = build_network(config).to(device)
        self._steps_an_epoch = max(1, self._data.views_an_epoch // options.batch)
        steps = options.epochs * self._steps_an_epoch
        self._learner = Learner(self._network, options, steps, processes)
        self._measured = HeadMeasurements(self._data.sources)
        self._files = RunFiles(sources[0].out)
        self._start: str | None = None
        self._epoch = 0

    @property
    def epochs_done(self) -> int:
        """Epochs from which the run can go on."""
        return self._epoch

    @property
    def has_measured(self) -> bool:
        """Whether a checkpoint of the epochs done is kept."""
        return any(self._is_measured(epoch) for epoch in range(1, self._epoch + 1))

    def resume(self) -> None:
        """Go on from FILE.state.

        Raises:
            InputError: there is none, or the run was started with other settings or data.
        """
        state = load_state(self._files.state)
        check_same(self._files.state, state.settings, self._settings, self._data.sources)
        self._network.load_state_dict(state.network)
        self._learner.average.load_state_dict(state.average)
        restore_optimizer(self._learner.optimizer, state.optimizer)
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
        self._learner.average.load_state_dict(self._network.state_dict())
        self._start = start

    def run(
        self,
        on_step: Callable[[dict[str, Any]], None] = lambda _line: None,
        on_checked: Callable[[int, int], None] = lambda _done, _all: None,
        on_notice: Callable[[str], None] = lambda _notice: None,
    ) -> float:
        """Train to the last epoch and return the best validation accuracy.

        Before the first step all images are read once. At the end the kept checkpoints are
        calibrated (see `calibration`).

        Args:
            on_step: called after each step with `epoch`, `step`, `steps` and `loss`, and
                after each epoch with its line of the log.
            on_checked: called with the number of images read before the first step, and of
                all.
            on_notice: called with what the user should know of the GPU's memory; with an empty
                sentence of an image that was measured as usual.

        Raises:
            InputError: an image cannot be read, the loss is not finite, a file cannot be
                written, or memory does not suffice for one image. What was written before
                stays.
        """
        # All steps with one kernel: a run can be repeated to the last bit.
        kernel = select_kernel(device=self._device, wait=True).name
        writes = self._processes.rank == 0
        if self._epoch < self._options.epochs:
            if writes:
                self._data.check(on_checked)
            self._processes.wait()
            weights = self._data.class_weights(self._options.balance)
            self._learner.class_weights = [of_head.to(self._device) for of_head in weights]
        if writes and self._epoch:
            self._files.go_on(self._epoch)
        elif writes:
            self._files.start([source.out for source in self._data.sources])
            self._files.describe(self._description(kernel))
        while self._epoch < self._options.epochs:
            start = time.perf_counter()
            loss, waited = self._run_epoch(on_step, on_notice)
            if not self._learner.is_finite():
                raise self._astray(f"The weights are not finite after epoch {self._epoch + 1}")
            seconds = time.perf_counter() - start
            line = {"epoch": self._epoch + 1, "loss": loss, "seconds": seconds, "waited": waited}
            if writes:
                self._keep(line, on_notice)
            self._epoch += 1
            if writes:
                on_step(line)
            self._processes.wait()
        if writes:
            self._measured.calibrate(self._device, self._options.prefer_rare, on_notice)
        return self._measured.best[0]

    def _run_epoch(
        self, on_step: Callable[[dict[str, Any]], None], on_notice: Callable[[str], None]
    ) -> tuple[float, float]:
        """Return the mean loss, and the seconds that the steps waited for their images."""
        # Dropout draws from a seed of the epoch, so that a resumed run draws the same; each
        # process from another one, since its views are others.
        seed = self._options.seed * 100_003 + self._epoch
        torch.manual_seed(seed + 1_000_003 * self._processes.rank)
        self._network.train()
        total, waited, since = 0.0, 0.0, time.perf_counter()
        for step, batch in enumerate(self._batches()):
            waited += time.perf_counter() - since
            done = self._epoch * self._steps_an_epoch + step
            with saying("train with a smaller batch or smaller images (--pixels)"):
                loss = self._learner.learn(batch, done, on_notice)
            if not math.isfinite(loss):
                raise self._astray(f"The loss is not finite in epoch {self._epoch + 1}")
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

    def _keep(self, line: dict[str, Any], on_notice: Callable[[str], None]) -> None:
        """Measure an epoch, add its figures to its line, and keep it to go on from."""
        epoch = line["epoch"]
        try:
            if self._is_measured(epoch):
                line |= self._measured.measure(self._learner.average, epoch, on_notice)
            # The log first: of an epoch that is kept no line may lack, one too many is dropped.
            self._files.log(line)
            save_state(self._state(epoch), self._files.state)
        # The sums of a cell that nothing damps may grow over a grid larger than those learned.
        except UnusableWeightsError as error:
            what = f"After epoch {epoch} a whole image gives no finite numbers"
            raise self._astray(what) from error
        except InputError as error:
            if not self._epoch:
                raise
            told = str(error).rstrip(".")
            raise InputError(f"{told}; mend that and go on with --resume.") from error

    def _astray(self, what: str) -> InputError:
        """Say that training has left the numbers, what is kept, and how to go on from it.

        The same steps would come to the same: what goes on is a new run.
        """
        if not self._epoch:
            again = "with"
            if self._start is not None:
                again = f"with --start-from {shlex.quote(str(self._present_start()))} and"
            return InputError(
                f"{what}; start again {again} another seed, a lower learning rate or smaller "
                "images (--pixels)."
            )
        best = f" (the best checkpoint is {self._files.checkpoint})" if self.has_measured else ""
        return InputError(
            f"{what}; the last good weights, of epoch {self._epoch}, are in "
            f"{self._files.state}{best}: go on from them, in place of --resume, with "
            f"--start-from {shlex.quote(str(self._files.state))} "
            f"--learning-rate {self._options.learning_rate / 2:g}."
        )

    def _batches(self) -> Iterator[Batch]:
        """Yield the epoch's batches; of a file that cannot be used, say how to go on."""
        options, processes = self._options, self._processes
        workers = min(8, max(1, (os.cpu_count() or 1) // processes.count))
        try:
            yield from self._data.batches(self._epoch, options.batch, processes, workers)
        except InputError as error:
            told = str(error).rstrip(".")
            if not self._epoch:
                told += "; mend that, or leave the image out of its list, and start again"
            else:
                told += (
                    "; mend that and go on with --resume, or leave the image out of its list and "
                    f"begin a new run from the weights of epoch {self._epoch} with "
                    f"--start-from {shlex.quote(str(self._files.state))}"
                )
            raise InputError(f"{told}.") from error

    def _is_measured(self, epoch: int) -> bool:
        """Say whether the network is measured after this many epochs."""
        every = max(1, self._options.epochs // self._options.validations)
        return epoch % every == 0 or epoch == self._options.epochs

    def _state(self, epoch: int) -> TrainingState:
        return TrainingState(
            network=self._network.state_dict(),
            average=self._learner.average.state_dict(),
            optimizer=optimizer_tensors(self._learner.optimizer),
            epoch=epoch,
            best=self._measured.best,
            settings=self._settings,
        )

    def _description(self, kernel: str) -> dict[str, Any]:
        """Return all that the run can be repeated from, as JSON values."""
        return {
            **self._settings,
            "datasets": [places_of(source) for source in self._data.sources],
            "start_from": self._present_start(),
            "device": str(self._device),
            "kernel": kernel,
            "processes": self._processes.count,
        }

    def _present_start(self) -> str | None:
        """Return where the weights are that the run began with, now that files were put aside."""
        if self._start is None:
            return None
        place = self._files.present_place(Path(self._start))
        return str(place.absolute()) if place.exists() else self._start

    @property
    def _settings(self) -> dict[str, Any]:
        options = dataclasses.asdict(self._options)
        return settings_of(self._network.config, options, self._data.sources)
