"""Compiling the sweeps for this processor, once, and keeping the result.

LLVM comes with llvmlite, so that the user's machine needs no compiler. The object code is
kept in the user's cache folder under a name made from everything that it depends on; a
later start loads it at once. The first time, a thread compiles while the caller goes on; a
fork waits for it.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakSet

import platformdirs

from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder, write_whole

_log = logging.getLogger(__name__)

_SOURCES = (
    "vector_code.py",
    "sweep_arguments.py",
    "sweep_code.py",
    "forward_code.py",
    "backward_code.py",
    "task_code.py",
    "native.py",
)


_lock = threading.Lock()
"""Held while kept code is loaded or a thread begins, and during a fork."""

_compiling: WeakSet[threading.Thread] = WeakSet()
"""Threads that compile, or have."""


@dataclass(frozen=True)
class Sweeps:
    """The compiled functions of one precision (see `sweep_arguments`), by their addresses.

    Attributes:
        forward: sweeps forward and keeps nothing.
        forward_keeping: keeps what the backward sweep needs.
        backward: sweeps backward.
        work_address: does tasks (see `task_code`).
        work: the same, called from Python, whose other threads run meanwhile.
        lanes: to how many units a vector is padded.
        engine: keeps the code in memory.
    """

    forward: int
    forward_keeping: int
    backward: int
    work_address: int
    work: Callable[[int], None]
    lanes: int
    engine: Any


class NativeLoader:
    """Brings the sweeps of one precision into memory.

    Args:
        bits: of a number, 32 or 64.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.failure: str | None = None
        self._sweeps: Sweeps | None = None
        self._thread: threading.Thread | None = None
        self._looked = False

    def get(self, *, wait: bool) -> Sweeps | None:
        """Return the sweeps; None while they are compiled, or where they cannot be.

        Args:
            wait: until they are compiled. A thread does that in any case, if need be, and ends
                when it is done.
        """
        if self._sweeps is not None or self.failure is not None:
            return self._sweeps
        with _lock:
            if not self._looked:
                self._looked = True
                self._guarded(_load_kept)
            if self._sweeps is None and self.failure is None and self._thread is None:
                # Not a daemon: Python must not end while LLVM works.
                self._thread = threading.Thread(
                    target=self._guarded, args=(_compile,), name="compile sweeps"
                )
                _compiling.add(self._thread)
                self._thread.start()
            thread = self._thread
        if wait and thread is not None:
            thread.join()
        return self._sweeps

    def _guarded(self, load: Callable[[int], Sweeps | None]) -> None:
        """Load; a failure is said once in the log, and the torch backend goes on serving."""
        try:
            self._sweeps = load(self.bits)
        # Whatever goes wrong in a foreign library, there is another backend.
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}".splitlines()[0]
            _log.warning("The compiled kernel cannot be used, torch serves: %s", self.failure)


@lru_cache(maxsize=2)
def loader(bits: int) -> NativeLoader:
    """Return the one loader of a precision."""
    return NativeLoader(bits)


def _wait_for_threads() -> None:
    """Let what is being compiled be done before a fork.

    The child has none of the threads, but LLVM's locks as they held them.
    """
    _lock.acquire()
    for thread in list(_compiling):
        thread.join()


if hasattr(os, "register_at_fork"):  # Windows knows no fork
    os.register_at_fork(
        before=_wait_for_threads, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def cache_folder() -> Path:
    """Return where object code is kept between starts."""
    return platformdirs.user_cache_path("mdlstm-labeler", appauthor=False) / "kernels"


def _load_kept(bits: int) -> Sweeps | None:
    """Load what an earlier start compiled; None if there is none or it is damaged."""
    try:
        content = _kept_file(bits).read_bytes()
    except OSError:
        return None
    digest, code = content[:32], content[32:]
    # LLVM ends the process when it is given half a file.
    return _sweeps(code, bits) if hashlib.sha256(code).digest() == digest else None


def _compile(bits: int) -> Sweeps:
    """Compile for this processor and keep the result if the disk allows."""
    from llvmlite import ir

    from mdlstm_core.kernels.backward_code import BackwardCode
    from mdlstm_core.kernels.forward_code import ForwardCode
    from mdlstm_core.kernels.task_code import write_task_code

    target, module = host_target(bits), ir.Module("sweeps")
    ForwardCode(module, "forward", target, keep=False)
    ForwardCode(module, "forward_keeping", target, keep=True)
    BackwardCode(module, "backward", target)
    write_task_code(module, "work")
    code = object_code(module)
    try:
        make_folder(cache_folder())
        write_whole(_kept_file(bits), hashlib.sha256(code).digest() + code)
    except InputError as error:
        _log.info("compiled code is not kept: %s", error)
    return _sweeps(code, bits)


def _sweeps(code: bytes, bits: int) -> Sweeps:
    engine, addresses = link(code, ("forward", "forward_keeping", "backward", "work"))
    forward, keeping, backward, work = addresses
    call_work = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(work)
    lanes = host_target(bits).lanes
    return Sweeps(forward, keeping, backward, work, call_work, lanes, engine)


def object_code(written: Any) -> bytes:
    """Compile a module of llvmlite's for this processor."""
    from llvmlite import binding

    machine = _machine()
    module = binding.parse_assembly(str(written))
    module.verify()
    # The loops are vector code already; more would only take longer.
    options = binding.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return machine.emit_object(module)


def link(code: bytes, names: Sequence[str]) -> tuple[Any, list[int]]:
    """Bring object code into memory.

    Returns:
        What keeps it there, and the addresses of the functions of these names.
    """
    from llvmlite import binding

    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine())
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine, [engine.get_function_address(name) for name in names]


def _machine() -> Any:
    """Return LLVM's description of this processor."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=2,
        jit=True,
    )


def host_target(bits: int) -> Any:
    """Return the vectors that suit this processor.

    256 bits also where there are 512: the products are then as fast on processors that
    split the wider ones, and fewer lanes are lost to padding.
    """
    from llvmlite import binding

    from mdlstm_core.kernels.vector_code import Target

    features = binding.get_host_cpu_features()
    if features.get("avx"):
        return Target(bits, 256, 32 if features.get("avx512vl") else 16)
    return Target(bits, 128, 32 if features.get("neon") else 16)


def _kept_file(bits: int) -> Path:
    """Return the file of a precision's object code on this processor."""
    from llvmlite import binding

    depends_on = hashlib.sha256()
    for part in (
        importlib.metadata.version("llvmlite"),
        binding.get_process_triple(),
        binding.get_host_cpu_name(),
        binding.get_host_cpu_features().flatten(),
    ):
        depends_on.update(part.encode() + b"\n")
    for name in _SOURCES:
        depends_on.update(Path(__file__).with_name(name).read_bytes())
    return cache_folder() / f"sweeps-{bits}-{depends_on.hexdigest()[:24]}.o"
