"""The PyraMiD-LSTM layer of Stollenga, Byeon, Liwicki, Schmidhuber (NIPS 2015), section 2.

Axes: B batch, I and F features, H hidden units, D, R and C slices, rows and columns of the
volume. Of a sweep: S planes, P and Q positions in a plane, E the axis's two directions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

VOLUME_DIRECTIONS = ("+slice", "-slice", "+row", "-row", "+column", "-column")
"""Where the six sweeps go to, in the order of every direction axis: plus from the first
plane to the last, minus back."""

_GATES = 4
"""Input, forget, output, candidate: the order of the gate axis."""


class PyramidLSTM(nn.Module):
    """Six convolutional LSTMs; each sweeps a volume plane by plane along one axis.

    The gates of a plane see the same plane of the input and the hidden states of the plane
    before, each through a convolution within the plane: what reaches a voxel comes from a
    pyramid with its tip there. No peepholes, as in the paper.

    Args:
        inputs: features of a voxel.
        units: hidden units of each direction.
        kernel_size: positions a side of the convolutions, odd; the paper's is 7.
    """

    def __init__(self, inputs: int, units: int, kernel_size: int = 3) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: expected an odd number, given {kernel_size}")
        self.units = units
        self.kernel_size = kernel_size
        directions, square = len(VOLUME_DIRECTIONS), (kernel_size, kernel_size)
        self.input_weight = nn.Parameter(torch.empty(directions, _GATES * units, inputs, *square))
        self.recurrent_weight = nn.Parameter(
            torch.empty(directions, _GATES * units, units, *square)
        )
        self.bias = nn.Parameter(torch.empty(directions, _GATES * units))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw new weights; the forget gates start open, so that context travels."""
        for weight in (self.input_weight, self.recurrent_weight):
            bound = math.sqrt(1.5 / (weight.shape[2] * self.kernel_size**2))
            nn.init.uniform_(weight, -bound, bound)
        self.bias.zero_()
        self.bias[:, self.units : 2 * self.units] = 1.0

    def forward(self, volume_BIDRC: Tensor) -> Tensor:
        """Return the sum of the six directions' hidden states, B×H×D×R×C.

        While gradients are recorded, a sweep keeps only its input and is run once more for
        the backward pass: memory holds the gates of one axis and not of three.
        """
        total = None
        for axis in range(3):
            if torch.is_grad_enabled():
                swept = checkpoint(self._sweep, volume_BIDRC, axis, use_reentrant=False)
            else:
                swept = self._sweep(volume_BIDRC, axis)
            total = swept if total is None else total + swept
        assert total is not None
        return total

    def _sweep(self, volume_BIDRC: Tensor, axis: int) -> Tensor:
        """Return the sum of an axis's two directions; one grouped convolution runs both."""
        planes_SBIPQ = volume_BIDRC.movedim(2 + axis, 0)
        size, batch, _, *plane = planes_SBIPQ.shape
        both = slice(2 * axis, 2 * axis + 2)
        gates = functional.conv2d(
            planes_SBIPQ.flatten(0, 1),
            self.input_weight[both].flatten(0, 1),
            self.bias[both].flatten(),
            padding="same",
        ).unflatten(0, (size, batch))
        # Unbound at once: the gradient of a slice a step would fill the whole of `gates`.
        forth, back = (half.unbind() for half in gates.chunk(2, dim=2))
        recurrent = self.recurrent_weight[both].flatten(0, 1)
        hidden = gates.new_zeros(batch, 2 * self.units, *plane)
        cell = gates.new_zeros(batch, 2, self.units, *plane)
        forth_states: list[Tensor] = []
        back_states: list[Tensor] = []
        for step in range(size):
            preactivation = torch.cat((forth[step], back[size - 1 - step]), dim=1)
            # The state before the first plane is zero.
            if step:
                preactivation = preactivation + functional.conv2d(
                    hidden, recurrent, padding="same", groups=2
                )
            states_BEHPQ, cell = self._update(preactivation, cell)
            hidden = states_BEHPQ.flatten(1, 2)
            for states, state_BHPQ in zip(
                (forth_states, back_states), states_BEHPQ.unbind(1), strict=True
            ):
                states.append(state_BHPQ)
        summed_SBHPQ = torch.stack(forth_states) + torch.stack(back_states[::-1])
        return summed_SBHPQ.movedim(0, 2 + axis)

    def _update(self, preactivation: Tensor, cell_BEHPQ: Tensor) -> tuple[Tensor, Tensor]:
        """Return the hidden and cell states of a plane, both directions, B×E×H×P×Q."""
        blocks_BEGHPQ = preactivation.unflatten(1, (2, _GATES, self.units))
        sigmoids, candidate = blocks_BEGHPQ.split((_GATES - 1, 1), dim=2)
        entry, forget, output = sigmoids.sigmoid().unbind(2)
        cell_BEHPQ = forget * cell_BEHPQ + entry * candidate.squeeze(2).tanh()
        return output * cell_BEHPQ.tanh(), cell_BEHPQ
