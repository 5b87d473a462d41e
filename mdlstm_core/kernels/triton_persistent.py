"""The 2D-LSTM on a CUDA GPU with one launch a pass: bands of rows, weights kept on chip.

Everything but the launch is that of `triton_wavefront`; the kernels are in `triton_bands`.
The weights of a direction lie in a program's shared memory, 10·H² numbers with H rounded up
to a power of two. Where the GPU has less than that, the kernel of `triton_diagonal` runs
instead, and the log says so once: it has room up to 64 units in bfloat16 and 32 in float32 on
GPUs with 99 KiB (sm_86, sm_89) and on the A100, up to 64 in both on those with 227 KiB (H100).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
import triton
from torch import Tensor

from mdlstm_core.kernels import triton_wavefront
from mdlstm_core.kernels.triton_bands import backward_bands, forward_bands
from mdlstm_core.kernels.triton_launch import (
    INTERPRETED,
    Pass,
    assert_readable,
    constants_for,
    launch_pass,
    reach_gpu,
    unfit,
)
from mdlstm_core.kernels.weights import MDLSTMStates, MDLSTMWeights

__all__ = ["launch_bands", "reach_gpu", "run", "states", "unfit"]

_log = logging.getLogger(__name__)

INTERPRETED_BYTES = 227 * 1024
"""Shared memory to assume in the interpreter: that of an H100."""


class Bands(NamedTuple):
    """Rows of a band, its units rounded up, columns a hand-over, and Triton's option."""

    block_r: int
    block_h: int
    chunk: int
    num_warps: int


def run(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0) -> Tensor:
    """Return the hidden states of the four directions; see `triton_wavefront.run`."""
    return triton_wavefront.run_with(launch_bands, input_BRCI, weights, forget_scale)


def states(input_BRCI: Tensor, weights: MDLSTMWeights, forget_scale: float = 1.0) -> MDLSTMStates:
    """Return all gates, cell and hidden states; see `triton_wavefront.states`."""
    return triton_wavefront.states_with(launch_bands, input_BRCI, weights, forget_scale)


def bands_for(of_pass: Pass) -> Bands:
    """Return the bands of a pass; not one of these figures was chosen by a measurement.

    In bfloat16 the matrix units take 16 rows at a time. In float32 there are as many rows as
    give each thread one number of a gate: with more, its share of the products' factors does
    not fit into the registers. Few columns a hand-over keep the bands close to one another.
    """
    block_h = max(16, triton.next_power_of_2(of_pass.units))
    rows = 16 if of_pass.dtype == torch.bfloat16 else max(4, 256 // block_h)
    return Bands(rows, block_h, 4, 8)


def shared_bytes(of_pass: Pass) -> int:
    """Return the most shared memory that a program takes: weights, and tiles on their way."""
    bands, itemsize = bands_for(of_pass), of_pass.dtype.itemsize
    tiles = max(5 * itemsize, 3 * torch.float32.itemsize) * bands.block_r
    return bands.block_h * (10 * bands.block_h * itemsize + tiles)


def work_items(of_pass: Pass) -> int:
    """Return the number of tickets of a pass: directions by images by bands."""
    return 4 * of_pass.batch * triton.cdiv(of_pass.rows, bands_for(of_pass).block_r)


def launch_bands(of_pass: Pass, tensors: Sequence[Tensor]) -> None:
    """Run a pass in one launch, or diagonal by diagonal where the weights have no room.

    Args:
        of_pass: the shape and what else determines the launch.
        tensors: see `triton_launch.launch_pass`.
    """
    if shared_bytes(of_pass) > _available_bytes(tensors[0].device):
        _say_no_room(of_pass.units, of_pass.dtype)
        launch_pass(of_pass, tensors)
        return
    assert_readable(of_pass, tensors)
    kernel = forward_bands if of_pass.kind == "forward" else backward_bands
    items = work_items(of_pass)
    sizes = of_pass.batch, of_pass.rows, of_pass.columns, of_pass.forget_scale
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device_of(tensors[0]):
        # Anew for each launch; a recording of a CUDA graph records that too.
        progress = torch.zeros(1 + items, dtype=torch.int32, device=tensors[0].device)
        num_warps = bands_for(of_pass).num_warps
        constants = band_constants_for(of_pass)
        kernel[(items,)](*tensors, progress, *sizes, **constants, num_warps=num_warps, num_stages=1)


def band_constants_for(of_pass: Pass) -> dict[str, object]:
    """Return the arguments of a pass's kernel that are compiled in."""
    bands = bands_for(of_pass)
    blocks = {"BLOCK_R": bands.block_r, "BLOCK_H": bands.block_h, "CHUNK": bands.chunk}
    return constants_for(of_pass) | blocks


@lru_cache
def _available_bytes(device: torch.device) -> int:
    """Return the shared memory that one program can have."""
    if INTERPRETED:
        return INTERPRETED_BYTES
    properties = triton.runtime.driver.active.utils.get_device_properties(device.index)
    return int(properties["max_shared_mem"])


@lru_cache
def _say_no_room(units: int, dtype: torch.dtype) -> None:
    _log.info(
        "The weights of %d units in %s have no room on this GPU's chip: "
        "the 2D-LSTM runs a diagonal at a time.",
        units,
        dtype,
    )
