"""The GPU kernels compiled for two generations of GPUs, without one: registers and spills."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed: it exists for Linux only")

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from mdlstm_core.kernels import triton_diagonal, triton_launch
from mdlstm_core.kernels.triton_launch import Pass

pytestmark = pytest.mark.skipif(
    triton_launch.INTERPRETED, reason="the interpreter compiles nothing"
)

SHARED_BYTES = 99 * 1024
"""Shared memory of a program on the GPUs of either generation that have the least."""

ARCHITECTURES = {80: "sm_80", 90: "sm_90a"}
TYPES = {torch.float32: "*fp32", torch.bfloat16: "*bf16"}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Compile anew, and leave nothing in the user's folder."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))


class Resources(NamedTuple):
    """What one program of a compiled kernel uses."""

    registers: int
    spilled_bytes: int
    shared_bytes: int
    ptx: str


def compiled(
    kernel: Any,
    architecture: int,
    signature: dict[str, str],
    constants: dict[str, Any],
    tiles: triton_launch.Tiles | None,
    tmp_path: Path,
) -> Resources:
    """Compile as a launch does, and ask Triton's own assembler what the result uses."""
    types = signature | dict.fromkeys(constants, "constexpr")
    signature = {name: types[name] for name in kernel.arg_names}
    # Torch's memory begins at a multiple of 16; a launch tells the compiler so.
    aligned = {
        (at,): [["tt.divisibility", 16]]
        for at, of_argument in enumerate(signature.values())
        if of_argument.startswith("*")
    }
    options = {"num_warps": tiles.num_warps, "num_stages": tiles.num_stages} if tiles else {}
    result = triton.compile(
        ASTSource(kernel, signature, constants, aligned),
        target=GPUTarget("cuda", architecture, 32),
        options=options,
    )
    source = tmp_path / "kernel.ptx"
    source.write_text(result.asm["ptx"], "utf-8")
    arguments = [
        "-v",
        f"--gpu-name={ARCHITECTURES[architecture]}",
        source.name,
        "-o",
        "kernel.cubin",
    ]
    said = subprocess.run(
        [triton.knobs.nvidia.ptxas.path, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    registers = re.search(r"Used (\d+) registers", said)
    spilled = re.findall(r"(\d+) bytes spill", said)
    assert registers is not None, said
    assert spilled, said
    return Resources(
        int(registers[1]), sum(map(int, spilled)), result.metadata.shared, result.asm["ptx"]
    )


def compiled_pass(of_pass: Pass, architecture: int, tmp_path: Path) -> Resources:
    kernel = getattr(triton_diagonal, f"{of_pass.kind}_diagonal")
    constants = triton_launch.constants_for(of_pass)
    numbers = dict.fromkeys(("number", "batch", "rows", "columns"), "i32")
    signature = {"table": "*i64", **numbers, "forget_scale": "fp32"}
    assert {*signature, *constants} == {*kernel.arg_names}
    tiles = triton_launch.tiles_for(of_pass)
    return compiled(kernel, architecture, signature, constants, tiles, tmp_path)


SHORT, LONG = (1, 64, 48), (16, 512, 512)
"""Batch, rows and columns of a pass with the tiles of short and of long diagonals."""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("units", [20, 50])
@pytest.mark.parametrize("size", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("kind", ["forward", "backward"])
def test_no_register_is_spilled(
    kind: Any,
    size: tuple[int, int, int],
    units: int,
    dtype: torch.dtype,
    architecture: int,
    tmp_path: Path,
) -> None:
    of_pass = Pass(kind, *size, units, dtype, 0.5)

    resources = compiled_pass(of_pass, architecture, tmp_path)

    assert resources.spilled_bytes == 0
    # At least one program of eight warps, or two of four, has room in 65,536 registers.
    assert resources.registers <= (128 if size == SHORT else 224), resources.registers
    assert resources.shared_bytes <= SHARED_BYTES
    on_matrix_units = re.search(r"\bw?g?mma\.", resources.ptx) is not None
    assert on_matrix_units == (dtype == torch.bfloat16), "float32 products must not use tf32"
    assert "ld.global.v" in resources.ptx.replace("ld.global.L1", "ld.global"), "no wide loads"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_inference_and_odd_sizes_compile(architecture: int, tmp_path: Path) -> None:
    for units in (1, 3, 100):
        of_pass = Pass("forward", *SHORT, units, torch.float32, 1.0, keep_gates=False)

        assert compiled_pass(of_pass, architecture, tmp_path).spilled_bytes == 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_table_compiles(architecture: int, tmp_path: Path) -> None:
    names = triton_diagonal.fill_table.arg_names
    signature = dict.fromkeys(names, "*bf16") | {"table": "*i64", "t3": "*fp32"}

    kernel = triton_diagonal.fill_table
    resources = compiled(kernel, architecture, signature, {}, None, tmp_path)

    assert resources.spilled_bytes == 0
    assert len(names) == 1 + triton_diagonal.TABLE_SIZE


def test_tf32_is_used_only_if_torch_may(tmp_path: Path) -> None:
    of_pass = Pass("forward", *SHORT, 50, torch.float32, 1.0)
    torch.set_float32_matmul_precision("high")
    try:
        resources = compiled_pass(of_pass, 90, tmp_path)
    finally:
        torch.set_float32_matmul_precision("highest")

    assert "tf32" in resources.ptx


class NoGpu:
    """What Triton asks a driver before it compiles, answered without one."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 1_000_000  # of its own, so that no kernel of a real GPU is replaced

    def get_current_stream(self, device: int) -> int:
        return 0


def test_a_pass_compiles_one_kernel_whatever_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    launches: list[str] = []

    def compile_only(kernel: Any, grid: tuple[int, ...]) -> Any:
        def launched(*arguments: Any, **options: Any) -> None:
            assert all(size > 0 for size in grid)
            launches.append(kernel.__name__)
            kernel.warmup(*arguments, grid=grid, **options)

        return launched

    monkeypatch.setattr(triton.runtime.driver, "_active", NoGpu())
    monkeypatch.setattr(triton.JITFunction, "__getitem__", compile_only)
    table = torch.empty(triton_diagonal.TABLE_SIZE, dtype=torch.int64)
    kernel = triton_diagonal.forward_diagonal

    for scale, size in ((1.0, (1, 1, 1)), (0.5, (16, 16, 17)), (1.0, SHORT)):
        of_pass = Pass("forward", *size, 7, torch.float32, scale)
        triton_launch._launch_diagonals(of_pass, table)

    assert launches == ["forward_diagonal"] * (1 + 32 + 111)
    in_memory = kernel.device_caches[NoGpu().get_current_device()][0]
    assert len(in_memory) == 1
