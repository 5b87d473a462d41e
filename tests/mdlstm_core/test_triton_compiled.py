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

from mdlstm_core.kernels import triton_bands, triton_diagonal, triton_launch, triton_persistent
from mdlstm_core.kernels.triton_launch import Pass

pytestmark = pytest.mark.skipif(
    triton_launch.INTERPRETED, reason="the interpreter compiles nothing"
)

SHARED_BYTES = 99 * 1024
"""Shared memory of a program on the GPUs of either generation that have the least."""

ARCHITECTURES = {80: "sm_80", 90: "sm_90a"}
TYPES = {torch.float32: "*fp32", torch.bfloat16: "*bf16"}

each_architecture = pytest.mark.parametrize(
    "architecture", [pytest.param(80, marks=pytest.mark.thorough), 90]
)


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
    ttgir: str


def compiled(
    kernel: Any,
    architecture: int,
    signature: dict[str, str],
    constants: dict[str, Any],
    options: dict[str, int],
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
        int(registers[1]),
        sum(map(int, spilled)),
        result.metadata.shared,
        result.asm["ptx"],
        result.asm["ttgir"],
    )


def compiled_pass(of_pass: Pass, architecture: int, tmp_path: Path) -> Resources:
    kernel = getattr(triton_diagonal, f"{of_pass.kind}_diagonal")
    constants = triton_launch.diagonal_constants_for(of_pass)
    numbers = dict.fromkeys(("number", "batch", "rows", "columns"), "i32")
    signature = {"table": "*i64", **numbers, "forget_scale": "fp32"}
    assert {*signature, *constants} == {*kernel.arg_names}
    tiles = triton_launch.tiles_for(of_pass)
    options = {"num_warps": tiles.num_warps, "num_stages": tiles.num_stages}
    return compiled(kernel, architecture, signature, constants, options, tmp_path)


def compiled_bands(of_pass: Pass, architecture: int, tmp_path: Path) -> Resources:
    kernel = getattr(triton_bands, f"{of_pass.kind}_bands")
    constants = triton_persistent.band_constants_for(of_pass)
    known = dict.fromkeys(("batch", "rows", "columns"), "i32") | {"forget_scale": "fp32"}
    known |= {"cell_state": "*fp32", "grad_cell": "*fp32", "progress": "*i32"}
    numbers = {name: TYPES[of_pass.dtype] for name in kernel.arg_names if name not in constants}
    options = {"num_warps": triton_persistent.bands_for(of_pass).num_warps, "num_stages": 1}
    return compiled(kernel, architecture, numbers | known, constants, options, tmp_path)


SHORT, LONG = (1, 64, 48), (16, 512, 512)
"""Batch, rows and columns of a pass with the tiles of short and of long diagonals."""


@each_architecture
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("units", [pytest.param(20, marks=pytest.mark.thorough), 50])
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


@each_architecture
def test_inference_and_odd_sizes_compile(architecture: int, tmp_path: Path) -> None:
    for units in (1, 3, 100):
        of_pass = Pass("forward", *SHORT, units, torch.float32, 1.0, keep_gates=False)

        assert compiled_pass(of_pass, architecture, tmp_path).spilled_bytes == 0


@each_architecture
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    "units", [*(pytest.param(n, marks=pytest.mark.thorough) for n in (5, 20)), 50]
)
@pytest.mark.parametrize("kind", ["forward", "backward"])
def test_bands_keep_their_weights_on_chip(
    kind: Any, units: int, dtype: torch.dtype, architecture: int, tmp_path: Path
) -> None:
    of_pass = Pass(kind, *SHORT, units, dtype, 0.5)
    bands = triton_persistent.bands_for(of_pass)

    resources = compiled_bands(of_pass, architecture, tmp_path)

    assert resources.spilled_bytes == 0
    assert resources.registers * 32 * bands.num_warps <= 65536, resources.registers
    assert resources.shared_bytes <= triton_persistent.shared_bytes(of_pass)
    load_weights = rf"tt\.load.* tensor<{bands.block_h}x{bands.block_h}x!tt\.ptr"
    before, loop = re.split(r"%.* = scf\.while", resources.ttgir)
    if bands.block_r != bands.block_h:  # else what a step loads looks the same
        assert len(re.findall(load_weights, before)) == 10
        assert not re.search(load_weights, loop), "weights are loaded at each step"
    on_matrix_units = re.search(r"\bmma\.", resources.ptx) is not None
    assert on_matrix_units == (dtype == torch.bfloat16), "float32 products must not use tf32"


