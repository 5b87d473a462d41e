"""The 2D-LSTM as a torch module. Axes as in `kernels.weights`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mdlstm_core.config import GATES
from mdlstm_core.kernels import MDLSTMStates, MDLSTMWeights, check_name, select_kernel
from mdlstm_core.kernels.weights import check_forget_scale, check_input


class MDLSTM(nn.Module):
    """Four LSTMs that sweep a grid from its four corners, each with its own weights.

    Args:
        inputs: features of a cell of the input grid.
        units: hidden units of each direction.
        forget_scale: factor on both forget gates (see `NetworkConfig`).
        kernel: the backend's name; "auto" for the fastest (see `kernels.select_kernel`).

    Raises:
        ValueError: there are no inputs or units, or another argument does not fit.
    """

    def __init__(
        self, inputs: int, units: int, forget_scale: float = 1.0, kernel: str = "auto"
    ) -> None:
        super().__init__()
        for name, number in (("inputs", inputs), ("units", units)):
            if number < 1:
                raise ValueError(f"{name}: expected 1 or more, given {number}")
        check_forget_scale(forget_scale)
        check_name(kernel, "kernel")
        self.units = units
        self.forget_scale = forget_scale
        self.kernel = kernel
        self.input_weight = nn.Parameter(torch.empty(4, inputs, 5 * units))
        self.recurrent_row = nn.Parameter(torch.empty(4, units, 5 * units))
        self.recurrent_column = nn.Parameter(torch.empty(4, units, 5 * units))
        self.bias = nn.Parameter(torch.empty(4, 5 * units))
        self.reset_parameters()

    @property
    def weights(self) -> MDLSTMWeights:
        """The weights as the kernels take them."""
        return MDLSTMWeights(
            self.input_weight, self.recurrent_row, self.recurrent_column, self.bias
        )

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw new weights.

        A halved forget gate starts open, so that context travels from the first step; the
        paper's cell starts half open, since its two gates add up.
        """
        inputs = self.input_weight.shape[1]
        nn.init.uniform_(self.input_weight, -math.sqrt(3 / inputs), math.sqrt(3 / inputs))
        bound = math.sqrt(1.5 / self.units)
        nn.init.uniform_(self.recurrent_row, -bound, bound)
        nn.init.uniform_(self.recurrent_column, -bound, bound)
        self.bias.zero_()
        if self.forget_scale < 1:
            blocks = self.bias.unflatten(1, (len(GATES), self.units))
            blocks[:, GATES.index("forget_row") : GATES.index("forget_column") + 1] = 1.0

    def forward(self, input_BRCI: Tensor) -> Tensor:
        """Return the hidden states of the four directions, D×B×R×C×H.

        Raises:
            ValueError: the input does not fit, or is not finite.
        """
        hidden: Tensor = self._ask("run", input_BRCI)
        return hidden

    def states(self, input_BRCI: Tensor) -> MDLSTMStates:
        """Return all gates, cell and hidden states (see `forward`)."""
        states: MDLSTMStates = self._ask("states", input_BRCI)
        return states

    def _ask(self, function: str, input_BRCI: Tensor) -> Any:
        """Return what a function of the kernel returns; `torch.compile` does not look inside.

        What that traces with has no address, which the compiled kernel needs, and a loop over
        diagonals would become a graph as long as the grid is large.
        """
        if torch.compiler.is_dynamo_compiling():
            untraced: Callable[[str, Tensor], Any] = torch.compiler.disable(self._answer)
            return untraced(function, input_BRCI)
        return self._answer(function, input_BRCI)

    def _answer(self, function: str, input_BRCI: Tensor) -> Any:
        check_input(input_BRCI)
        module = select_kernel(self.kernel, input_BRCI.device, input_BRCI.dtype).module
        # The kernels choose their own precision; autocast must not look inside.
        with torch.autocast(input_BRCI.device.type, enabled=False):
            return getattr(module, function)(input_BRCI, self.weights, self.forget_scale)


class NeighborhoodLayer(nn.Module):
    """Two convolutions with about as many weights as a 2D-LSTM layer, and its axes.

    What `MDLSTM` is compared with: each cell sees two cells around it and no further.

    Args:
        inputs: features of a cell of the input grid.
        units: features of each of four groups, which stand for the directions.
    """

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.units = units
        weights = 20 * units * (inputs + 2 * units + 1)
        middle = max(8, round(weights / (9 * (inputs + 4 * units))))
        self.first = nn.Conv2d(inputs, middle, 3, padding=1)
        self.second = nn.Conv2d(middle, 4 * units, 3, padding=1)

    def forward(self, input_BRCI: Tensor) -> Tensor:
        """Return features of the four groups, D×B×R×C×H, -1 to 1."""
        grid_BFRC = self.second(self.first(input_BRCI.permute(0, 3, 1, 2)).relu()).tanh()
        groups: Tensor = grid_BFRC.float().unflatten(1, (4, self.units)).permute(1, 0, 3, 4, 2)
        return groups
