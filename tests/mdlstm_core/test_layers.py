"""The 2D-LSTM as a module: what it adds to the kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mdlstm_core.kernels import KERNELS
from mdlstm_core.layers import MDLSTM


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_does_not_look_inside(kernel: str, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    layer = MDLSTM(3, 4, kernel=kernel).to(dtype)
    image = torch.randn(2, 5, 4, 3).to(dtype)
    hidden, states = layer(image), layer.states(image)

    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(image), hidden)
        assert all(torch.equal(a, b) for a, b in zip(layer.states(image), states, strict=True))


# Torch's tracing asks what torch warns of, and lets only what is no error pass.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.parametrize("kernel", ["auto", *KERNELS])
def test_torch_compile_leaves_the_numbers_as_they_are(kernel: str) -> None:
    torch.manual_seed(1)
    layer, image = MDLSTM(3, 4, kernel=kernel), torch.randn(2, 3, 2, 3)
    torch.compiler.reset()
    compiled = torch.compile(layer, backend="eager")
    states = torch.compile(layer.states, backend="eager")

    def gradients(hidden: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(hidden.square().sum(), list(layer.parameters()))

    hidden = compiled(image)
    torch.testing.assert_close(hidden, layer(image), rtol=0, atol=0)
    torch.testing.assert_close(gradients(hidden), gradients(layer(image)), rtol=0, atol=0)
    torch.testing.assert_close(states(image), layer.states(image), rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(compiled(image), hidden.detach(), rtol=0, atol=0)
    torch.compiler.reset()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4), "inputs: expected 1 or more, given 0"),
        ((3, 0), "units: expected 1 or more, given 0"),
        ((3, -1), "units: expected 1 or more, given -1"),
        ((3, 4, math.nan), "forget_scale: expected a finite number, given nan"),
        ((3, 4, None), "forget_scale: expected a finite number, given NoneType"),
        ((3, 4, 1.0, "abacus"), "kernel: expected auto or one of .*, given 'abacus'"),
    ],
)
def test_bad_arguments_are_named_at_once(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        MDLSTM(*arguments)


@pytest.mark.parametrize("function", ["forward", "states"])
@pytest.mark.parametrize(
    ("image", "given"),
    [
        (None, "NoneType"),
        (np.zeros((1, 2, 2, 3), np.float32), r"ndarray of shape \(1, 2, 2, 3\)"),
        (torch.zeros(2, 2, 3), r"\(2, 2, 3\)"),
        (torch.zeros(1, 2, 2, 3, device="meta"), r"meta of shape \(1, 2, 2, 3\)"),
    ],
)
def test_bad_input_is_named(function: str, image: Any, given: str) -> None:
    with pytest.raises(ValueError, match=f"^input_BRCI: expected .* given {given}$"):
        getattr(MDLSTM(3, 4), function)(image)
