"""Launching the kernels of a pass over a grid: one by one, or as a recorded CUDA graph."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from mdlstm_core.kernels.triton_diagonal import (
    BACKWARD_TENSORS,
    FORWARD_TENSORS,
    TABLE_SIZE,
    backward_diagonal,
    fill_table,
    forward_diagonal,
)

_log = logging.getLogger(__name__)

INTERPRETED = not isinstance(forward_diagonal, triton.JITFunction)
"""Triton's interpreter runs the kernels, on the CPU: `TRITON_INTERPRET` was set at import."""

DTYPES = {torch.float32: tl.float32, torch.bfloat16: tl.bfloat16}
"""What the kernels compute with, by torch's name."""

MOST_GRAPHS = 64
"""Graphs kept, the least recently used dropped first: images come in many sizes."""


def unfit(device: torch.device, dtype: torch.dtype) -> str | None:
    """Return why the kernels do not take such tensors, None if they do."""
    if device.type not in (("cuda", "cpu") if INTERPRETED else ("cuda",)):
        return "it runs on CUDA GPUs only"
    return None if dtype in DTYPES else f"it has no {dtype}"


def reach_gpu() -> None:
    """Build Triton's link to the GPU's driver, where there is a GPU.

    Triton does it with a C compiler, which not every machine has, at its first kernel: too late
    to run another backend in its place.

    Raises:
        Exception: whatever Triton, its compiler or the driver stumbles over.
    """
    if torch.cuda.is_available() and not INTERPRETED:
        _ = triton.runtime.driver.active


class Pass(NamedTuple):
    """What determines the launches of one pass over a grid."""

    kind: Literal["forward", "backward"]
    batch: int
    rows: int
    columns: int
    units: int
    dtype: torch.dtype
    forget_scale: float
    keep_gates: bool = True


class Tiles(NamedTuple):
    """Cells and units of a program, terms summed at a time, and Triton's two options."""

    block_m: int
    block_h: int
    block_k: int
    num_warps: int
    num_stages: int


def tiles_for(of_pass: Pass) -> Tiles:
    """Return the tiles of a pass.

    Small ones spread a short diagonal over more of the GPU, and there more stages keep more
    loads under way, since nothing else hides their latency. More terms at a time than 16
    unroll into more values than there are registers, at 20 units in float32.
    `python -m benchmarks.check_gpu --tiles` times others.
    """
    cells = min(of_pass.rows, of_pass.columns) * of_pass.batch
    if cells <= 512:
        return Tiles(16, 16, 16, 4, 4)
    return Tiles(32 if of_pass.dtype == torch.float32 else 64, 32, 16, 8, 2)


def constants_for(of_pass: Pass) -> dict[str, Any]:
    """Return the arguments of a pass's kernel that are compiled in, but for its tiles."""
    tf32 = torch.get_float32_matmul_precision() != "highest"
    constants = {
        "DTYPE": DTYPES[of_pass.dtype],
        "DOT_DTYPE": tl.float32 if INTERPRETED else DTYPES[of_pass.dtype],
        "UNITS": of_pass.units,
        "PRECISION": "tf32" if tf32 else "ieee",
    }
    return constants | ({"KEEP_GATES": of_pass.keep_gates} if of_pass.kind == "forward" else {})


def diagonal_constants_for(of_pass: Pass) -> dict[str, Any]:
    """Return the arguments of the kernel of a diagonal that are compiled in."""
    tiles = tiles_for(of_pass)
    blocks = {"BLOCK_M": tiles.block_m, "BLOCK_H": tiles.block_h, "BLOCK_K": tiles.block_k}
    return constants_for(of_pass) | blocks


def assert_readable(of_pass: Pass, tensors: Sequence[Tensor]) -> None:
    """Assert that the kernels find all tensors of a pass, and can read them."""
    names = FORWARD_TENSORS if of_pass.kind == "forward" else BACKWARD_TENSORS
    assert len(tensors) == len(names)
    assert all(tensor.is_contiguous() and tensor.data_ptr() % 16 == 0 for tensor in tensors)


