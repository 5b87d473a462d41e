"""Which kernel is chosen, and what happens when it is not there."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mdlstm_core import kernels
from mdlstm_core.errors import InputError
from mdlstm_core.kernels import GPU_KERNELS, KERNELS, native, select_kernel
from mdlstm_core.layers import MDLSTM


@pytest.fixture(autouse=True)
def fresh_loader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing is loaded, nothing was ever kept, and nobody asks for a kernel."""
    monkeypatch.setattr(native, "cache_folder", lambda: tmp_path / "kernels")
    monkeypatch.delenv("MDLSTM_KERNEL", raising=False)
    for cache in (native.loader, kernels._load_triton, kernels._say_unfit):
        cache.cache_clear()
    yield
    for cache in (native.loader, kernels._load_triton, kernels._say_unfit):
        cache.cache_clear()


def run_layer(kernel: str) -> torch.Tensor:
    torch.manual_seed(1)
    with torch.no_grad():
        return MDLSTM(3, 4, kernel=kernel)(torch.ones(1, 5, 6, 3))


def test_the_fastest_is_chosen_and_says_so() -> None:
    choice = select_kernel(wait=True)

    assert choice.name == "compiled"
    assert choice.module is KERNELS["compiled"]
    assert choice.reason == "the fastest on cpu"


@pytest.mark.parametrize("name", KERNELS)
def test_environment_variable_chooses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDLSTM_KERNEL", name)

    assert select_kernel().name == name
    assert "MDLSTM_KERNEL" in select_kernel().reason


def test_argument_goes_before_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDLSTM_KERNEL", "reference")

    assert select_kernel("torch").name == "torch"


def test_unknown_name_in_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDLSTM_KERNEL", "abacus")

    expected = "MDLSTM_KERNEL: expected auto or one of reference, torch, compiled, triton, "
    with pytest.raises(InputError, match=rf"^{expected}triton-persistent, given 'abacus'\.$"):
        select_kernel()


@pytest.mark.parametrize("device", ["abacus", "cuda:one", "", None])
def test_unknown_device_is_named(device: Any) -> None:
    expected = "device: expected one that torch knows, such as cpu or cuda, given "
    with pytest.raises(InputError, match=f"^{expected}{device!r}\\.$"):
        select_kernel(device=device)


@pytest.mark.parametrize("command", [["doctor"], ["predict", "image.png", "--out", "labels"]])
def test_unknown_name_in_environment_ends_a_command_with_2(
    mdlstm: Callable[..., Any],
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (9, 9)).save("image.png")
    monkeypatch.setenv("MDLSTM_KERNEL", "abacus")

    result = mdlstm(*command)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("mdlstm: MDLSTM_KERNEL: expected auto or one of reference, ")
    assert result.err.endswith(", given 'abacus'.\n")
    assert result.err.count("\n") == 1


def test_empty_environment_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDLSTM_KERNEL", "")

    assert select_kernel(wait=True).reason == "the fastest on cpu"


def test_other_number_types_go_to_torch() -> None:
    choice = select_kernel(dtype=torch.bfloat16, wait=True)

    assert choice.name == "torch"
    assert "torch.bfloat16" in choice.reason


