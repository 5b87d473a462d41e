"""One step of training after the other: AdamW with one cycle, and an average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mdlstm_core.kernels import NotFiniteError
from mdlstm_core.losses import class_shares, soft_cross_entropy
from mdlstm_core.memory import IN_PIECES, halved_until_it_fits
from mdlstm_core.network import LabelingNetwork, build_network
from mdlstm_core.training.options import TrainingOptions
from mdlstm_core.training.processes import Processes
from mdlstm_core.training.sources import Batch
from mdlstm_core.training.state import optimizer_tensors


class _Target(NamedTuple):
    """What a head is to say: class shares B×K×h×w and the cells' weights B×h×w."""

    shares: Tensor
    weight: Tensor


class Learner:
    """Changes a network by what batches teach, and the average of its weights with it.

    Args:
        network: drawn anew; changed in place.
        options: how to train.
        steps: of the whole run.
        processes: who shares the work.

    Attributes:
        class_weights: how much each class of each head counts; to be set before the first
            step.
        average: the network with the moving average of the weights.
        optimizer: what changes the network.
    """

    def __init__(
        self,
        network: LabelingNetwork,
        options: TrainingOptions,
        steps: int,
        processes: Processes,
    ) -> None:
        self._network, self._options, self._processes = network, options, processes
        self._device = next(network.parameters()).device
        self.class_weights: Sequence[Tensor] = ()
        self._steps = steps
        self._at_once = options.batch
        self.average = build_network(network.config).to(self._device)
        self.average.load_state_dict(network.state_dict())
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(network, options.weight_decay), lr=options.learning_rate
        )

    def learn(
        self,
        batch: Batch,
        done: int,
        on_notice: Callable[[str], None] = lambda _notice: None,
    ) -> float:
        """Learn from one batch and return its loss, that of all processes together.

        NaN if the loss or its gradient is not finite: nothing is learned from that.

        Once the GPU's memory does not suffice for a whole batch, this one and all that follow
        are learned from in smaller pieces, to the same gradients but for rounding and for what
        dropout draws.

        Args:
            batch: this process's part.
            done: steps before this one.
            on_notice: called with a sentence for the user when the pieces begin.
        """
        rate = self._learning_rate(done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        work = partial(self._add_up_gradients, batch.images, self._targets(batch.labels))
        before = min(self._at_once, len(batch.images))
        # What is tried again has nothing that all processes do together: each has its own pieces.
        self._at_once, loss = halved_until_it_fits(before, work)
        if self._at_once < before == len(batch.images):
            on_notice(IN_PIECES)
        total = self._processes.total(loss).item()
        if not math.isfinite(total):
            return math.nan
        for parameter in self._network.parameters():
            if parameter.grad is not None:
                self._processes.total(parameter.grad)
        norm = nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        if not norm.isfinite():
            return math.nan
        self.optimizer.step()
        self._move_average(done)
        return total

    def _add_up_gradients(
        self, images_BHW3: Tensor, targets: list[_Target], at_once: int
    ) -> Tensor:
        """Return this process's loss, and leave its gradients, of so many images at a time.

        NaN if the network gives no finite numbers.
        """
        reduced = self._options.precision == "bfloat16"
        total = torch.zeros((), device=self._device)
        self.optimizer.zero_grad()
        for start in range(0, len(images_BHW3), at_once):
            piece = slice(start, start + at_once)
            images = images_BHW3[piece].to(self._device).permute(0, 3, 1, 2).float().div(255)
            try:
                with torch.autocast(self._device.type, torch.bfloat16, enabled=reduced):
                    logits = self._network(images)
            except NotFiniteError:
                return total.fill_(math.nan)
            own = [_Target(shares[piece], weight[piece]) for shares, weight in targets]
            loss = _loss(logits.float(), own)
            loss.backward()
            total += loss.detach()
        return total

    @torch.no_grad()
    def _move_average(self, done: int) -> None:
        decay = min(self._options.average_decay, (1 + done) / (10 + done))
        for mean, value in zip(self.average.parameters(), self._network.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def is_finite(self) -> bool:
        """Say whether all that a state or a checkpoint would hold are finite numbers."""
        tensors = [
            *self._network.state_dict().values(),
            *self.average.state_dict().values(),
            *optimizer_tensors(self.optimizer).values(),
        ]
        return all(bool(tensor.isfinite().all()) for tensor in tensors)

    def _targets(self, labels: tuple[Tensor, ...]) -> list[_Target]:
        """Return what each head is to say; weights sum to 1 over all processes together."""
        targets = []
        stride = self._network.output_stride
        for labels_BHW, of_class in zip(labels, self.class_weights, strict=True):
            shares, area = class_shares(labels_BHW.to(self._device), len(of_class), stride)
            weight = area * torch.einsum("bkhw,k->bhw", shares, of_class)
            total = self._processes.total(weight.sum())
            targets.append(_Target(shares, weight / total.clamp_min(1e-9)))
        return targets

    def _learning_rate(self, step: int) -> float:
        """One cycle: a linear rise over the first twentieth, then half a cosine."""
        steps = self._steps
        rise = max(1, steps // 20)
        if step < rise:
            return self._options.learning_rate * (step + 1) / rise
        share = (step - rise) / max(1, steps - rise)
        return self._options.learning_rate * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-6


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