def launch_pass(of_pass: Pass, tensors: Sequence[Tensor]) -> None:
    """Run all diagonals of a pass.

    Args:
        of_pass: the shape and what else determines the launches.
        tensors: as `FORWARD_TENSORS` or `BACKWARD_TENSORS` name them: contiguous, at
            addresses that are multiples of 16, on one device.
    """
    assert_readable(of_pass, tensors)
    table = torch.empty(TABLE_SIZE, dtype=torch.int64, device=tensors[0].device)
    if not table.is_cuda:
        _launch_one_by_one(of_pass, tensors, table)
        return
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device(table.device), _lock:
        graph = None
        if not torch.cuda.is_current_stream_capturing():
            graph = _graph_of(of_pass, table)
        if graph is None:
            _launch_one_by_one(of_pass, tensors, table)
        else:
            _fill(graph.table, tensors)
            graph.graph.replay()


class _Recorded(NamedTuple):
    """A graph and the table that its kernels read the tensors' addresses from."""

    graph: torch.cuda.CUDAGraph
    table: Tensor


_lock = threading.Lock()
"""Filling a table and replaying its graph must follow one another."""

_graphs: OrderedDict[tuple[Any, ...], _Recorded | None] = OrderedDict()
"""By pass, device and stream; None where a pass came once, or could not be recorded."""

_unrecordable: set[tuple[Any, ...]] = set()


def _graph_of(of_pass: Pass, table: Tensor) -> _Recorded | None:
    """Return the recorded graph of a pass; record it if the pass comes for the second time.

    The first time the kernels may have to be compiled, which a recording does not allow,
    and a shape that never comes again is not worth one. Each stream has tables of its own,
    since a table is overwritten in the order of its stream.
    """
    stream = torch.cuda.current_stream().cuda_stream
    compiled = (tiles_for(of_pass), torch.get_float32_matmul_precision())
    key = (of_pass, compiled, table.device.index, stream)
    if key in _unrecordable:
        return None
    if key in _graphs:
        if _graphs[key] is None:
            _graphs[key] = _record(of_pass, table)
            if _graphs[key] is None:
                _unrecordable.add(key)
        _graphs.move_to_end(key)
        return _graphs[key]
    _graphs[key] = None
    if len(_graphs) > MOST_GRAPHS:
        _graphs.popitem(last=False)
    return None


def _record(of_pass: Pass, table: Tensor) -> _Recorded | None:
    """Record the launches of a pass; None, and one line in the log, if that fails."""
    graph = torch.cuda.CUDAGraph()
    try:
        # A stream of this device, which torch's own for recording need not be; and other
        # threads may allocate meanwhile.
        stream = torch.cuda.Stream()
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            _launch_diagonals(of_pass, table)
    except RuntimeError as error:
        _log.warning("No CUDA graph of a 2D-LSTM pass, so it runs more slowly: %s", error)
        return None
    return _Recorded(graph, table)


def _launch_one_by_one(of_pass: Pass, tensors: Sequence[Tensor], table: Tensor) -> None:
    _fill(table, tensors)
    _launch_diagonals(of_pass, table)


def _fill(table: Tensor, tensors: Sequence[Tensor]) -> None:
    """Write the tensors' addresses, by a kernel: a copy from the CPU would wait for the GPU."""
    fill_table[(1,)](table, *tensors, *[table] * (TABLE_SIZE - len(tensors)))


def _launch_diagonals(of_pass: Pass, table: Tensor) -> None:
    """Launch the kernel of each diagonal, in the order of the pass."""
    _, batch, rows, columns, units, _, forget_scale, _ = of_pass
    forward = of_pass.kind == "forward"
    kernel = forward_diagonal if forward else backward_diagonal
    tiles, constants = tiles_for(of_pass), diagonal_constants_for(of_pass)
    options = {"num_warps": tiles.num_warps, "num_stages": tiles.num_stages}
    numbers = range(rows + columns - 1)
    for number in numbers if forward else reversed(numbers):
        length = min(number + 1, rows, columns, rows + columns - 1 - number)
        grid = (triton.cdiv(length * batch, tiles.block_m), triton.cdiv(units, tiles.block_h), 4)
        kernel[grid](table, number, batch, rows, columns, forget_scale, **constants, **options)
