"""What the Triton kernels of both kinds compute with: nonlinearities and loads in float32."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def sigmoid(x: tl.tensor) -> tl.tensor:
    """Return 1 / (1 + exp(-x))."""
    # The exponential of a negative number cannot overflow.
    small = tl.exp(-tl.abs(x))
    return tl.where(x >= 0, 1.0, small) / (1.0 + small)


@triton.jit
def tanh(x: tl.tensor) -> tl.tensor:
    """Return the hyperbolic tangent."""
    # Near zero 1 - exp(-2x) loses digits: there a polynomial in x² (Cephes, tanhf).
    size = tl.abs(x)
    small = tl.exp(-2.0 * size)
    large = (1.0 - small) / (1.0 + small)
    large = tl.where(x >= 0, large, -large)
    # A cell state grows without bound: what is not taken must not overflow either.
    near = tl.minimum(size, 1.0)
    z = near * near
    p = ((-5.70498872745e-3 * z + 2.06390887954e-2) * z - 5.37397155531e-2) * z
    p = ((p + 1.33314422036e-1) * z - 3.33332819422e-1) * z
    return tl.where(size < 0.625, x + x * p, large)


@triton.jit
def load(base: tl.tensor, index: tl.tensor, mask: tl.tensor) -> tl.tensor:
    """Return values as float32, zero outside the mask."""
    return tl.load(base + index, mask=mask, other=0.0).to(tl.float32)