def test_missing_compiler_is_logged_once_and_torch_serves(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = run_layer("torch")
    monkeypatch.setitem(sys.modules, "llvmlite", None)

    with caplog.at_level(logging.INFO):
        choices = [select_kernel(wait=True) for _ in range(3)]
        served = [run_layer(kernel) for kernel in ("auto", "compiled")]

    assert [choice.name for choice in choices] == ["torch"] * 3
    assert "llvmlite" in choices[0].reason
    assert len(caplog.records) == 1
    assert "llvmlite" in caplog.text
    assert all(torch.equal(hidden, expected) for hidden in served)


def test_torch_serves_while_a_thread_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on, compile_now = threading.Event(), native._compile
    where: list[threading.Thread] = []

    def slowly(bits: int) -> native.Sweeps:
        where.append(threading.current_thread())
        assert may_go_on.wait(60)
        return compile_now(bits)

    monkeypatch.setattr(native, "_compile", slowly)

    meanwhile = [select_kernel(), select_kernel()]
    may_go_on.set()
    afterwards = select_kernel(wait=True)

    assert [choice.name for choice in meanwhile] == ["torch", "torch"]
    assert "made ready" in meanwhile[0].reason
    assert afterwards.name == "compiled"
    assert len(where) == 1
    assert where[0] is not threading.current_thread()
    assert not where[0].is_alive()


def test_a_later_start_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    select_kernel(wait=True)
    native.loader.cache_clear()

    def never(bits: int) -> native.Sweeps:
        raise AssertionError(f"compiled {bits} bits again")

    monkeypatch.setattr(native, "_compile", never)

    assert select_kernel().name == "compiled"


FORK = """
import os, sys, pathlib
from mdlstm_core.kernels import KERNELS, native, select_kernel
from mdlstm_core.layers import MDLSTM
import torch

native.cache_folder = lambda: pathlib.Path(sys.argv[1])
torch.set_num_threads(1)
assert select_kernel().is_provisional
child = os.fork()
name = select_kernel(wait=True).name
with torch.no_grad():
    hidden = KERNELS["compiled"].run(torch.ones(1, 3, 3, 3), MDLSTM(3, 4).weights)
os.write(1, f"{name} {hidden.shape[-1]}\\n".encode())  # as a whole: both write at once
if not child:
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no fork")
def test_a_fork_during_the_first_compilation_has_the_kernel_too(tmp_path: Path) -> None:
    # Python 3.12 warns of a fork of any process that has threads, and torch has some.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "compiled 4\n" * 2


@pytest.mark.parametrize("content", [b"", b"not code", b"\0" * 4096])
def test_damaged_code_is_compiled_again(content: bytes, tmp_path: Path) -> None:
    expected = run_layer("compiled")
    (kept,) = (tmp_path / "kernels").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(content or whole[:-1])
    native.loader.cache_clear()

    assert torch.equal(run_layer("compiled"), expected)
    assert kept.read_bytes() == whole


def test_code_that_cannot_be_kept_still_runs(tmp_path: Path) -> None:
    (tmp_path / "kernels").write_text("in the way")

    assert select_kernel(wait=True).name == "compiled"
    torch.testing.assert_close(run_layer("compiled"), run_layer("torch"))


def test_doctor_says_which_kernel_runs_where(mdlstm: Callable[..., object]) -> None:
    kernel = json.loads(mdlstm("doctor", "--json").out)["kernel"]

    assert kernel["used"] in KERNELS
    assert kernel["on_cpu"] == "compiled, the fastest on cpu"
    assert kernel["on_cuda"].split(",")[0] in KERNELS


@pytest.mark.parametrize("name", GPU_KERNELS)
def test_triton_is_taken_when_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="triton comes for Linux only")
    monkeypatch.setenv("MDLSTM_KERNEL", name)
    choice = select_kernel(device="cuda")

    assert choice.name == name
    assert choice.module.__name__ == GPU_KERNELS[name]
    assert select_kernel(name, "cuda", torch.float64).name == "torch"
    # Where a GPU's memory does not suffice, a network goes on on the CPU.
    assert select_kernel(name, "cpu").name == "torch"


@pytest.mark.parametrize(
    ("name", "device", "dtype", "why"),
    [
        ("compiled", "cuda", torch.float32, "it runs on the CPU only"),
        ("compiled", "cpu", torch.bfloat16, "torch.bfloat16 has no compiled kernel"),
        ("triton", "cpu", torch.float32, "it runs on CUDA GPUs only"),
        ("triton", "mps", torch.float32, "it runs on CUDA GPUs only"),
        ("triton-persistent", "cuda", torch.float64, "it has no torch.float64"),
    ],
)
def test_kernel_that_does_not_take_the_tensors_is_logged_once_and_torch_serves(
    name: str,
    device: str,
    dtype: torch.dtype,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if name in GPU_KERNELS:
        pytest.importorskip("triton", reason="triton comes for Linux only")
    by_argument = select_kernel(name, device, dtype)
    monkeypatch.setenv("MDLSTM_KERNEL", name)
    by_variable = select_kernel(device=device, dtype=dtype)

    for choice in (by_argument, by_variable):
        assert (choice.name, choice.reason) == ("torch", f"instead of {name}: {why}")
    assert [record.getMessage() for record in caplog.records] == [
        f"The kernel {name} cannot be used, torch serves: {why}"
    ]


def test_nothing_is_logged_where_nobody_asked_for_a_kernel(
    caplog: pytest.LogCaptureFixture,
) -> None:
    select_kernel(dtype=torch.bfloat16)

    assert not caplog.records


@pytest.mark.parametrize("name", GPU_KERNELS)
@pytest.mark.parametrize("error", ["ImportError", "RuntimeError", "OSError", "AttributeError"])
def test_without_triton_torch_serves_and_the_log_says_so_once(
    name: str,
    error: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    module = f"broken_by_{error}"
    (tmp_path / f"{module}.py").write_text(f"raise {error}('no driver\\nmore lines')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(GPU_KERNELS, name, module)
    why = f"{error}: no driver"

    for _ in range(3):
        choice = select_kernel(name, "cuda")
        assert (choice.name, choice.reason) == ("torch", f"instead of {name}: {why}")

    assert [record.getMessage() for record in caplog.records] == [
        f"The Triton kernel cannot be used, torch serves: {why}"
    ]


@pytest.mark.parametrize("name", GPU_KERNELS)
def test_without_triton_s_compiler_torch_serves_and_the_log_says_so_once(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    driver = pytest.importorskip("triton", reason="triton comes for Linux only").runtime.driver

    def fail(_driver: object) -> None:
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC.")

    # As on a machine with a GPU: there alone is the driver asked for.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(type(driver), "active", property(fail))
    why = "RuntimeError: Failed to find C compiler."

    for _ in range(3):
        choice = select_kernel(name, "cuda")
        assert (choice.name, choice.reason) == ("torch", f"instead of {name}: {why}")

    assert [record.getMessage() for record in caplog.records] == [
        f"The Triton kernel cannot be used, torch serves: {why}"
    ]


def test_on_a_gpu_torch_serves_unless_asked() -> None:
    assert select_kernel(device="cuda").name == "torch"
