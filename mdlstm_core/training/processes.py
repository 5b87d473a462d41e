"""Several processes that train one network together, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed

from mdlstm_core.errors import AlreadySaidError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store


@dataclass(frozen=True)
class Processes:
    """Which of how many this process is; number 0 measures and writes."""

    rank: int
    count: int

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def wait(self) -> None:
        """Wait until all processes have come here."""
        if self.count > 1:
            distributed.barrier()


ALONE = Processes(0, 1)


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, by nccl on GPUs and gloo on CPUs.

    A process that it did not start is alone. Leaves the group at the end.

    Raises:
        AlreadySaidError: in place of what failed here, if another process failed before: the
            reason is the other's, and what failed here is mostly that it has gone.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    from torch.distributed.rendezvous import rendezvous

    # The store is the launcher's: it is there still when a process has gone.
    store, rank, count = next(rendezvous("env://"))
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=count)
    try:
        yield Processes(rank, count)
    except Exception as error:
        if _failed_before(store):
            raise AlreadySaidError from error
        raise
    finally:
        distributed.destroy_process_group()


def _failed_before(store: Store) -> bool:
    """Note a failure, and say whether there was one before."""
    try:
        return store.add("mdlstm/failed", 1) > 1
    except RuntimeError:  # the machine that keeps it has gone: nobody knows
        return False


def own_device(device: torch.device) -> torch.device:
    """Return the GPU that belongs to this process, or the device itself if it is none."""
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