@pytest.mark.parametrize("dtype", TYPES)
def test_inference_of_bands_compiles(dtype: torch.dtype, tmp_path: Path) -> None:
    for units in (1, 64):
        of_pass = Pass("forward", *SHORT, units, dtype, 1.0, keep_gates=False)

        assert compiled_bands(of_pass, 90, tmp_path).spilled_bytes == 0


@each_architecture
@pytest.mark.parametrize("kind", ["forward", "backward"])
def test_bands_hand_over_in_order(kind: Any, architecture: int, tmp_path: Path) -> None:
    of_pass = Pass(kind, *SHORT, 20, torch.bfloat16, 0.5)

    resources = compiled_bands(of_pass, architecture, tmp_path)

    acquire, release = "ld.global.gpu.acquire", "atom.global.gpu.release"
    steps = re.findall(rf"st\.global|bar\.sync|{acquire}|{release}", resources.ptx)
    assert [steps.count(acquire), steps.count(release)] == [2, 1]
    told = steps.index(release)
    assert steps[told - 1] == "bar.sync", "one thread tells what others have not stored"
    assert "st.global" not in steps[told:], "something is stored after it was told"
    assert steps[steps.index(acquire) + 1] == "bar.sync", "only one thread waits"
    parts = re.findall(r"acquire|= scf\.while|cacheModifier = cg", resources.ttgir)
    read = ["acquire", "cacheModifier = cg", "cacheModifier = cg"]
    assert parts == [*read, "= scf.while", *read], "a border is read before it is waited for"


@each_architecture
def test_table_compiles(architecture: int, tmp_path: Path) -> None:
    names = triton_diagonal.fill_table.arg_names
    signature = dict.fromkeys(names, "*bf16") | {"table": "*i64", "t3": "*fp32"}

    kernel = triton_diagonal.fill_table
    resources = compiled(kernel, architecture, signature, {}, {}, tmp_path)

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


SCALES_AND_SIZES = ((1.0, (1, 1, 1)), (0.5, (16, 16, 17)), (1.0, SHORT))


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels that would have been launched; they are compiled."""
    launches: list[str] = []

    def compile_only(kernel: Any, grid: tuple[int, ...]) -> Any:
        def launched(*arguments: Any, **options: Any) -> None:
            assert all(size > 0 for size in grid)
            launches.append(kernel.__name__)
            kernel.warmup(*arguments, grid=grid, **options)

        return launched

    monkeypatch.setattr(triton.runtime.driver, "_active", NoGpu())
    monkeypatch.setattr(triton.JITFunction, "__getitem__", compile_only)
    return launches


def test_a_pass_compiles_one_kernel_whatever_its_size(launches: list[str]) -> None:
    table = torch.empty(triton_diagonal.TABLE_SIZE, dtype=torch.int64)
    kernel = triton_diagonal.forward_diagonal

    for scale, size in SCALES_AND_SIZES:
        of_pass = Pass("forward", *size, 7, torch.float32, scale)
        triton_launch._launch_diagonals(of_pass, table)

    assert launches == ["forward_diagonal"] * (1 + 32 + 111)
    in_memory = kernel.device_caches[NoGpu().get_current_device()][0]
    assert len(in_memory) == 1


def test_bands_are_one_launch_and_one_kernel_whatever_the_size(
    launches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton_persistent, "_available_bytes", lambda _: SHARED_BYTES)
    for scale, size in SCALES_AND_SIZES:
        of_pass = Pass("backward", *size, 7, torch.float32, scale)
        tensors = [torch.empty(4) for _ in triton_diagonal.BACKWARD_TENSORS]
        triton_persistent.launch_bands(of_pass, tensors)

    assert launches == ["backward_bands"] * 3
    in_memory = triton_bands.backward_bands.device_caches[NoGpu().get_current_device()][0]
    assert len(in_memory) == 1
