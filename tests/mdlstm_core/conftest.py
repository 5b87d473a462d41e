"""Fixtures of the library's tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest


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
