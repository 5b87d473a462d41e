"""Fixtures of the library's tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def interpreted() -> Callable[[str, str], subprocess.CompletedProcess[str]]:
    """Run the tests of a file that a marker chooses in Triton's interpreter, without a GPU."""

    def run(file: str, cases: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file, "-m", cases],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def stop_after() -> Callable[[int], Callable[[dict[str, Any]], None]]:
    """Returns a callback for a training that does what Ctrl-C does, once an epoch is kept."""

    def of(epoch: int) -> Callable[[dict[str, Any]], None]:
        def stop(line: dict[str, Any]) -> None:
            if "step" not in line and line["epoch"] == epoch:
                raise KeyboardInterrupt

        return stop

    return of


@pytest.fixture(autouse=True, scope="session")
def interpreter_patches_once() -> Iterator[None]:
    """Halve the time of Triton's interpreter.

    At each call of a function by a kernel it patches the language once more, which stays
    patched from the first call on.
    """
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("TRITON_INTERPRET") == "1":
            from triton.runtime.interpreter import InterpretedFunction

            first_call, called = InterpretedFunction.__call__, set()

            def call(function: Any, *arguments: Any) -> Any:
                if function in called:
                    return function.rewrite()(*arguments)
                called.add(function)
                return first_call(function, *arguments)

            patch.setattr(InterpretedFunction, "__call__", call)
        yield
