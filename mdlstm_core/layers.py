"""The 2D-LSTM as a torch module. Axes as in `kernels.weights`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mdlstm_core.config import GATES
from mdlstm_core.kernels import KernelChoice, MDLSTMStates, MDLSTMWeights, select_kernel


class MDLSTM(nn.Module):
    """Four LSTMs that sweep a grid from its four corners, each with its own weights.

    Args:
        inputs: features of a cell of the input grid.
        units: hidden units of each direction.
        forget_scale: factor on both forget gates (see `NetworkConfig`).
        kernel: the backend's name; "auto" for the fastest (see `kernels.select_kernel`).
    """

    def __init__(
        self, inputs: int, units: int, forget_scale: float = 1.0, kernel: str = "auto"
    ) -> None:
        super().__init__()
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
        """Return the hidden states of the four directions, D×B×R×C×H."""
        # The kernels choose their own precision; autocast must not look inside.
        with torch.autocast(input_BRCI.device.type, enabled=False):
            hidden: Tensor = self._choose(input_BRCI).module.run(
                input_BRCI, self.weights, self.forget_scale
            )
        return hidden

    def states(self, input_BRCI: Tensor) -> MDLSTMStates:
        """Return all gates, cell and hidden states."""
        states: MDLSTMStates = self._choose(input_BRCI).module.states(
            input_BRCI, self.weights, self.forget_scale
        )
        return states

    def _choose(self, input_BRCI: Tensor) -> KernelChoice:
        return select_kernel(self.kernel, input_BRCI.device, input_BRCI.dtype)


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
